// The types of the API, by the names that the specification gives them. `npm run types` writes them from openapi/taskhub.json.

import type { components } from "../generated/openapi.d.ts";

type Schemas = components["schemas"];

export type Task = Schemas["Task"];
export type TaskDraft = Partial<Schemas["TaskDraft"]> & { title: string };
export type TaskPatch = Schemas["TaskPatch"];
export type StatusUpdate = Schemas["StatusUpdate"];
export type Status = Schemas["Status"];
export type Priority = Schemas["Priority"];
export type Execution = Schemas["Execution"];
export type ExecutionLog = Schemas["ExecutionLog"];
export type ExecutionStatus = Schemas["ExecutionStatus"];
export type BatchOperation = Schemas["BatchOperation"];
export type BatchResults = Schemas["BatchResults"];
export type EventStatus = Schemas["EventStatus"];
export type Health = Schemas["Health"];
export type Comment = Schemas["Comment"];
export type Question = Schemas["Question"];
export type Identity = Schemas["Identity"];
export type AnnouncementLevel = Schemas["AnnouncementLevel"];
export type AnnouncementData = Schemas["AnnouncementData"];
export type ProblemBody = Schemas["Problem"];

/** A message of a stream. Its data is of the kind that `event` names; a page passes over kinds that it does not know. */
export interface Envelope {
  id: string;
  event: string;
  data: Record<string, unknown>;
  timestamp: string;
}

/** The data of the events about tasks: a task without its long texts. */
export type TaskEventData = Schemas["TaskEventData"];
export type ExecutionEventData = Schemas["ExecutionEventData"];
export type QuestionEventData = Schemas["QuestionEventData"];
export type CommentEventData = Schemas["CommentEventData"];
