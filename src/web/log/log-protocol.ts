// What a page and the worker that reads a log say to each other.

import type { ProblemFacts } from "../shared/connection/protocol.ts";
import type { Style } from "./terminal-style.ts";

/** One line as it was written, and the style that the line before has left. */
export interface LogLine {
  raw: string;
  style: Style;
}

export type ToLogWorker =
  /** Read the log from its start. */
  | { kind: "open"; address: string; headers: Record<string, string> }
  /** There may be more than what was read. */
  | { kind: "readOn" }
  /** What the stream has brought. */
  | { kind: "append"; offset: number; bytes: Uint8Array }
  | { kind: "lines"; block: number; from: number; to: number }
  /** Find the lines with this text; an empty one ends the search. */
  | { kind: "search"; turn: number; query: string }
  | { kind: "firstError" }
  /** The whole text, without colours. */
  | { kind: "text" };

export type FromLogWorker =
  /** So much is known; `total` is how long the log is. Lines before `changedFrom` are as they were. */
  | { kind: "grown"; lines: number; size: number; total: number; changedFrom: number }
  /** All that there is was read. */
  | { kind: "caughtUp"; offset: number }
  | { kind: "lines"; block: number; lines: LogLine[] }
  | { kind: "hits"; turn: number; lines: Uint32Array; isComplete: boolean; isCut: boolean }
  | { kind: "firstError"; line: number | null }
  | { kind: "text"; text: string | null }
  | { kind: "failed"; problem: ProblemFacts };
