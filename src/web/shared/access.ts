// The token of a hub that asks for one: typed once, kept for this tab alone, and never in an address.

import { el } from "/assets/dom.js";

const KEY = "taskhub.token"; // docs.js reads it, too

let asking = null;
let declined = false;

export const token = () => sessionStorage.getItem(KEY);

export const bearer = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

/**
 * Asks for a token, once for all who need one. `used` is what was refused: when there is another
 * one by now, that is the answer. False when the person has said no.
 */
export function askForToken(used) {
  if (declined) return Promise.resolve(false);
  if (token() && token() !== used) return Promise.resolve(true);
  asking ??= ask(Boolean(used)).finally(() => (asking = null));
  return asking;
}

function ask(wasRefused) {
  const input = el("input", {
    class: "input mono", name: "token", type: "password", required: true, autocomplete: "off", placeholder: "taskhub_…",
  });
  const words = wasRefused
    ? "The hub has refused this token: it is unknown, revoked or expired."
    : "This hub asks for a token. Its operator makes one with “taskhub token create”.";
  const cancel = el("button", { class: "button", type: "button", text: "Cancel" });
  const form = el("form", { method: "dialog" },
    el("header", {}, el("h2", { text: "Token" })),
    el("div", { class: "dialog-body" },
      el("p", { text: words }),
      el("label", { class: "field" }, el("span", { text: "Kept in this tab until it is closed" }), input)),
    el("footer", {}, cancel, el("button", { class: "button primary", type: "submit", text: "Use it" })));
  const dialog = el("dialog", { class: "dialog", id: "token-dialog", "aria-label": "Token" }, form);
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  let isGiven = false;
  return new Promise((resolve) => {
    form.addEventListener("submit", () => {
      sessionStorage.setItem(KEY, input.value.trim());
      isGiven = true; // the dialog closes now
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      // Asked again by every request, nobody could use what the page shows without one; reloading asks anew.
      declined = !isGiven;
      resolve(isGiven);
    });
  });
}
