// The button in the top bar that says who is signed in. Hidden on a hub that asks for no token.

import { forbidden, onAccessChange, signOut, token, whoAmI } from "./access.ts";
import { byId, el } from "./dom.ts";

const MEANINGS = {
  read: "See everything", write: "See everything, change tasks", exec: "See everything, change tasks, run scripts",
} as const;

export function showAccount(): void {
  const slot = byId("account");
  const draw = () => {
    const identity = whoAmI();
    slot.hidden = !identity || !token();
    if (!identity) return slot.replaceChildren();
    const card = el("div", { class: "popover", id: "account-card", popover: "auto" },
      el("strong", { text: identity.name ?? "Token" }),
      el("dl", { class: "facts" },
        el("div", {}, el("dt", { text: "Scope" }), el("dd", { id: "account-scope", text: identity.scope })),
        el("div", {}, el("dt", { text: "May" }), el("dd", { text: MEANINGS[identity.scope] })),
        identity.projects && el("div", {}, el("dt", { text: "Projects" }), el("dd", { text: identity.projects.join(", ") || "none" }))),
      el("button", { class: "button", type: "button", id: "sign-out", text: "Sign out", on: { click: () => {
        card.hidePopover();
        signOut();
        location.reload();
      } } }));
    const button = el("button", { class: "button plain account-button", type: "button", id: "account-button",
      title: "Who is signed in", popovertarget: "account-card" },
      identity.name ?? "Token", el("span", { class: "scope", data: { limited: String(forbidden("exec") !== null) }, text: identity.scope }));
    slot.replaceChildren(button, card);
  };
  onAccessChange(draw);
  draw();
}
