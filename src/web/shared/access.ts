// The token of a hub that asks for one, and what it allows. A token is kept for this tab, or, if the person says so, for
// this device. It is never in an address.

import type { Identity } from "./api-types.ts";
import { el } from "./dom.ts";

const KEY = "taskhub.token"; // docs.ts reads it, too

type Scope = Identity["scope"];
const RANK: Record<Scope, number> = { read: 0, write: 1, exec: 2 };

let asking: Promise<boolean> | null = null;
let declined = false;
let identity: Identity | null = null;
const listeners = new Set<() => void>();

/** Storage throws where the browser's settings forbid it. */
function stored(storage: () => Storage): string | null {
  try {
    return storage().getItem(KEY);
  } catch {
    return null;
  }
}

function store(storage: () => Storage, value: string | null): void {
  try {
    if (value === null) storage().removeItem(KEY);
    else storage().setItem(KEY, value);
  } catch {
    // Kept for this page alone.
  }
}

let inMemory: string | null = null;

export const token = (): string | null => stored(() => sessionStorage) ?? stored(() => localStorage) ?? inMemory;

export const bearer = (): Record<string, string> => {
  const known = token();
  return known ? { Authorization: `Bearer ${known}` } : {};
};

/** Called when the token, or what is known of it, has changed. */
export function onAccessChange(listener: () => void): void {
  listeners.add(listener);
}

function changed(): void {
  for (const listener of listeners) listener();
}

// Another tab signed in or out.
addEventListener("storage", (event) => {
  if (event.key === KEY) changed();
});

export const whoAmI = (): Identity | null => identity;

export function setIdentity(known: Identity | null): void {
  identity = known;
  changed();
}

export const isSignedOut = (): boolean => declined;

/** Why this may not be done with the token that is shown; null when it may. */
export function forbidden(scope: Scope): string | null {
  if (!identity || RANK[identity.scope] >= RANK[scope]) return null;
  const name = identity.name ? ` “${identity.name}”` : "";
  return `Your token${name} allows “${identity.scope}”; this needs “${scope}”.`;
}

export function signOut(): void {
  store(() => sessionStorage, null);
  store(() => localStorage, null);
  inMemory = null;
  identity = null;
  declined = true;
  changed();
}

/** Lets the person sign in after all. */
export function signIn(): Promise<boolean> {
  declined = false;
  return askForToken(null);
}

/**
 * Asks for a token, once for all who need one. `used` is what was refused: when there is another one by now, that is the
 * answer. False when the person has said no.
 */
export function askForToken(used: string | null): Promise<boolean> {
  if (declined) return Promise.resolve(false);
  if (token() && token() !== used) return Promise.resolve(true);
  asking ??= ask(Boolean(used)).finally(() => (asking = null));
  return asking;
}

function ask(wasRefused: boolean): Promise<boolean> {
  const input = el("input", {
    class: "input mono", name: "token", type: "password", required: true, autocomplete: "off", placeholder: "taskhub_…",
  });
  const remember = el("input", { type: "checkbox", name: "remember", checked: stored(() => localStorage) !== null });
  const words = wasRefused
    ? "The hub has refused this token: it is unknown, revoked or expired."
    : "This hub asks for a token. Its operator makes one with “taskhub token create”.";
  const cancel = el("button", { class: "button", type: "button", text: "Cancel" });
  const form = el("form", { method: "dialog" },
    el("header", {}, el("h2", { text: "Sign in" })),
    el("div", { class: "dialog-body" },
      el("p", { class: wasRefused ? "refused" : "muted", text: words }),
      el("label", { class: "field" }, el("span", { text: "Token" }), input),
      el("label", { class: "check" }, remember, el("span", {}, "Remember on this device",
        el("small", { class: "muted", text: "Otherwise it is kept in this tab until you close it." })))),
    el("footer", {}, cancel, el("button", { class: "button primary", type: "submit", text: "Sign in" })));
  const dialog = el("dialog", { class: "dialog", id: "token-dialog", "aria-label": "Sign in" }, form);
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  let isGiven = false;
  return new Promise((resolve) => {
    form.addEventListener("submit", () => {
      const secret = input.value.trim();
      inMemory = secret;
      store(() => sessionStorage, remember.checked ? null : secret);
      store(() => localStorage, remember.checked ? secret : null);
      isGiven = true; // the dialog closes now
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      // Asked again by every request, nobody could use what the page shows without one. The page offers a way back.
      declined = !isGiven;
      if (declined) changed();
      resolve(isGiven);
    });
  });
}
