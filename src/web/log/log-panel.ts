// A log with its bar: search, the first error, wrapping, following, copying and the download.

import { downloadLog } from "../shared/api.ts";
import type { Execution } from "../shared/api-types.ts";
import { copyText } from "../shared/clipboard.ts";
import type { Connection } from "../shared/connection/connection.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { bytesWords } from "../shared/times.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import { LogDocument, type Hits } from "./log-document.ts";
import { LogView } from "./log-view.ts";

const SEARCH_MS = 150;
const WRAP_KEY = "taskhub.log-wrap";

export class LogPanel {
  #log: LogDocument | null = null;
  #hits: Hits | null = null;
  #hit = -1;
  /** The line that the address asks for, shown as soon as it was read. */
  #wanted: number | null = null;
  #searching: ReturnType<typeof setTimeout> | undefined;
  readonly #search = byId<HTMLInputElement>("log-search");
  readonly #view: LogView;

  /** `onLine(run, line)` is called when the number of a line was pressed; lines count from 1. */
  constructor(readonly connection: Connection, readonly onLine: (run: Execution, line: number) => void) {
    const follow = byId("log-follow");
    this.#view = new LogView(byId("drawer-log"), {
      onFollow: (follows) => follow.setAttribute("aria-pressed", String(follows)),
      onLine: (index) => {
        this.#view.goTo(index);
        if (this.#log) this.onLine(this.#log.execution, index + 1);
      },
    });
    follow.addEventListener("click", () => this.#view.follow(follow.getAttribute("aria-pressed") !== "true"));
    byId("log-wrap").addEventListener("click", () => this.#setWrap(byId("log-wrap").getAttribute("aria-pressed") !== "true"));
    this.#setWrap(localStorageGet(WRAP_KEY) === "true");
    byId("log-copy").addEventListener("click", () => void this.#copy());
    byId("log-download").addEventListener("click", () => void this.#download());
    byId("log-error").addEventListener("click", () => void this.#firstError());
    byId("log-previous").addEventListener("click", () => this.#step(-1));
    byId("log-next").addEventListener("click", () => this.#step(1));
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#searching);
      this.#searching = setTimeout(() => this.#startSearch(), SEARCH_MS);
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape" && this.#search.value !== "") {
        this.#search.value = "";
        this.#startSearch();
        event.stopPropagation();
      } else return;
      event.preventDefault();
    });
  }

  get runId(): string | null {
    return this.#log?.execution.id ?? null;
  }

  show(run: Execution): void {
    this.hide();
    byId("drawer-log").setAttribute("aria-label", `Log of ${run.session_name}`);
    this.#log = new LogDocument(this.connection, run, {
      onChange: () => this.#changed(),
      onHits: (hits) => this.#showHits(hits),
      onProblem: (problem) => toastProblem(problem),
    });
    this.#view.show(this.#log);
    this.#changed();
  }

  hide(): void {
    this.#log?.close();
    this.#log = null;
    this.#search.value = "";
    this.#hits = null;
    this.#drawHits();
    this.#view.show(null);
  }

  /** Shows this line, also when it has yet to be read. */
  goToLine(line: number): void {
    this.#wanted = line - 1;
    this.#changed();
  }

  focusSearch(): void {
    this.#search.focus();
  }

  #changed(): void {
    const { length = 0, size = 0, total = 0, isCaughtUp = false } = this.#log ?? {};
    const lines = length === 1 ? "1 line" : `${length.toLocaleString("en")} lines`;
    const isPart = this.#log !== null && size < total;
    const share = isPart && !isCaughtUp ? `, ${bytesWords(size)} of ${bytesWords(total)} read` : isPart ? ` in the first ${bytesWords(size)}` : "";
    setText(byId("log-count"), lines + share);
    this.#view.draw();
    if (this.#wanted === null || !(this.#wanted < length || isCaughtUp)) return;
    this.#view.goTo(Math.min(this.#wanted, Math.max(0, length - 1)));
    if (isCaughtUp) this.#wanted = null; // until then the line moves while the log becomes longer
  }

  #setWrap(wraps: boolean): void {
    byId("log-wrap").setAttribute("aria-pressed", String(wraps));
    this.#view.wrap(wraps);
    try {
      localStorage.setItem(WRAP_KEY, String(wraps));
    } catch {
      // For this page alone.
    }
  }

  #startSearch(): void {
    this.#hits = null;
    this.#hit = -1;
    this.#view.mark(this.#search.value);
    this.#log?.search(this.#search.value);
    this.#drawHits();
  }

  #showHits(hits: Hits): void {
    if (this.#search.value === "") return;
    const isFirst = this.#hits === null;
    this.#hits = hits;
    if (isFirst && hits.lines.length > 0) this.#step(1);
    else this.#drawHits();
  }

  #step(step: number): void {
    const count = this.#hits?.lines.length ?? 0;
    if (count > 0) {
      this.#hit = this.#hit < 0 ? (step > 0 ? 0 : count - 1) : (this.#hit + step + count) % count;
      this.#view.goTo(this.#hits?.lines[this.#hit] ?? 0);
    }
    this.#drawHits();
  }

  #drawHits(): void {
    const isOn = this.#search.value !== "";
    for (const id of ["log-previous", "log-next"]) byId(id).hidden = !isOn;
    const { lines, isComplete = false, isCut = false } = this.#hits ?? {};
    const count = lines?.length ?? 0;
    const all = `${count.toLocaleString("en")}${isCut || !isComplete ? "+" : ""}`;
    const words = !this.#hits ? "…" : count === 0 ? "No match" : `${(this.#hit + 1).toLocaleString("en")} of ${all}`;
    setText(byId("log-hits"), isOn ? words : "");
  }

  async #firstError(): Promise<void> {
    const line = await this.#log?.firstError();
    if (typeof line === "number") this.#view.goTo(line);
    else toast("info", "No line of this log tells an error.");
  }

  async #copy(): Promise<void> {
    const text = await this.#log?.text();
    if (typeof text === "string") void copyText(text, "The log is copied");
    else toast("warning", "This log is too long for the clipboard. Download it instead.");
  }

  async #download(): Promise<void> {
    const run = this.#log?.execution;
    if (!run) return;
    try {
      const address = URL.createObjectURL(await downloadLog(run.task_id, run.id));
      el("a", { href: address, download: `${run.session_name}.log` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      toastProblem(error);
    }
  }
}

function localStorageGet(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
