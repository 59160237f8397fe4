// Short messages in the corner.

import { el, icon } from "/assets/dom.js";

const LIFE_MS = 7000;
const SHOWN_MAX = 4; // a server that fails every request must not fill the screen

const list = el("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** `kind` is info | warning | error. */
export function toast(kind, text, title) {
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
    el("button", { class: "icon-button", type: "button", "aria-label": "Dismiss", on: { click: close } }, icon("close")),
  );
  list.append(item);
  if (home !== document.body) item.scrollIntoView({ block: "nearest" });
  while (list.children.length > SHOWN_MAX) list.firstChild.remove();
  setTimeout(close, kind === "error" ? LIFE_MS * 2 : LIFE_MS);
}

export function toastProblem(error) {
  if (!("detail" in error)) {
    console.error(error); // a mistake in the page itself, not an answer of the server
    toast("error", String(error.message ?? error));
    return;
  }
  toast("error", error.detail, error.title !== error.detail ? error.title : undefined);
}
