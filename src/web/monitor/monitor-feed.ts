// The stream of one monitor: its own, because its address is what the person has typed.

import { askForToken, token } from "../shared/access.ts";
import type { Envelope } from "../shared/api-types.ts";
import { EventStream } from "../shared/connection/event-stream.ts";
import type { Problem } from "../shared/problem.ts";
import { takePlace, type Release } from "./places.ts";

export type MonitorState = "connecting" | "waiting" | "connected" | "reconnecting" | "disconnected";

export interface FeedOptions {
  address: (cursor: string | null) => string;
  onMessage: (envelope: Envelope) => void;
  onState: (state: MonitorState, problem: Problem | null) => void;
}

export class MonitorFeed {
  #stream: EventStream | null = null;
  #wish: AbortController | null = null;
  #release: Release | null = null;

  constructor(readonly options: FeedOptions) {}

  async open(since: string | null): Promise<void> {
    this.#drop();
    const wish = new AbortController();
    this.#wish = wish;
    this.options.onState("connecting", null);
    try {
      const release = await takePlace(() => this.options.onState("waiting", null), wish.signal);
      if (wish.signal.aborted) return release();
      this.#release = release;
    } catch {
      return; // closed meanwhile
    }
    this.#connect(since);
  }

  close(problem: Problem | null = null): void {
    this.#drop();
    this.options.onState("disconnected", problem);
  }

  #connect(since: string | null): void {
    this.#stream?.close();
    const shown = token();
    const stream = new EventStream({
      address: this.options.address, token: shown, stopsWhenRefused: true, onMessage: this.options.onMessage,
      onPhase: (phase, problem) => {
        if (stream !== this.#stream) return;
        if (phase === "live") this.options.onState("connected", null);
        else if (phase === "connecting") this.options.onState("connecting", null);
        else if (phase === "lost") this.options.onState("reconnecting", null);
        else if (phase === "refused") void this.#refused(problem, shown);
      },
    });
    this.#stream = stream;
    stream.open(since);
  }

  async #refused(problem: Problem | null, shown: string | null): Promise<void> {
    const stream = this.#stream;
    const isIn = problem?.status === 401 && (await askForToken(shown));
    if (stream !== this.#stream) return;
    if (isIn) this.#connect(stream?.cursor ?? null);
    else this.close(problem);
  }

  #drop(): void {
    this.#wish?.abort();
    const stream = this.#stream;
    this.#stream = null;
    stream?.close();
    this.#release?.();
    this.#release = null;
  }
}
