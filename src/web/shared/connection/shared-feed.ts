// The one stream of events for all tabs that show the same token. It keeps the newest events, so that a tab which has
// just read a list can join where its list ends.

import { isControl } from "../sequence.ts";
import type { Envelope } from "../api-types.ts";
import type { Problem } from "../problem.ts";
import { cursorOf, type Cursor } from "./cursor.ts";
import { EventStream, KEEPALIVE_SECONDS, type Phase } from "./event-stream.ts";
import type { ConnectionState, ToTab } from "./protocol.ts";

/** A tab joins within seconds after its list; a change of 50 tasks a second fills this in 40 seconds. */
const RECENT_MAX = 2000;
const HEARD_MS = 1000;

export interface Follower {
  post(message: ToTab): void;
}

const address = (cursor: string | null) =>
  `/api/events/stream?keepalive_seconds=${KEEPALIVE_SECONDS}${cursor ? `&since=${encodeURIComponent(cursor)}` : ""}`;

export class SharedFeed {
  readonly #stream: EventStream;
  /** Each tab with the seq after which it wants events. */
  readonly #followers = new Map<Follower, number>();
  #recent: Envelope[] = [];
  /** The place before the first event of `#recent`. */
  #start: Cursor | null = null;
  #problem: Problem | null = null;
  #toldHeardAt = 0;

  constructor(token: string | null) {
    this.#stream = new EventStream({
      address, token,
      onMessage: (envelope) => this.#receive(envelope),
      onPhase: (_phase: Phase, problem) => {
        this.#problem = problem;
        this.#tellAll({ kind: "state", state: this.#state() });
      },
    });
  }

  get isIdle(): boolean {
    return this.#followers.size === 0;
  }

  follow(follower: Follower, since: string): void {
    const wanted = cursorOf(since);
    if (!wanted) return;
    const isOpen = this.#start !== null && this.#stream.phase !== "refused" && this.#stream.phase !== "ended";
    if (!isOpen || this.#start?.epoch !== wanted.epoch) {
      // The list is newer than what the stream knows of the log: the others have to list, too.
      for (const other of this.#followers.keys()) if (other !== follower) other.post({ kind: "resync" });
      this.#followers.clear();
      this.#recent = [];
      this.#start = wanted;
      this.#followers.set(follower, wanted.seq);
      this.#stream.open(since);
      return;
    }
    if (wanted.seq < this.#start.seq) {
      follower.post({ kind: "resync" });
      return;
    }
    this.#followers.set(follower, wanted.seq);
    follower.post({ kind: "state", state: this.#state() });
    for (const envelope of this.#recent) this.#pass(follower, wanted.seq, envelope);
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
  }

  retryNow(): void {
    this.#stream.retryNow();
  }

  close(): void {
    this.#stream.close();
  }

  #receive(envelope: Envelope): void {
    const { event, id } = envelope;
    if (event === "reset") {
      this.#recent = [];
      this.#start = cursorOf(id);
      for (const follower of this.#followers.keys()) follower.post({ kind: "resync" });
      this.#followers.clear();
      return;
    }
    if (isControl(event)) return;
    this.#recent.push(envelope);
    if (this.#recent.length > RECENT_MAX) {
      const gone = this.#recent.splice(0, RECENT_MAX / 2).at(-1);
      this.#start = cursorOf(gone?.id);
    }
    for (const [follower, after] of this.#followers) this.#pass(follower, after, envelope);
    this.#tellHeard();
  }

  #pass(follower: Follower, after: number, envelope: Envelope): void {
    if ((cursorOf(envelope.id)?.seq ?? 0) > after) follower.post({ kind: "message", envelope });
  }

  #tellHeard(): void {
    if (Date.now() - this.#toldHeardAt < HEARD_MS) return;
    this.#tellAll({ kind: "state", state: this.#state() });
  }

  #tellAll(message: ToTab): void {
    this.#toldHeardAt = Date.now();
    for (const follower of this.#followers.keys()) follower.post(message);
  }

  #state(): ConnectionState {
    const problem = this.#problem;
    return {
      phase: this.#stream.phase, heardAt: this.#stream.heardAt,
      problem: problem && { status: problem.status, code: problem.code, title: problem.title, detail: problem.detail },
    };
  }
}
