// The dialog that creates a task or edits one. What was typed is kept until it is sent, also when the dialog is closed; a
// change is made only to the version that was edited.

import { createTask, getTask, updateTask } from "../shared/api.ts";
import type { Task } from "../shared/api-types.ts";
import { byId } from "../shared/dom.ts";
import { refusal } from "../shared/gate.ts";
import { Problem } from "../shared/problem.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import type { BoardTask } from "./board-store.ts";
import { conflicts, showConflicts } from "./conflict.ts";
import { dropDraft, keepDraft, readDraft, type Fields } from "./draft.ts";
import { EMPTY, FIELD_NAMES, changedFields, draftOf, fieldsOf, patchOf, type FieldName } from "./task-form.ts";

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
const NEW = "new";

export class TaskDialog {
  #id: string | null = null;
  #before: Fields = EMPTY;
  #version: number | null = null;
  readonly #dialog = byId<HTMLDialogElement>("task-dialog");
  readonly #form = byId<HTMLFormElement>("task-form");

  /** `onSaved(task, created)` gets the hub's answer. */
  constructor(readonly onSaved: (task: Task, created: boolean) => void) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    this.#form.addEventListener("input", () => this.#keep());
    byId("task-cancel").addEventListener("click", () => this.#dialog.close());
    byId("task-close").addEventListener("click", () => this.#dialog.close());
    byId("draft-discard").addEventListener("click", () => this.#discard());
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // the backdrop itself
    });
    this.#dialog.addEventListener("close", () => this.#closed());
  }

  create(): void {
    if (this.#refuse()) return;
    this.#open(null, EMPTY, null);
  }

  async edit(task: BoardTask): Promise<void> {
    if (this.#refuse()) return;
    try {
      // Events do not carry the long texts.
      const whole = task.partial ? await getTask(task.id) : task;
      this.#open(task.id, fieldsOf(whole), whole.version);
    } catch (error) {
      toastProblem(error);
    }
  }

  #refuse(): boolean {
    const reason = refusal("write");
    if (reason) toast("warning", reason);
    return reason !== null;
  }

  #open(id: string | null, before: Fields, version: number | null): void {
    this.#id = id;
    this.#before = before;
    this.#version = version;
    this.#form.reset();
    this.#form.querySelector(".toast-home")?.replaceChildren();
    this.#clearConflicts();
    this.#write(before);
    const draft = readDraft(id ?? NEW);
    byId("draft-note").hidden = !draft;
    if (draft) {
      this.#write(draft.fields);
      this.#before = draft.before;
      this.#version = draft.version;
    }
    byId("task-heading").textContent = id ? "Edit task" : "New task";
    byId("task-save").textContent = id ? "Save" : "Create task";
    this.#dialog.showModal();
    this.#field("title").focus();
  }

  #field(name: FieldName): Field {
    return this.#form.elements.namedItem(name) as Field;
  }

  #read(): Fields {
    return Object.fromEntries(FIELD_NAMES.map((name) => [name, this.#field(name).value]));
  }

  #write(fields: Fields): void {
    for (const name of FIELD_NAMES) this.#field(name).value = fields[name] ?? "";
  }

  #isDirty(): boolean {
    return changedFields(this.#before, this.#read()).length > 0;
  }

  #keep(): void {
    if (this.#isDirty()) keepDraft(this.#id ?? NEW, { fields: this.#read(), before: this.#before, version: this.#version });
    else dropDraft(this.#id ?? NEW);
  }

  #closed(): void {
    if (!this.#isDirty() || !readDraft(this.#id ?? NEW)) return;
    toast("info", "Your draft is kept. It is there when you open this again.");
  }

  #discard(): void {
    dropDraft(this.#id ?? NEW);
    this.#write(this.#before);
    this.#clearConflicts();
    byId("draft-note").hidden = true;
    this.#field("title").focus();
  }

  async #save(): Promise<void> {
    const button = byId<HTMLButtonElement>("task-save");
    button.disabled = true;
    try {
      const task = await (this.#id ? this.#update(this.#id) : createTask(draftOf(this.#read())));
      if (task === undefined) return; // there is something to choose first
      dropDraft(this.#id ?? NEW);
      this.#before = this.#read();
      this.#dialog.close();
      if (task) this.onSaved(task, !this.#id);
    } catch (error) {
      toastProblem(error);
    } finally {
      button.disabled = false;
    }
  }

  /** The task; null when there is nothing to change, and undefined when both have changed the same. */
  async #update(id: string): Promise<Task | null | undefined> {
    const patch = patchOf(this.#before, this.#read());
    if (Object.keys(patch).length === 0) return null;
    try {
      return await updateTask(id, patch, this.#version ?? undefined);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error;
    }
    const now = await getTask(id);
    const sides = { base: this.#before, mine: this.#read(), theirs: fieldsOf(now) };
    const changedHere = changedFields(sides.base, sides.mine);
    const both = conflicts(changedHere, sides);
    // What only they have changed is theirs; a patch is a change of what is there now.
    for (const name of FIELD_NAMES) if (!changedHere.includes(name)) this.#field(name).value = sides.theirs[name] ?? "";
    this.#before = sides.theirs;
    this.#version = now.version;
    this.#keep();
    if (both.length === 0) return this.#update(id);
    showConflicts(byId("conflicts"), both, sides, (name, text) => {
      this.#field(name).value = text;
      this.#keep();
    });
    byId("conflicts").scrollIntoView({ block: "nearest" });
    return undefined;
  }

  #clearConflicts(): void {
    byId("conflicts").hidden = true;
    byId("conflicts").replaceChildren();
  }
}
