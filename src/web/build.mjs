// Builds the pages into dist/, which is committed: a build of the hub needs no Node.
//
//     node build.mjs           writes dist/
//     node build.mjs --check   fails when dist/ is not what the sources give
//
// Each file is served under a name that holds a hash of its content, so a browser keeps it for good. On disk the names
// have no hash, so that a change is a change of one file. Beside each file lies its compressed form.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
const BOARD_BYTES_MAX = 120_000; // compressed, everything that the board loads
const COMPRESSED_MIN = 512; // below this the headers weigh more than what is saved

/** The pages, and where each one is served. */
const PAGES = { "/": "board/board.html", "/test_sse.html": "monitor/monitor.html", "/docs": "docs/docs.html" };
const MANIFEST = { path: "/manifest.webmanifest", source: "shared/manifest.webmanifest" };
/** What is the same in all pages. */
const NAVIGATION = "shared/nav.html";
/** The link of the page itself. The board marks its own, by the view that is shown. */
const OWN_LINKS = { "monitor/monitor.html": 'data-view="events"', "docs/docs.html": 'data-view="docs"' };
const SCRIPTS = ["board/board.ts", "monitor/monitor.ts", "docs/docs.ts", "shared/theme.ts"];
const STYLES = ["board/board.css", "monitor/monitor.css", "docs/docs.css"];
/** Workers have a name that the pages are told when they are built. */
const WORKERS = {
  WORKER_PATH: { name: "worker.js", source: "shared/connection/worker.ts" },
  LOG_WORKER_PATH: { name: "log-worker.js", source: "log/log-worker.ts" },
};
const COPIED = {
  "swagger-ui.js": "swagger-ui/swagger-ui-bundle.js",
  "swagger-ui.css": "swagger-ui/swagger-ui.css",
  "icon.svg": "shared/icon.svg",
};
const IMAGES = ["board/chevron.svg", "board/move.svg"];
const KINDS = {
  html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml", webmanifest: "application/manifest+json",
};

const kindOf = (name) => KINDS[name.slice(name.lastIndexOf(".") + 1)];
const bare = (source) => source.slice(source.lastIndexOf("/") + 1).replace(/\.ts$/, ".js");

/** The path of a file under /assets/, with a hash of its content. */
function hashed(name, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  return `/assets/${name.replace(/(\.[a-z]+)$/, `-${hash}$1`)}`;
}

async function bundle(entry, define = {}) {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, entry)], bundle: true, write: false, minify: true, format: "esm", target: "es2022",
    legalComments: "none", charset: "utf8", define, outdir: "out", external: ["/assets/*"], absWorkingDir: HERE,
  });
  return Buffer.from(outputFiles[0].contents);
}

/** Every file: its path, its name on disk, and its bytes. */
async function files() {
  const made = [];
  const add = (name, bytes) => {
    const file = { path: hashed(name, bytes), name, bytes };
    made.push(file);
    return file;
  };
  const paths = {};
  for (const [name, source] of Object.entries(COPIED)) paths[name] = add(name, await readFile(join(HERE, source))).path;
  for (const source of IMAGES) paths[bare(source)] = add(bare(source), await readFile(join(HERE, source))).path;
  const withPaths = (text) => text.replaceAll(/\/assets\/([a-z-]+\.[a-z]+)/g, (all, name) => {
    if (!paths[name]) throw new Error(`nothing is built as ${name}`);
    return paths[name];
  });
  const define = {};
  for (const [word, { name, source }] of Object.entries(WORKERS)) {
    define[word] = JSON.stringify(add(name, await bundle(source)).path);
  }
  for (const source of SCRIPTS) {
    paths[bare(source)] = add(bare(source), await bundle(source, define)).path;
  }
  for (const source of STYLES) {
    const text = withPaths((await bundle(source)).toString());
    paths[bare(source)] = add(bare(source), Buffer.from(text)).path;
  }
  const navigation = (await readFile(join(HERE, NAVIGATION), "utf8")).trim();
  const text = async (source) => {
    const own = OWN_LINKS[source];
    const links = own ? navigation.replace(own, `${own} aria-current="page"`) : navigation;
    return (await readFile(join(HERE, source), "utf8")).replace("<!-- nav -->", links);
  };
  for (const [path, source] of [...Object.entries(PAGES), [MANIFEST.path, MANIFEST.source]]) {
    made.push({ path, name: bare(source), bytes: Buffer.from(withPaths(await text(source))) });
  }
  return made.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const brotli = (bytes) => brotliCompressSync(bytes, {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
});

const isCompressed = ({ bytes }) => bytes.length >= COMPRESSED_MIN;

/** The table that the hub is built with. */
function table(made) {
  const rows = made.map((file) => {
    const { path, name } = file;
    const forms = isCompressed(file)
      ? `brotli: Some(include_bytes!("${name}.br")), gzip: Some(include_bytes!("${name}.gz"))`
      : "brotli: None, gzip: None";
    return `    Asset { path: "${path}", name: "${name}", kind: "${kindOf(name)}", bytes: include_bytes!("${name}"), ${forms} },`;
  });
  return `// Written by build.mjs.\n[\n${rows.join("\n")}\n]\n`;
}

async function write(made) {
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST);
  for (const file of made) {
    await writeFile(join(DIST, file.name), file.bytes);
    if (!isCompressed(file)) continue;
    await writeFile(join(DIST, `${file.name}.br`), brotli(file.bytes));
    await writeFile(join(DIST, `${file.name}.gz`), gzipSync(file.bytes, { level: 9 }));
  }
  await writeFile(join(DIST, "assets.in"), table(made));
}

/** What is in dist/ and should not be, or should be and is not. The compressed forms may be those of another zlib. */
async function differences(made) {
  const found = [];
  const there = async (name) => readFile(join(DIST, name)).catch(() => null);
  const expect = async (name, bytes, read = (it) => it) => {
    const shown = await there(name);
    if (!shown || !read(shown).equals(bytes)) found.push(name);
  };
  const known = new Set(["assets.in"]);
  await expect("assets.in", Buffer.from(table(made)));
  for (const file of made) {
    known.add(file.name);
    await expect(file.name, file.bytes);
    if (!isCompressed(file)) continue;
    known.add(`${file.name}.br`).add(`${file.name}.gz`);
    await expect(`${file.name}.br`, file.bytes, brotliDecompressSync);
    await expect(`${file.name}.gz`, file.bytes, gunzipSync);
  }
  for (const name of await readdir(DIST)) if (!known.has(name)) found.push(`${name} (nothing builds it)`);
  return found;
}

/** The compressed bytes of what the board loads. */
function boardBytes(made) {
  const names = ["board.html", "board.js", "board.css", "theme.js", "worker.js", "log-worker.js", "icon.svg", "chevron.svg", "move.svg"];
  return made.filter(({ name }) => names.includes(name))
    .reduce((sum, file) => sum + (isCompressed(file) ? brotli(file.bytes).length : file.bytes.length), 0);
}

const made = await files();
const size = boardBytes(made);
if (process.argv.includes("--check")) {
  const wrong = await differences(made);
  if (wrong.length > 0) {
    console.error(`dist/ is not current; run "npm run build" in src/web. Not current: ${wrong.join(", ")}`);
    process.exit(1);
  }
} else {
  await write(made);
}
if (size > BOARD_BYTES_MAX) {
  console.error(`the board loads ${size} bytes, and may load ${BOARD_BYTES_MAX}`);
  process.exit(1);
}
console.log(`the board loads ${size} bytes, compressed`);
