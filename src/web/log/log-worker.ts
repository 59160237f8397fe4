// Reads a log in a worker of its own, however long it is, and answers for the lines that a page shows: a page never holds
// more of a log than what can be seen. It asks for ranges of bytes, one after the other, so it takes one of the browser's
// six connections only for moments.

import { LogBytes } from "./log-bytes.ts";
import { LogIndex } from "./log-index.ts";
import type { FromLogWorker, LogLine, ToLogWorker } from "./log-protocol.ts";
import { HITS_MAX, firstErrorIn, needleOf, searchBlock } from "./log-search.ts";
import { textOf } from "./terminal-spans.ts";

const RANGE_BYTES = 4 << 20;
/** What is longer is left to the download: two copies of a log are in memory. */
const INDEXED_BYTES_MAX = 512 << 20;
/** A longer text is too much for a clipboard. */
const COPIED_BYTES_MAX = 32 << 20;
/** So often a long job lets other messages pass. */
const TURN_MS = 30;
const RETRY_MS = 3000;
const RETRIED = new Set([0, 429, 500, 502, 503, 504]);

const post = (message: FromLogWorker) => (postMessage as (message: FromLogWorker) => void)(message);
const pause = () => new Promise<void>((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done();
  port2.postMessage(null);
});

class LogReader {
  #index = new LogIndex();
  #bytes = new LogBytes((offset, length) => this.#fetch(offset, length).then(({ bytes }) => bytes));
  #total = 0;
  #searched = 0;
  #isReading = false;

  constructor(readonly address: string, readonly headers: Record<string, string>) {}

  /** Reads to the end as it is now. */
  async read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      for (;;) {
        const { bytes, total } = await this.#fetch(this.#index.size, RANGE_BYTES);
        this.#total = Math.max(total, this.#index.size + bytes.length);
        this.#take(bytes);
        if (bytes.length === 0 || this.#index.size >= this.#total || this.#index.size >= INDEXED_BYTES_MAX) break;
      }
    } finally {
      this.#isReading = false;
    }
    post({ kind: "caughtUp", offset: this.#index.size });
  }

  /** Takes what follows; a repeat is passed over. */
  append(offset: number, bytes: Uint8Array): void {
    if (this.#isReading || this.#index.size >= INDEXED_BYTES_MAX) return;
    if (offset > this.#index.size) return void this.read(); // a piece was missed
    const fresh = bytes.subarray(Math.max(0, this.#index.size - offset));
    this.#total = Math.max(this.#total, offset + bytes.length);
    this.#take(fresh);
  }

  #take(bytes: Uint8Array): void {
    const changedFrom = Math.max(0, this.#index.length - 1);
    this.#bytes.append(this.#index.size, bytes);
    this.#index.feed(bytes);
    const { length: lines, size } = this.#index;
    post({ kind: "grown", lines, size, total: this.#total, changedFrom });
  }

  async #fetch(offset: number, length: number): Promise<{ bytes: Uint8Array; total: number }> {
    for (;;) {
      const headers = { ...this.headers, Range: `bytes=${offset}-${offset + length - 1}` };
      const response = await fetch(this.address, { headers, cache: "no-store" }).catch(() => null);
      const status = response?.status ?? 0;
      if (status === 416) return { bytes: new Uint8Array(0), total: offset };
      if (response?.ok) {
        const whole = new Uint8Array(await response.arrayBuffer());
        const bytes = status === 206 ? whole : whole.subarray(offset);
        const total = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? whole.length);
        return { bytes, total };
      }
      if (!RETRIED.has(status)) {
        const told = (await response?.json().catch(() => ({}))) as { title?: string; code?: string; detail?: string };
        const title = told.title ?? `HTTP ${status}`;
        throw { status, code: told.code ?? "", title, detail: told.detail ?? title };
      }
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }

  async lines(from: number, to: number): Promise<LogLine[]> {
    const last = Math.min(to, this.#index.length);
    if (from >= last) return [];
    const ranges = Array.from({ length: last - from }, (_, at) => this.#index.line(from + at));
    const start = Math.min(...ranges.map((range) => range.start));
    const end = Math.max(...ranges.map((range) => range.start + range.length));
    // Lines that a carriage return has begun anew may lie far apart.
    const together = end - start <= RANGE_BYTES ? await this.#bytes.read(start, end - start) : null;
    return Promise.all(ranges.map(async ({ start: at, length, style }) => {
      const bytes = together?.subarray(at - start, at - start + length) ?? await this.#bytes.read(at, length);
      return { raw: new TextDecoder().decode(bytes), style };
    }));
  }

  async search(turn: number, query: string): Promise<void> {
    this.#searched = turn;
    const hits: number[] = [];
    const needle = needleOf(query);
    let since = performance.now();
    let told = 0;
    for (const block of needle === "" ? [] : [...this.#index.blocks()]) {
      searchBlock(block, needle, hits);
      if (performance.now() - since < TURN_MS) continue;
      if (hits.length > 0 && told === 0) {
        told = hits.length;
        post({ kind: "hits", turn, lines: Uint32Array.from(hits), isComplete: false, isCut: false });
      }
      await pause();
      if (this.#searched !== turn) return; // something else is looked for by now
      since = performance.now();
    }
    post({ kind: "hits", turn, lines: Uint32Array.from(hits), isComplete: true, isCut: hits.length >= HITS_MAX });
  }

  async firstError(): Promise<void> {
    for (const block of [...this.#index.blocks()]) {
      const line = firstErrorIn(block);
      if (line !== null) return post({ kind: "firstError", line });
      await pause();
    }
    post({ kind: "firstError", line: null });
  }

  async text(): Promise<void> {
    if (this.#index.size > COPIED_BYTES_MAX) return post({ kind: "text", text: null });
    const texts: string[] = [];
    for (let from = 0; from < this.#index.length; from += 1000) {
      for (const { raw, style } of await this.lines(from, from + 1000)) texts.push(textOf(raw, style));
      await pause();
    }
    post({ kind: "text", text: `${texts.join("\n")}\n` });
  }
}

let reader: LogReader | null = null;

async function receive(message: ToLogWorker): Promise<void> {
  switch (message.kind) {
    case "open":
      reader = new LogReader(message.address, message.headers);
      return reader.read();
    case "readOn": return reader?.read();
    case "append": return reader?.append(message.offset, message.bytes);
    case "lines": {
      const lines = await reader?.lines(message.from, message.to);
      return post({ kind: "lines", block: message.block, lines: lines ?? [] });
    }
    case "search": return reader?.search(message.turn, message.query);
    case "firstError": return reader?.firstError();
    case "text": return reader?.text();
  }
}

onmessage = ({ data }: MessageEvent<ToLogWorker>) => {
  receive(data).catch((problem) => post({ kind: "failed", problem }));
};
