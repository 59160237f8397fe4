// What a tab and the holder of the connection say to each other.

import type { Envelope } from "../api-types.ts";
import type { Phase } from "./event-stream.ts";

/** A problem, as it passes from a worker to a page. */
export interface ProblemFacts {
  status: number;
  code: string;
  title: string;
  detail: string;
}

export interface ConnectionState {
  phase: Phase;
  /** When the hub was last heard; 0 when it never was. */
  heardAt: number;
  problem: ProblemFacts | null;
}

export type ToHolder =
  /** Send every event after `since`, as the holder of `token` sees it. `tab` names a lock that the tab holds. */
  | { kind: "follow"; tab: string; token: string | null; since: string }
  | { kind: "leave" }
  /** Somebody is looking: try again at once. */
  | { kind: "retry" }
  /** Send what an execution writes from `offset` on. */
  | { kind: "followLog"; log: string; token: string | null; taskId: string; executionId: string; offset: number }
  | { kind: "leaveLog"; log: string };

export type ToTab =
  | { kind: "state"; state: ConnectionState }
  | { kind: "message"; envelope: Envelope }
  /** What came between cannot be known any more: list again, and follow from there. */
  | { kind: "resync" }
  | { kind: "log"; log: string; envelope: Envelope }
  /** No connection is free for this log: ask for it page by page. */
  | { kind: "logBusy"; log: string }
  | { kind: "logFailed"; log: string; problem: ProblemFacts };

/** One end of the talk between a tab and the holder. */
export interface Port<Out, In> {
  post(message: Out): void;
  onMessage: (message: In) => void;
}
