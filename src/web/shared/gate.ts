// What may be done at this moment. A control says by `data-needs` which scope it needs; while the hub is away, or the
// token does not allow it, the control is greyed and says why. A press is stopped here, so no form fails at its end.

import { forbidden, isSignedOut, onAccessChange } from "./access.ts";
import { toast } from "./toast.ts";

export type Need = "write" | "exec";

let isAway = false;

/** Why this may not be done now; null when it may. */
export function refusal(need: Need): string | null {
  if (isSignedOut()) return "You are not signed in.";
  if (isAway) return "The hub does not answer. This works again when the connection is back.";
  return forbidden(need);
}

export function setAway(away: boolean): void {
  if (away === isAway) return;
  isAway = away;
  applyAll();
}

const FIELDS = "input, select, textarea";

function apply(node: HTMLElement): void {
  const reason = refusal(node.dataset["needs"] as Need);
  if (reason === (node.dataset["refused"] ?? null)) return;
  if (reason === null) {
    delete node.dataset["refused"];
    node.removeAttribute("aria-disabled");
    if (node.dataset["titleBefore"] !== undefined) node.title = node.dataset["titleBefore"];
    delete node.dataset["titleBefore"];
  } else {
    node.dataset["titleBefore"] ??= node.title;
    node.dataset["refused"] = reason;
    node.title = reason;
    node.setAttribute("aria-disabled", "true");
  }
  if (node.matches(FIELDS)) (node as HTMLInputElement).disabled = reason !== null;
}

function applyAll(root: ParentNode = document): void {
  for (const node of root.querySelectorAll<HTMLElement>("[data-needs]")) apply(node);
}

/** Watches the page: what is added later is greyed, too. */
export function guardPage(): void {
  onAccessChange(() => applyAll());
  new MutationObserver((records) => {
    if (!isAway && !isSignedOut() && forbidden("exec") === null) return;
    for (const { addedNodes } of records) {
      for (const node of addedNodes) {
        if (!(node instanceof HTMLElement)) continue;
        if (node.dataset["needs"]) apply(node);
        applyAll(node);
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", (event) => stop(event), { capture: true });
  document.addEventListener("dragstart", (event) => stop(event), { capture: true });
  applyAll();
}

function stop(event: Event): void {
  const node = (event.target as Element | null)?.closest?.<HTMLElement>("[data-refused]");
  if (!node || node.matches(FIELDS)) return;
  if (event.type === "click" && node.draggable && event.target !== node) return; // a card opens all the same
  event.preventDefault();
  event.stopImmediatePropagation();
  toast("warning", node.dataset["refused"] ?? "");
}
