// The strip below the top bar: whether what the page shows is still true, and since when it is not.

import { askForToken, isSignedOut, onAccessChange, signIn, token } from "./access.ts";
import type { ConnectionState } from "./connection/protocol.ts";
import { byId, el, setText } from "./dom.ts";
import { setAway } from "./gate.ts";
import { clockMinute, since } from "./times.ts";

const LABELS = { connecting: "Connecting", live: "Live", lost: "Connection lost", refused: "Refused", ended: "Paused" } as const;
/** A reload of the hub takes less: a strip that flashes up tells nobody anything. */
const GRACE_MS = 400;

export interface StripActions {
  /** Try at once. */
  retry: () => void;
  /** There is another token now: begin anew. */
  restart: () => void;
}

export class Strip {
  #state: ConnectionState = { phase: "connecting", heardAt: 0, problem: null };
  #lostAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #words = el("span", {});
  readonly #button = el("button", { class: "button small", type: "button" });
  #act = () => {};

  constructor(readonly actions: StripActions) {
    byId("strip").replaceChildren(this.#words, this.#button);
    this.#button.addEventListener("click", () => this.#act());
    onAccessChange(() => this.#draw());
    this.#draw();
  }

  show(state: ConnectionState): void {
    const wasLost = this.#state.phase === "lost";
    this.#state = state;
    if (state.phase === "lost" && !wasLost) this.#lostAt = Date.now();
    if (state.phase === "refused" && state.problem?.status === 401) void this.#refused();
    this.#draw();
  }

  /** The hub could not be asked for a list. */
  showUnreachable(): void {
    this.show({ phase: "lost", heardAt: this.#state.heardAt, problem: null });
  }

  async #refused(): Promise<void> {
    if (await askForToken(token())) this.actions.restart();
  }

  #draw(): void {
    clearTimeout(this.#timer);
    const { phase, heardAt, problem } = this.#state;
    const pill = byId("connection");
    pill.dataset["state"] = isSignedOut() ? "disconnected" : phase === "live" ? "connected" : phase === "connecting" ? "connecting" : "reconnecting";
    setText(pill, isSignedOut() ? "Signed out" : LABELS[phase]);
    const strip = byId("strip");
    if (isSignedOut()) {
      strip.hidden = false;
      strip.dataset["kind"] = "signed-out";
      setText(this.#words, "You are not signed in, so there is nothing to see.");
      this.#offer("Sign in", () => void signIn().then((isIn) => isIn && this.actions.restart()));
      return;
    }
    if (phase === "lost") {
      setAway(true);
      if (Date.now() - this.#lostAt >= GRACE_MS) {
        const shown = heardAt > 0 ? `Connection lost ${since(heardAt)} ago, shown as of ${clockMinute(heardAt)}` : "The hub does not answer";
        strip.hidden = false;
        strip.dataset["kind"] = "lost";
        setText(this.#words, `${shown}${problem ? `: ${problem.detail}` : ""}`);
        this.#offer("Try now", this.actions.retry);
      }
      this.#timer = setTimeout(() => this.#draw(), strip.hidden ? GRACE_MS : 1000);
      return;
    }
    setAway(phase !== "live" && heardAt > 0);
    if (phase === "refused" && problem && problem.status !== 401) {
      strip.hidden = false;
      strip.dataset["kind"] = "lost";
      setText(this.#words, problem.detail);
      this.#offer("Try again", this.actions.restart);
      return;
    }
    strip.hidden = true;
  }

  #offer(label: string, act: () => void): void {
    setText(this.#button, label);
    this.#act = act;
  }
}
