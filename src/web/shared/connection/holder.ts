// Holds the connections to the hub for all tabs: one stream of events for each token, and a few of logs. Over HTTP/1.1 a
// browser has six connections to a host, in all tabs together.

import type { Port, ToHolder, ToTab } from "./protocol.ts";
import { SharedFeed } from "./shared-feed.ts";
import { SharedLog } from "./shared-log.ts";

/** With the stream of events and two monitors this leaves one connection for requests. */
const LOGS_MAX = 2;

type TabPort = Port<ToTab, ToHolder>;

export class Holder {
  readonly #feeds = new Map<string, SharedFeed>();
  readonly #feedOf = new Map<TabPort, string>();
  readonly #logs = new Map<string, SharedLog>();
  readonly #logsOf = new Map<TabPort, Map<string, string>>();
  readonly #watched = new Set<string>();

  attach(port: TabPort): void {
    port.onMessage = (message) => this.#receive(port, message);
  }

  #receive(port: TabPort, message: ToHolder): void {
    switch (message.kind) {
      case "follow": return this.#follow(port, message.tab, message.token ?? "", message.since);
      case "leave": return this.#leave(port);
      case "retry": return this.#retry();
      case "followLog": return this.#followLog(port, message);
      case "leaveLog": return this.#leaveLog(port, message.log);
    }
  }

  #follow(port: TabPort, tab: string, token: string, since: string): void {
    if (this.#feedOf.get(port) !== token) this.#leaveFeed(port);
    let feed = this.#feeds.get(token);
    if (!feed) {
      feed = new SharedFeed(token || null);
      this.#feeds.set(token, feed);
    }
    this.#feedOf.set(port, token);
    feed.follow(port, since);
    this.#watch(port, tab);
  }

  /** A tab that crashed says nothing, but gives its lock back. */
  #watch(port: TabPort, tab: string): void {
    if (!navigator.locks || this.#watched.has(tab)) return;
    this.#watched.add(tab);
    void navigator.locks.request(tab, () => {
      this.#watched.delete(tab);
      this.#leave(port);
    });
  }

  #leave(port: TabPort): void {
    this.#leaveFeed(port);
    for (const log of [...(this.#logsOf.get(port)?.keys() ?? [])]) this.#leaveLog(port, log);
    this.#logsOf.delete(port);
  }

  #leaveFeed(port: TabPort): void {
    const token = this.#feedOf.get(port);
    if (token === undefined) return;
    this.#feedOf.delete(port);
    const feed = this.#feeds.get(token);
    feed?.leave(port);
    // A tab whose list has to be read anew counts as well: it comes back.
    if (feed && ![...this.#feedOf.values()].includes(token)) {
      feed.close();
      this.#feeds.delete(token);
    }
  }

  #retry(): void {
    for (const feed of this.#feeds.values()) feed.retryNow();
    for (const log of this.#logs.values()) log.retryNow();
  }

  #followLog(port: TabPort, message: Extract<ToHolder, { kind: "followLog" }>): void {
    const { log, token, taskId, executionId, offset } = message;
    const key = `${token ?? ""}\n${executionId}`;
    let shared = this.#logs.get(key);
    if (!shared) {
      const open = [...this.#logs.values()].filter((it) => it.isOpen);
      if (open.length >= LOGS_MAX) return port.post({ kind: "logBusy", log });
      shared = new SharedLog(token, taskId, executionId, offset);
      this.#logs.set(key, shared);
    }
    if (!shared.join({ post: (it) => port.post(it), log }, offset)) return port.post({ kind: "logBusy", log });
    const mine = this.#logsOf.get(port) ?? new Map<string, string>();
    this.#logsOf.set(port, mine.set(log, key));
  }

  #leaveLog(port: TabPort, log: string): void {
    const key = this.#logsOf.get(port)?.get(log);
    if (key === undefined) return;
    this.#logsOf.get(port)?.delete(log);
    const shared = this.#logs.get(key);
    shared?.leave(log);
    if (!shared?.isIdle) return;
    shared.close();
    this.#logs.delete(key);
  }
}
