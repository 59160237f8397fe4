// A module of the pages, taken from its TypeScript: for what can be tested without a page.

import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../src/web/node_modules/esbuild/lib/main.js";

const WEB = fileURLToPath(new URL("../../src/web", import.meta.url));

/** What the module at `file`, relative to src/web, exports. */
export async function source(file) {
  const { outputFiles } = await build({ entryPoints: [path.join(WEB, file)], bundle: true, write: false, format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
