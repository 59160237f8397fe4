// The fields of the dialog, as text, and what they mean for the API.

import type { Task, TaskDraft, TaskPatch } from "../shared/api-types.ts";
import type { Fields } from "./draft.ts";

export const FIELD_NAMES = ["title", "description", "priority", "assignee", "tags", "script"] as const;
export type FieldName = (typeof FIELD_NAMES)[number];
export const FIELD_LABELS: Record<FieldName, string> = {
  title: "Title", description: "Description", priority: "Priority", assignee: "Assignee", tags: "Tags", script: "Script",
};
/** Fields with several lines, whose changes can be joined. */
export const LONG_FIELDS = new Set<string>(["description", "script"]);
/** An empty one of these is cleared with null. */
const CLEARED = new Set<string>(["priority", "assignee", "script"]);

export const EMPTY: Fields = Object.fromEntries(FIELD_NAMES.map((name) => [name, ""]));

type Known = Pick<Task, "title" | "priority" | "assignee" | "tags"> & Partial<Pick<Task, "description" | "script">>;

export function fieldsOf(task: Known): Fields {
  return {
    title: task.title, description: task.description ?? "", priority: task.priority ?? "", assignee: task.assignee ?? "",
    tags: task.tags.join(", "), script: task.script ?? "",
  };
}

const splitTags = (text: string) => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];

/** What a field means, in a form that can be compared. */
function meaning(name: string, text: string): string {
  if (name === "tags") return splitTags(text).join(",");
  if (name === "script") return text.trim() ? text.replaceAll("\r\n", "\n") : "";
  return name === "description" ? text : text.trim();
}

export function isSame(name: string, a: string | undefined, b: string | undefined): boolean {
  return meaning(name, a ?? "") === meaning(name, b ?? "");
}

export function changedFields(before: Fields, now: Fields): FieldName[] {
  return FIELD_NAMES.filter((name) => !isSame(name, before[name], now[name]));
}

function value(name: FieldName, text: string): unknown {
  if (name === "tags") return splitTags(text);
  const meant = meaning(name, text);
  return meant === "" && CLEARED.has(name) ? null : meant;
}

/** A merge patch of what was changed here. */
export function patchOf(before: Fields, now: Fields): TaskPatch {
  return Object.fromEntries(changedFields(before, now).map((name) => [name, value(name, now[name] ?? "")])) as TaskPatch;
}

export function draftOf(now: Fields): TaskDraft {
  const filled = changedFields(EMPTY, now).map((name) => [name, value(name, now[name] ?? "")]);
  return Object.fromEntries(filled) as TaskDraft;
}

