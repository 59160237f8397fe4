// The text of one execution's log: what is there page by page, and then, while it grows, what the stream brings.

import { readLog } from "../shared/api.ts";
import type { Envelope, Execution } from "../shared/api-types.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { Problem } from "../shared/problem.ts";

/** Older output is left to the download: a chatty script must not fill the browser's memory. */
const BYTES_MAX = 8 << 20;
const POLL_MS = 2000;
const RETRY_MS = 3000;

export interface LogReader {
  /** Forget what you have; the text begins at this byte. */
  onStart: (offset: number) => void;
  onText: (text: string) => void;
  onEnd: () => void;
  onProblem: (problem: Problem) => void;
}

export class LogSource {
  #offset = 0;
  #ended = false;
  #stopFollowing: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #decoder = new TextDecoder();

  constructor(readonly connection: Connection, readonly execution: Execution, readonly reader: LogReader) {
    void this.#begin();
  }

  stop(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#stopFollowing?.();
  }

  async #begin(): Promise<void> {
    const { task_id: task, id } = this.execution;
    await this.#attempt(() => this.#begin(), async () => {
      const { size } = await readLog(task, { execution_id: id, tail: 1 });
      if (this.#ended) return;
      this.#offset = Math.max(0, size - BYTES_MAX);
      this.reader.onStart(this.#offset);
      await this.#readPages();
    });
  }

  /** Reads up to the end as it is now, and then follows. */
  async #readPages(): Promise<void> {
    const { task_id: task, id } = this.execution;
    await this.#attempt(() => this.#readPages(), async () => {
      for (;;) {
        const page = await readLog(task, { execution_id: id, offset: this.#offset });
        if (this.#ended) return;
        if (page.size < this.#offset) return this.#begin(); // the file was cut
        this.#offset = page.next_offset;
        if (page.text) this.reader.onText(page.text);
        if (page.complete) return this.#end();
        if (page.next_offset >= page.size) return this.#follow();
      }
    });
  }

  /** Runs `read`; when the hub is away for a moment, `again` later. */
  async #attempt(again: () => Promise<void>, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (this.#ended) return;
      if (!(error instanceof Problem)) throw error;
      const isPassing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (isPassing) this.#later(again, RETRY_MS);
      else this.reader.onProblem(error);
    }
  }

  #later(act: () => Promise<void>, ms: number): void {
    this.#timer = setTimeout(() => void act(), ms);
  }

  #follow(): void {
    this.#stopFollowing = this.connection.followLog(this.execution.task_id, this.execution.id, this.#offset, {
      onMessage: (envelope) => this.#receive(envelope),
      onBusy: () => {
        this.#stopFollowing = null;
        this.#later(() => this.#readPages(), POLL_MS);
      },
      onFailed: ({ status, code, title, detail }) => this.reader.onProblem(new Problem(status, code, title, detail)),
    });
  }

  #receive({ id, event, data }: Envelope): void {
    if (event === "reset") {
      this.#offset = 0;
      this.reader.onStart(0);
    } else if (event === "log") {
      const from = Number(data["offset"]);
      const next = Number(/-(\d+)$/.exec(id)?.[1] ?? from);
      if (next <= this.#offset) return; // a repeat
      const bytes = bytesOf(data).subarray(Math.max(0, this.#offset - from));
      this.#offset = next;
      this.reader.onText(this.#decoder.decode(bytes, { stream: true }));
    } else if (event === "end") {
      this.#end();
    }
  }

  #end(): void {
    this.stop();
    this.reader.onEnd();
  }
}

function bytesOf(data: Record<string, unknown>): Uint8Array {
  if (typeof data["text"] === "string") return new TextEncoder().encode(data["text"]);
  return Uint8Array.from(atob(String(data["base64"] ?? "")), (char) => char.charCodeAt(0));
}
