// The hub itself: who follows its stream and how far behind they are, how much is sent, what waits, and its version. It
// asks every two seconds while it is shown.

import { eventStatus, health, listExecutions, metricsText } from "../shared/api.ts";
import type { EventStatus } from "../shared/api-types.ts";
import { byId, el, setText } from "../shared/dom.ts";
import { ago, bytesWords } from "../shared/times.ts";
import { toastProblem } from "../shared/toast.ts";
import type { BoardStore } from "./board-store.ts";
import { rateChart } from "./rate-chart.ts";

const PERIOD_MS = 2000;
const SAMPLES_MAX = 90; // three minutes

const REASONS: Record<string, string> = {
  closed: "closed by the client", reset: "connection reset", timed_out: "took nothing for too long", drained: "the hub stopped",
  revoked: "token revoked", failed: "failed", overtaken: "overtaken by retention", cut_off: "cut off",
};

/** What is counted since the start; its growth is a rate. */
interface Sample {
  at: number;
  events: number;
  sent: number;
  bytes: number;
  requests: number;
}

const RATES = [
  { id: "events", label: "Changes", unit: (rate: number) => `${rate.toFixed(rate < 10 ? 1 : 0)}/s` },
  { id: "sent", label: "Events sent", unit: (rate: number) => `${rate.toFixed(rate < 10 ? 1 : 0)}/s` },
  { id: "bytes", label: "Sent to streams", unit: (rate: number) => `${bytesWords(Math.round(rate))}/s` },
  { id: "requests", label: "Requests", unit: (rate: number) => `${rate.toFixed(rate < 10 ? 1 : 0)}/s` },
] as const;

export class HubView {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isShown = false;
  readonly #samples: Sample[] = [];

  constructor(readonly store: BoardStore) {}

  show(isShown: boolean): void {
    const wasShown = this.#isShown;
    this.#isShown = isShown;
    byId("hub-view").hidden = !isShown;
    if (isShown && !wasShown) void this.#read();
    if (!isShown) clearTimeout(this.#timer);
  }

  async #read(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const [status, { version }, metrics, queued, running] = await Promise.all([
        eventStatus(), health(), metricsText(),
        listExecutions({ status: "queued", limit: 500 }), listExecutions({ status: "running", limit: 500 }),
      ]);
      const inFlight = metric(metrics, "taskhub_http_requests_in_flight");
      this.#samples.push({
        at: performance.now(), events: Number(/\d+$/.exec(status.head)?.[0] ?? 0), sent: status.total_events_sent,
        bytes: status.total_bytes_sent, requests: metric(metrics, "taskhub_http_request_duration_seconds_count"),
      });
      if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
      this.#drawRates();
      this.#drawFacts([
        ["Version", version], ["Tasks", this.store.tasks.size.toLocaleString("en")],
        ["Running", String(running.length)], ["Queued", `${queued.length}${queued.length === 500 ? "+" : ""}`],
        ["Clients", String(status.connected_clients)], ["Requests in flight", String(inFlight)],
        ["Events in memory", `${status.ring_events.toLocaleString("en")} (${bytesWords(status.ring_bytes)})`],
        ["Log of events", `${seqOf(status.oldest)} to ${seqOf(status.head)}`], ["Epoch", status.epoch],
      ]);
      this.#drawClients(status);
    } catch (error) {
      // While the hub is away the strip says so.
      if (this.#samples.length === 0) toastProblem(error);
    }
    if (this.#isShown) this.#timer = setTimeout(() => void this.#read(), PERIOD_MS);
  }

  #drawFacts(facts: [string, string][]): void {
    const list = byId("hub-facts");
    if (list.children.length !== facts.length) {
      list.replaceChildren(...facts.map(([name]) => el("div", {}, el("dt", { text: name }), el("dd", {}))));
    }
    for (const [at, [, value]] of facts.entries()) setText(list.children[at]?.lastElementChild as HTMLElement, value);
  }

  #drawRates(): void {
    byId("hub-rates").replaceChildren(...RATES.map(({ id, label, unit }) => {
      const rates = this.#samples.slice(1).map((sample, at) => {
        const before = this.#samples[at] as Sample;
        return Math.max(0, (sample[id] - before[id]) / ((sample.at - before.at) / 1000));
      });
      const now = rates.at(-1);
      return el("figure", { class: "rate" },
        el("figcaption", {}, el("span", { class: "muted", text: label }), el("strong", { text: now === undefined ? "…" : unit(now) })),
        rateChart(rates, SAMPLES_MAX));
    }));
  }

  #drawClients({ clients, recent_disconnects: gone }: EventStatus): void {
    byId("hub-clients").replaceChildren(...(clients ?? []).map((client) => el("tr", {},
      el("td", { class: "mono", text: client.address ?? "unknown" }),
      el("td", {}, el("span", { title: new Date(client.connected_at).toLocaleString(), text: ago(client.connected_at) })),
      el("td", { class: client.lag_events > 0 ? "lags" : "", text: client.lag_events === 0 ? "up to date" : `${client.lag_events.toLocaleString("en")} events, ${bytesWords(client.lag_bytes)}` }),
      el("td", { text: client.events_sent.toLocaleString("en") }), el("td", { text: bytesWords(client.bytes_sent) }),
      el("td", { text: client.filtered ? "some events" : "all events" }))));
    byId("hub-clients-empty").hidden = (clients ?? []).length > 0;
    byId("hub-gone").replaceChildren(...(gone ?? []).slice(0, 10).map((client) => el("tr", {},
      el("td", { class: "mono", text: client.address ?? "unknown" }),
      el("td", { text: REASONS[client.reason] ?? client.reason }),
      el("td", {}, el("span", { title: new Date(client.disconnected_at).toLocaleString(), text: ago(client.disconnected_at) })),
      el("td", { text: client.events_sent.toLocaleString("en") }))));
    byId("hub-gone-section").hidden = (gone ?? []).length === 0;
  }
}

const seqOf = (id: string): string => Number(/\d+$/.exec(id)?.[0] ?? 0).toLocaleString("en");

/** The value of a metric without labels. */
function metric(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
}
