// Somebody has changed the task while it was edited here: shows both texts of each field that both have changed, and
// lets the person choose or join them. Nothing is sent before that.

import { el } from "../shared/dom.ts";
import type { Fields } from "./draft.ts";
import { FIELD_LABELS, LONG_FIELDS, isSame, type FieldName } from "./task-form.ts";
import { merged } from "./three-way-merge.ts";

export interface Sides {
  /** What both began with. */
  base: Fields;
  mine: Fields;
  theirs: Fields;
}

/** The fields that both have changed, to different values. */
export function conflicts(changedHere: readonly FieldName[], { base, mine, theirs }: Sides): FieldName[] {
  return changedHere.filter((name) => !isSame(name, base[name], theirs[name]) && !isSame(name, mine[name], theirs[name]));
}

/** Shows them in `home`; `choose` puts a text in the field. */
export function showConflicts(home: HTMLElement, names: readonly FieldName[], sides: Sides, choose: (name: FieldName, text: string) => void): void {
  home.hidden = names.length === 0;
  home.replaceChildren(el("p", { class: "conflict-head" },
    el("strong", { text: "Somebody changed this task while you edited it." }),
    " Nothing is lost: choose what each field shall say, and save again."),
    ...names.map((name) => conflict(name, sides, choose)));
}

function conflict(name: FieldName, { base, mine, theirs }: Sides, choose: (name: FieldName, text: string) => void): HTMLElement {
  const [my, their] = [mine[name] ?? "", theirs[name] ?? ""];
  const said = el("p", { class: "conflict-said", role: "status" });
  const option = (label: string, kind: string, text: string, done: string) => el("button", {
    class: "button small", type: "button", text: label, data: { choice: kind },
    on: { click: () => {
      choose(name, text);
      said.textContent = done;
    } },
  });
  const joined = merged(base[name] ?? "", my, their);
  return el("section", { class: "conflict", data: { field: name }, "aria-label": FIELD_LABELS[name] },
    el("h3", { text: FIELD_LABELS[name] }),
    el("div", { class: "conflict-sides" }, side("Theirs", their), side("Yours", my)),
    el("div", { class: "conflict-choices" },
      option("Use theirs", "theirs", their, "The field holds their text."),
      option("Keep mine", "mine", my, "The field holds your text; theirs will be replaced."),
      LONG_FIELDS.has(name) && option("Put both together", "both", joined ?? `${their}\n\n${my}`,
        joined === null ? "The same lines were changed: their text comes first, then yours." : "Both changes are in the field."),
      said));
}

const side = (label: string, text: string) => el("div", {},
  el("span", { class: "muted", text: label }), el("pre", { class: "code", tabIndex: 0, text: text || "(empty)" }));
