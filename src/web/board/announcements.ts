// Messages to everybody: a critical one is a banner until it is read; all are in a list; a form makes one.

import { announce, listEvents } from "../shared/api.ts";
import type { AnnouncementData, AnnouncementLevel, Envelope } from "../shared/api-types.ts";
import { byId, el, icon } from "../shared/dom.ts";
import { toast, toastProblem } from "../shared/toast.ts";

const READ_KEY = "taskhub.announcements.read";
const READ_MAX = 500;
const DAYS_SHOWN = 7;
const LISTED_MAX = 200;
const KINDS = { info: "info", warning: "warning", critical: "error" } as const;

interface Announcement extends AnnouncementData {
  id: string;
  actor: string | null;
  timestamp: string;
}

export class Announcements {
  readonly #all = new Map<string, Announcement>();
  readonly #read: Set<string>;
  readonly #dialog = byId<HTMLDialogElement>("announcements-dialog");
  readonly #form = byId<HTMLFormElement>("announcement-form");

  constructor() {
    this.#read = readIds();
    byId("announcements").addEventListener("click", () => this.#open());
    byId("announcements-close").addEventListener("click", () => this.#dialog.close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#announce();
    });
    // Another tab has read one.
    addEventListener("storage", (event) => {
      if (event.key !== READ_KEY) return;
      for (const id of readIds()) this.#read.add(id);
      this.#draw();
    });
  }

  /** Reads those of the last days: a critical one may have come while nobody looked. */
  async load(): Promise<void> {
    const since = new Date(Date.now() - DAYS_SHOWN * 86_400_000).toISOString();
    try {
      const events = await listEvents({ events: "announcement", since, limit: LISTED_MAX });
      for (const envelope of events) this.#put(envelope);
      this.#draw();
    } catch {
      // A token of some projects may not read these, and a hub that is away says so elsewhere.
    }
  }

  apply(envelope: Envelope): void {
    if (this.#all.has(envelope.id)) return;
    const { level, message } = this.#put(envelope);
    if (level !== "critical") toast(KINDS[level] ?? "info", message, { title: "Announcement" });
    this.#draw();
  }

  #put({ id, data, timestamp }: Envelope): Announcement {
    const announcement = {
      id, timestamp, level: data["level"] as AnnouncementLevel, message: String(data["message"]),
      actor: (data["actor"] ?? null) as string | null,
    };
    this.#all.set(id, announcement);
    return announcement;
  }

  #sorted(): Announcement[] {
    return [...this.#all.values()].sort((a, b) => (a.timestamp < b.timestamp ? 1 : -1));
  }

  #draw(): void {
    const unread = this.#sorted().filter((it) => it.level === "critical" && !this.#read.has(it.id));
    byId("banners").replaceChildren(...unread.map((it) => this.#banner(it)));
    byId("announcements").dataset["unread"] = String(unread.length);
    const items = this.#sorted().map(item);
    byId("announcement-list").replaceChildren(...(items.length > 0 ? items : [
      el("li", { class: "muted", text: `No announcements in the last ${DAYS_SHOWN} days.` })]));
  }

  #banner(it: Announcement): HTMLElement {
    const dismiss = () => {
      this.#read.add(it.id);
      saveIds(this.#read);
      this.#draw();
    };
    return el("div", { class: "banner", role: "alert", data: { id: it.id } }, icon("alert"),
      el("p", {}, el("strong", { text: it.message }), el("span", { class: "muted", text: who(it) })),
      el("button", { class: "button small", type: "button", text: "Mark as read", on: { click: dismiss } }));
  }

  #open(): void {
    this.#draw();
    this.#dialog.showModal();
  }

  async #announce(): Promise<void> {
    const fields = this.#form.elements;
    const message = (fields.namedItem("message") as HTMLTextAreaElement).value.trim();
    const level = (fields.namedItem("level") as HTMLSelectElement).value as AnnouncementLevel;
    if (!message) return;
    try {
      await announce({ level, message });
      this.#form.reset();
    } catch (error) {
      toastProblem(error);
    }
  }
}

const who = ({ actor, timestamp }: Announcement) => `${actor ? `${actor} · ` : ""}${new Date(timestamp).toLocaleString()}`;

function item(it: Announcement): HTMLElement {
  return el("li", { class: "announcement", data: { level: it.level } }, icon(it.level === "info" ? "info" : "alert"),
    el("div", {}, el("p", { class: "prose", text: it.message }),
      el("span", { class: "muted", text: `${it.level} · ${who(it)}` })));
}

function readIds(): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(READ_KEY) ?? "[]") as string[]);
  } catch {
    return new Set();
  }
}

function saveIds(ids: Set<string>): void {
  try {
    localStorage.setItem(READ_KEY, JSON.stringify([...ids].slice(-READ_MAX)));
  } catch {
    // Read again after the next reload.
  }
}
