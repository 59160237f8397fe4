// One stream of messages, read by fetch, that comes back by itself at the last message.
//
// It is not an EventSource: that one hides the keepalive, so it takes a hub that hangs for one that is silent. Here every
// byte counts as a sign of life, and a watchdog ends a stream that is silent for twice the time after which the hub has to
// send something. It can also send a token, which an EventSource cannot.

import { Problem } from "../problem.ts";
import type { Envelope } from "../api-types.ts";
import { SseParser } from "./sse-parser.ts";

/** The shortest that a hub allows: a person should not look at an old board for long. */
export const KEEPALIVE_SECONDS = 5;
export const SILENCE_MS_MAX = 2 * KEEPALIVE_SECONDS * 1000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 10_000;

/** `refused`: the hub has answered that it will not stream; nothing is tried until somebody does something about it. */
export type Phase = "connecting" | "live" | "lost" | "refused" | "ended";

export interface StreamOptions {
  /** The address to open, to go on after `cursor`. */
  address: (cursor: string | null) => string;
  token: string | null;
  onMessage: (envelope: Envelope) => void;
  onPhase: (phase: Phase, problem: Problem | null) => void;
  /** Whether a refusal is final, apart from 401 and 403, which always are. */
  stopsWhenRefused?: boolean;
  /** The kind of the message after which nothing more comes. */
  lastEvent?: string;
}

export class EventStream {
  readonly #options: StreamOptions;
  #request: AbortController | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;
  #wasLive = false;
  cursor: string | null = null;
  /** When the hub was last heard. */
  heardAt = 0;
  phase: Phase = "connecting";

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  open(cursor: string | null): void {
    this.#drop();
    this.cursor = cursor;
    this.#attempts = 0;
    this.#wasLive = false;
    this.#show("connecting");
    void this.#connect();
  }

  close(): void {
    this.#drop();
    this.phase = "ended";
  }

  /** Tries at once, if it waits for the next attempt. */
  retryNow(): void {
    if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    void this.#connect();
  }

  async #connect(): Promise<void> {
    const request = new AbortController();
    this.#request = request;
    // Aborted by the watchdog, or by whoever closes or reopens the stream.
    let watchdog = setTimeout(() => request.abort(), SILENCE_MS_MAX);
    const isCurrent = () => this.#request === request;
    let problem: Problem | null = null;
    try {
      const response = await fetch(this.#options.address(this.cursor), {
        headers: {
          Accept: "text/event-stream",
          ...(this.#options.token ? { Authorization: `Bearer ${this.#options.token}` } : {}),
        },
        cache: "no-store",
        signal: request.signal,
      });
      if (!isCurrent()) return;
      if (!response.ok) throw await Problem.from(response);
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream") || !response.body) {
        throw new Problem(response.status, "no_stream", "Not a stream", "This address is not a stream of events.");
      }
      this.#attempts = 0;
      this.#hear();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new SseParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (!isCurrent()) return;
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => request.abort(), SILENCE_MS_MAX);
        this.#hear();
        for (const message of parser.feed(value)) {
          if (this.#deliver(message.id, message.data)) return;
          if (!isCurrent()) return;
        }
      }
    } catch (error) {
      problem = error instanceof Problem ? error : null;
    } finally {
      clearTimeout(watchdog);
    }
    if (isCurrent()) this.#failed(problem);
  }

  #hear(): void {
    this.heardAt = Date.now();
    this.#wasLive = true;
    if (this.phase !== "live") this.#show("live");
  }

  /** True when it was the last message. */
  #deliver(id: string, data: string): boolean {
    const envelope = JSON.parse(data) as Envelope;
    if (id) this.cursor = id;
    if (envelope.event === this.#options.lastEvent) this.close();
    this.#options.onMessage(envelope);
    return envelope.event === this.#options.lastEvent;
  }

  #failed(problem: Problem | null): void {
    this.#request = null;
    const isFinal = problem !== null &&
      (problem.status === 401 || problem.status === 403 || this.#options.stopsWhenRefused === true);
    if (isFinal) return this.#show("refused", problem);
    this.#show(this.#wasLive || this.#attempts > 0 ? "lost" : "connecting", problem);
    const delay = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#attempts) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      void this.#connect();
    }, delay);
  }

  #show(phase: Phase, problem: Problem | null = null): void {
    this.phase = phase;
    this.#options.onPhase(phase, problem);
  }

  #drop(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#request?.abort();
    this.#request = null;
  }
}
