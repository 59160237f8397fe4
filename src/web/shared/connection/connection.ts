// What a tab sees of the one connection that all tabs share.

import type { Envelope } from "../api-types.ts";
import { cursorOf } from "./cursor.ts";
import { leaderPort } from "./leader.ts";
import type { ConnectionState, Port, ProblemFacts, ToHolder, ToTab } from "./protocol.ts";

declare const WORKER_PATH: string;

export interface ConnectionOptions {
  onMessage: (envelope: Envelope) => void;
  onState: (state: ConnectionState) => void;
  /** List again, and `follow` from the cursor of that list. */
  onResync: () => void;
}

export interface LogFollower {
  onMessage: (envelope: Envelope) => void;
  /** No connection is free, or there is none for this place: ask for pages. */
  onBusy: () => void;
  onFailed: (problem: ProblemFacts) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #tab = `taskhub-tab-${Date.now()}-${Math.random().toString(36).slice(2)}`;
  readonly #port: Port<ToHolder, ToTab>;
  readonly #logs = new Map<string, LogFollower>();
  #token: string | null = null;
  #cursor: string | null = null;
  #logCount = 0;
  /** The lock by which the holder of the connection sees that this tab lives. Asked for it before, it would be granted. */
  readonly #lock: Promise<void>;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#lock = navigator.locks
      ? new Promise((held) => void navigator.locks.request(this.#tab, () => {
        held();
        return new Promise(() => {}); // as long as this tab lives
      }))
      : Promise.resolve();
    this.#port = this.#open();
    this.#port.onMessage = (message) => this.#receive(message);
    addEventListener("pagehide", () => this.#port.post({ kind: "leave" }));
    addEventListener("pageshow", (event) => event.persisted && this.#followAgain());
    const retry = () => this.#port.post({ kind: "retry" });
    addEventListener("online", retry);
    document.addEventListener("visibilitychange", () => !document.hidden && retry());
  }

  #open(): Port<ToHolder, ToTab> {
    if (typeof SharedWorker !== "function") return leaderPort(this.#tab, () => this.#followAgain());
    const worker = new SharedWorker(WORKER_PATH, { name: "taskhub", type: "module" });
    const port: Port<ToHolder, ToTab> = { post: (message) => worker.port.postMessage(message), onMessage: () => {} };
    worker.port.onmessage = ({ data }: MessageEvent<ToTab>) => port.onMessage(data);
    return port;
  }

  /** Every event after `since`, and then as it comes. */
  follow(since: string, token: string | null): void {
    this.#token = token;
    this.#cursor = since;
    void this.#lock.then(() => {
      if (since === this.#cursor) this.#port.post({ kind: "follow", tab: this.#tab, token, since });
    });
  }

  retryNow(): void {
    this.#port.post({ kind: "retry" });
  }

  /** Follows a log from a byte on; answers what ends that. */
  followLog(taskId: string, executionId: string, offset: number, follower: LogFollower): () => void {
    const log = `${this.#tab}-${++this.#logCount}`;
    this.#logs.set(log, follower);
    this.#port.post({ kind: "followLog", log, token: this.#token, taskId, executionId, offset });
    return () => {
      this.#logs.delete(log);
      this.#port.post({ kind: "leaveLog", log });
    };
  }

  #followAgain(): void {
    for (const [log, follower] of [...this.#logs]) {
      this.#logs.delete(log);
      follower.onBusy();
    }
    if (this.#cursor) this.follow(this.#cursor, this.#token);
  }

  #receive(message: ToTab): void {
    switch (message.kind) {
      case "state": return this.#options.onState(message.state);
      case "resync": return this.#options.onResync();
      case "message": {
        if (!this.#isNew(message.envelope.id)) return;
        this.#cursor = message.envelope.id;
        return this.#options.onMessage(message.envelope);
      }
      case "log": return this.#logs.get(message.log)?.onMessage(message.envelope);
      case "logBusy": {
        const follower = this.#logs.get(message.log);
        this.#logs.delete(message.log);
        return follower?.onBusy();
      }
      case "logFailed": return this.#logs.get(message.log)?.onFailed(message.problem);
    }
  }

  #isNew(id: string): boolean {
    const [known, next] = [cursorOf(this.#cursor), cursorOf(id)];
    return !known || !next || known.epoch !== next.epoch || next.seq > known.seq;
  }
}
