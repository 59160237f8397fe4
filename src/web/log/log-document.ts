// One execution's log, as a page sees it: how many lines there are, and those that were asked for. A worker reads the log;
// while the execution runs, the stream that all tabs share brings the rest.

import { bearer } from "../shared/access.ts";
import type { Envelope, Execution } from "../shared/api-types.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { Problem } from "../shared/problem.ts";
import type { FromLogWorker, LogLine, ToLogWorker } from "./log-protocol.ts";

declare const LOG_WORKER_PATH: string;

const BLOCK_LINES = 256;
const BLOCKS_MAX = 64;
/** When no connection is free to follow, the log is asked for this often. */
const POLL_MS = 2000;

export interface Hits {
  /** The lines, in order. */
  lines: Uint32Array;
  isComplete: boolean;
  /** There are more than these. */
  isCut: boolean;
}

export interface LogReader {
  /** Lines came, or were read. */
  onChange: () => void;
  onHits: (hits: Hits) => void;
  onProblem: (problem: Problem) => void;
}

interface LineBlock {
  lines: LogLine[];
  /** What it holds was changed: it is shown until it was read anew. */
  isStale: boolean;
  isAsked: boolean;
}

export class LogDocument {
  length = 0;
  size = 0;
  total = 0;
  /** All that there is by now was read. */
  isCaughtUp = false;
  readonly #worker = new Worker(LOG_WORKER_PATH, { type: "module", name: "log" });
  readonly #blocks = new Map<number, LineBlock>();
  #turn = 0;
  #query = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopFollowing: (() => void) | null = null;
  #onText: ((text: string | null) => void) | null = null;
  #onError: ((line: number | null) => void) | null = null;

  constructor(readonly connection: Connection, readonly execution: Execution, readonly reader: LogReader) {
    this.#worker.onmessage = ({ data }: MessageEvent<FromLogWorker>) => this.#receive(data);
    this.#open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stopFollowing?.();
    this.#worker.terminate();
  }

  /** A line; null when it has yet to be read, which this does. */
  line(index: number): LogLine | null {
    const number = Math.floor(index / BLOCK_LINES);
    const block = this.#blocks.get(number);
    if (!block || (block.isStale && !block.isAsked)) this.#ask(number, block);
    return block?.lines[index % BLOCK_LINES] ?? null;
  }

  /** Looks for `query`, from now on also in what is added. */
  search(query: string): void {
    this.#query = query;
    this.#post({ kind: "search", turn: ++this.#turn, query });
  }

  firstError(): Promise<number | null> {
    this.#post({ kind: "firstError" });
    return new Promise((resolve) => (this.#onError = resolve));
  }

  /** The text without colours; null when it is too long to copy. */
  text(): Promise<string | null> {
    this.#post({ kind: "text" });
    return new Promise((resolve) => (this.#onText = resolve));
  }

  #post(message: ToLogWorker): void {
    this.#worker.postMessage(message);
  }

  #open(): void {
    const { task_id: task, id } = this.execution;
    const address = `/api/exec/${encodeURIComponent(task)}/logs/raw?execution_id=${encodeURIComponent(id)}`;
    this.length = this.size = this.total = 0;
    this.isCaughtUp = false;
    this.#blocks.clear();
    this.#post({ kind: "open", address, headers: bearer() });
  }

  #ask(number: number, known: LineBlock | undefined): void {
    this.#blocks.delete(number); // the newest are last
    this.#blocks.set(number, { lines: known?.lines ?? [], isStale: false, isAsked: true });
    for (const old of this.#blocks.keys()) {
      if (this.#blocks.size <= BLOCKS_MAX) break;
      this.#blocks.delete(old);
    }
    this.#post({ kind: "lines", block: number, from: number * BLOCK_LINES, to: (number + 1) * BLOCK_LINES });
  }

  #receive(message: FromLogWorker): void {
    switch (message.kind) {
      case "grown": {
        const { lines, size, total, changedFrom } = message;
        Object.assign(this, { length: lines, size, total });
        for (const [number, block] of this.#blocks) {
          if ((number + 1) * BLOCK_LINES > changedFrom) block.isStale = true;
        }
        return this.reader.onChange();
      }
      case "caughtUp":
        this.isCaughtUp = true;
        if (this.#query) this.search(this.#query);
        if (this.execution.ended_at === null || this.execution.ended_at === undefined) this.#follow(message.offset);
        return this.reader.onChange();
      case "lines": {
        const block = this.#blocks.get(message.block);
        if (!block) return;
        block.lines = message.lines;
        block.isAsked = false;
        return this.reader.onChange();
      }
      case "hits": return message.turn === this.#turn ? this.reader.onHits(message) : undefined;
      case "firstError": return this.#onError?.(message.line);
      case "text": return this.#onText?.(message.text);
      case "failed": {
        const { status, code, title, detail } = message.problem;
        return this.reader.onProblem(new Problem(status, code, title, detail ?? String(message.problem)));
      }
    }
  }

  #follow(offset: number): void {
    this.#stopFollowing = this.connection.followLog(this.execution.task_id, this.execution.id, offset, {
      onMessage: (envelope) => this.#follows(envelope),
      onBusy: () => {
        this.#stopFollowing = null;
        this.#timer = setTimeout(() => this.#post({ kind: "readOn" }), POLL_MS);
      },
      onFailed: ({ status, code, title, detail }) => this.reader.onProblem(new Problem(status, code, title, detail)),
    });
  }

  #follows({ event, data }: Envelope): void {
    if (event === "log") {
      this.#post({ kind: "append", offset: Number(data["offset"]), bytes: bytesOf(data) });
      if (this.#query) this.#searchLater();
    } else if (event === "reset") {
      this.#stopFollowing?.();
      this.#open();
    } else if (event === "end") {
      this.#stopFollowing?.();
      this.#stopFollowing = null;
    }
  }

  /** Looks in what was added, not at each piece of it. */
  #searchLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.search(this.#query), 1000);
  }
}

function bytesOf(data: Record<string, unknown>): Uint8Array {
  if (typeof data["text"] === "string") return new TextEncoder().encode(data["text"]);
  return Uint8Array.from(atob(String(data["base64"] ?? "")), (char) => char.charCodeAt(0));
}
