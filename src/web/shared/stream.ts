// The live half of the API: an EventSource with a cursor.
//
// The browser reconnects by itself after a dropped connection and sends Last-Event-ID.
// It gives up for ever when the answer is anything but 200: then this class opens a new
// EventSource at the cursor of the last message, with a growing delay, unless the owner
// asked not to (`retryRefused: false`).
//
// Where the hub asks for a token, each EventSource is opened with a ticket, which is good once: so one that
// reconnects by itself is refused, and a new one takes its place at the cursor.

import { askForToken, bearer, token } from "/assets/access.js";
import { createTicket, Problem } from "/assets/api.js";
import { takePlace } from "/assets/places.js";

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

export const MESSAGE_KINDS = [
  "task_created", "task_updated", "task_deleted", "execution_event", "announcement",
  "comment_added", "question_asked", "question_answered", "question_expired",
  "connected", "snapshot", "checkpoint", "reset", "goodbye",
];

export class EventFeed {
  #source = null;
  #timer = 0;
  #attempts = 0;
  #turn = 0;
  #connecting = false;
  #release = null;
  #waiting = null;

  /**
   * `address(cursor)` gives the URL to open; `onMessage(envelope)` gets each message in order;
   * `onState(state, problem?)` gets connecting | waiting | connected | reconnecting | disconnected: it waits while five other tabs have
   * streams.
   */
  constructor({ address, onMessage, onState, retryRefused = true }) {
    this.address = address;
    this.onMessage = onMessage;
    this.onState = onState;
    this.retryRefused = retryRefused;
    this.cursor = null;
  }

  get isOpen() {
    return this.#source !== null || this.#timer !== 0 || this.#connecting;
  }

  open(cursor = null) {
    this.#drop();
    this.cursor = cursor;
    this.#attempts = 0;
    this.onState("connecting");
    this.#connect();
  }

  close() {
    this.#drop();
    this.onState("disconnected");
  }

  async #connect() {
    const turn = ++this.#turn;
    const address = this.address(this.cursor);
    this.#connecting = true;
    if (!(await this.#placed(turn))) return;
    let ticketed;
    try {
      ticketed = await withTicket(address);
    } catch (problem) {
      if (turn === this.#turn) this.#refused(address, problem);
      return;
    }
    if (turn !== this.#turn) return; // closed, or opened elsewhere, meanwhile
    this.#connecting = false;
    const source = new EventSource(ticketed);
    this.#source = source;
    source.onopen = () => {
      this.#attempts = 0;
      this.onState("connected");
    };
    source.onerror = () => {
      if (source !== this.#source) return;
      if (source.readyState === EventSource.CLOSED) this.#refused(address);
      else this.onState("reconnecting");
    };
    source.onmessage = (message) => this.#receive(source, message);
    // Only a stream opened with named=true sends these; onmessage then stays silent.
    for (const kind of MESSAGE_KINDS) source.addEventListener(kind, source.onmessage);
  }

  /** Takes a place among the tabs of this browser; false when it is not wanted any more. */
  async #placed(turn) {
    this.#waiting = new AbortController();
    try {
      const release = await takePlace(() => this.onState("waiting"), this.#waiting.signal);
      if (turn === this.#turn) this.#release = release;
      else release();
    } catch {
      return false; // closed meanwhile
    }
    return turn === this.#turn;
  }

  #receive(source, message) {
    if (source !== this.#source) return;
    const envelope = JSON.parse(message.data);
    if (envelope.id) this.cursor = envelope.id;
    this.onMessage(envelope);
  }

  async #refused(url, known = null) {
    this.#drop();
    const turn = this.#turn;
    this.#connecting = true;
    if (this.retryRefused) this.onState("reconnecting");
    const shown = token();
    const problem = known ?? (await whyRefused(url));
    if (turn !== this.#turn) return;
    if (problem?.status === 401 && (await askForToken(shown))) {
      if (turn === this.#turn) this.#connect();
      return;
    }
    if (turn !== this.#turn) return;
    this.#connecting = false;
    if (problem && !this.retryRefused) {
      this.onState("disconnected", problem);
      return;
    }
    this.onState("reconnecting");
    const delay = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#connect();
    }, delay);
  }

  #drop() {
    this.#turn += 1;
    this.#connecting = false;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#source?.close();
    this.#source = null;
    this.#waiting?.abort();
    this.#release?.();
    this.#release = null;
  }
}

async function withTicket(address) {
  if (!token()) return address;
  const { ticket } = await createTicket();
  return `${address}${address.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}`;
}

/** EventSource hides the answer it disliked: ask once more to read the problem. Null when there is none any more. */
async function whyRefused(url) {
  const giveUp = new AbortController();
  try {
    const headers = { Accept: "text/event-stream", ...bearer() };
    const response = await fetch(url, { signal: giveUp.signal, headers });
    if (response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream")) return null;
    if (response.ok) return new Problem(response.status, "", "Stream ended", "This address is not an event stream.");
    return await Problem.from(response);
  } catch {
    return new Problem(0, "unreachable", "Server not reachable", "The server did not answer. Is it running?");
  } finally {
    giveUp.abort();
  }
}
