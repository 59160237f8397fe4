// The stream of one execution's log, for all tabs that show it. It keeps its last pieces, so that a tab which has read
// the log up to some byte can join there.

import type { Envelope } from "../api-types.ts";
import { EventStream, KEEPALIVE_SECONDS } from "./event-stream.ts";
import type { ToTab } from "./protocol.ts";

const RECENT_CHARS_MAX = 1 << 20;

interface Follower {
  post(message: ToTab): void;
  log: string;
}

export class SharedLog {
  readonly #stream: EventStream;
  readonly #followers = new Set<Follower>();
  #recent: Envelope[] = [];
  #recentChars = 0;
  #start: number;

  constructor(token: string | null, taskId: string, executionId: string, offset: number) {
    this.#start = offset;
    const path = `/api/exec/${encodeURIComponent(taskId)}/logs/stream?execution_id=${encodeURIComponent(executionId)}` +
      `&keepalive_seconds=${KEEPALIVE_SECONDS}`;
    this.#stream = new EventStream({
      address: (cursor) => `${path}${cursor ? `&last_event_id=${encodeURIComponent(cursor)}` : `&offset=${offset}`}`,
      token, stopsWhenRefused: true, lastEvent: "end",
      onMessage: (envelope) => this.#receive(envelope),
      onPhase: (phase, problem) => {
        if (phase !== "refused" || !problem) return;
        const { status, code, title, detail } = problem;
        for (const it of this.#followers) it.post({ kind: "logFailed", log: it.log, problem: { status, code, title, detail } });
      },
    });
    this.#stream.open(null);
  }

  /** Whether it takes a connection. */
  get isOpen(): boolean {
    return this.#stream.phase !== "ended" && this.#stream.phase !== "refused";
  }

  get isIdle(): boolean {
    return this.#followers.size === 0;
  }

  /** False when what lies before its pieces is wanted: then ask for pages. */
  join(follower: Follower, offset: number): boolean {
    if (offset < this.#start) return false;
    this.#followers.add(follower);
    for (const envelope of this.#recent) follower.post({ kind: "log", log: follower.log, envelope });
    return true;
  }

  leave(log: string): void {
    for (const follower of this.#followers) if (follower.log === log) this.#followers.delete(follower);
  }

  retryNow(): void {
    this.#stream.retryNow();
  }

  close(): void {
    this.#stream.close();
  }

  #receive(envelope: Envelope): void {
    if (envelope.event === "reset") {
      this.#recent = [];
      this.#recentChars = 0;
      this.#start = 0;
    }
    this.#recent.push(envelope);
    this.#recentChars += size(envelope);
    while (this.#recentChars > RECENT_CHARS_MAX && this.#recent.length > 1) {
      const gone = this.#recent.shift() as Envelope;
      this.#recentChars -= size(gone);
      this.#start = Number(this.#recent[0]?.data["offset"] ?? this.#start);
    }
    for (const follower of this.#followers) follower.post({ kind: "log", log: follower.log, envelope });
  }
}

const size = ({ data }: Envelope) => String(data["text"] ?? data["base64"] ?? "").length;
