// The dialog that creates a task or edits one.

import { createTask, updateTask } from "/assets/api.js";
import { byId } from "/assets/dom.js";
import { toastProblem } from "/assets/toast.js";

const splitTags = (text) => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];

export class TaskDialog {
  #task = null;

  /** `onSaved(task, created)` gets the server's answer. */
  constructor(onSaved) {
    this.onSaved = onSaved;
    this.dialog = byId("task-dialog");
    this.form = byId("task-form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    byId("task-cancel").addEventListener("click", () => this.dialog.close());
    byId("task-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      // Only a press on the backdrop itself, and never one that would throw words away.
      if (event.target === this.dialog && !this.#isDirty()) this.dialog.close();
    });
  }

  create() {
    this.#open(null);
  }

  edit(task) {
    this.#open(task);
  }

  #open(task) {
    this.#task = task;
    this.form.reset();
    this.form.querySelector(".toast-home").replaceChildren();
    const fields = this.form.elements;
    if (task) {
      fields.title.value = task.title;
      fields.description.value = task.description ?? "";
      fields.priority.value = task.priority ?? "";
      fields.assignee.value = task.assignee ?? "";
      fields.tags.value = task.tags.join(", ");
      fields.script.value = task.script ?? "";
    }
    this.opened = JSON.stringify(this.#read());
    byId("task-heading").textContent = task ? "Edit task" : "New task";
    byId("task-save").textContent = task ? "Save" : "Create task";
    this.dialog.showModal();
    fields.title.focus();
  }

  #isDirty() {
    return JSON.stringify(this.#read()) !== this.opened;
  }

  #read() {
    const fields = this.form.elements;
    return {
      title: fields.title.value.trim(),
      description: fields.description.value,
      priority: fields.priority.value,
      assignee: fields.assignee.value.trim(),
      tags: splitTags(fields.tags.value),
      script: fields.script.value.trim() ? fields.script.value.replaceAll("\r\n", "\n") : "",
    };
  }

  async #save() {
    const button = byId("task-save");
    button.disabled = true;
    try {
      const task = await (this.#task ? this.#update() : this.#create());
      this.dialog.close();
      if (task) this.onSaved(task, !this.#task);
    } catch (error) {
      toastProblem(error);
    } finally {
      button.disabled = false;
    }
  }

  #create() {
    const filled = Object.entries(this.#read()).filter(([, value]) => value.length > 0);
    return createTask(Object.fromEntries(filled));
  }

  /** A merge patch of what was really changed here; null clears an optional field. */
  #update() {
    const before = JSON.parse(this.opened);
    const patch = {};
    for (const [name, value] of Object.entries(this.#read())) {
      if (JSON.stringify(value) === JSON.stringify(before[name])) continue;
      const clears = value === "" && ["priority", "assignee", "script"].includes(name);
      patch[name] = clears ? null : value;
    }
    return Object.keys(patch).length > 0 ? updateTask(this.#task.id, patch) : null;
  }
}
