// Short messages in the corner. One that has an action stays as long as the action may be taken.

import { el, icon } from "./dom.ts";
import { Problem } from "./problem.ts";

const LIFE_MS = 7000;
const SHOWN_MAX = 4; // a hub that fails every request must not fill the screen

export type ToastKind = "info" | "warning" | "error";

export interface ToastOptions {
  title?: string | undefined;
  action?: { label: string; act: () => void };
  lifeMs?: number;
}

const list = el("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** Shows a message; answers what takes it away. */
export function toast(kind: ToastKind, text: string, { title, action, lifeMs }: ToastOptions = {}): () => void {
  // A modal dialog makes everything outside it inert, so the toasts move in while one is open.
  const home = document.querySelector("dialog[open] .toast-home") ?? document.body;
  if (list.parentNode !== home) {
    list.replaceChildren(); // what was said there is old here
    home.append(list);
  }
  const item = el("div", { class: "toast", data: { kind } });
  const close = () => item.remove();
  item.append(
    icon(kind === "info" ? "info" : "alert"),
    el("p", {}, title ? el("strong", { text: title }) : null, text),
    ...(action ? [el("button", { class: "button small", type: "button", text: action.label, on: { click: () => {
      close();
      action.act();
    } } })] : []),
    el("button", { class: "icon-button", type: "button", "aria-label": "Dismiss", on: { click: close } }, icon("close")),
  );
  list.append(item);
  if (home !== document.body) item.scrollIntoView({ block: "nearest" });
  while (list.children.length > SHOWN_MAX) list.firstChild?.remove();
  setTimeout(close, lifeMs ?? (kind === "error" ? LIFE_MS * 2 : LIFE_MS));
  return close;
}

export function toastProblem(error: unknown): void {
  if (!(error instanceof Problem)) {
    console.error(error); // a mistake in the page itself, not an answer of the hub
    toast("error", error instanceof Error ? error.message : String(error));
    return;
  }
  toast("error", error.detail, { title: error.title !== error.detail ? error.title : undefined });
}
