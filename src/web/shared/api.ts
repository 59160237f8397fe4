// The HTTP half of TaskHub's API: one door for every request, so that errors look the same everywhere, and none waits
// for ever. The live half is in connection/.

import { askForToken, bearer, setIdentity, token } from "./access.ts";
import type * as types from "./api-types.ts";
import { Problem } from "./problem.ts";

/** A hub that hangs answers nothing. A person has to learn that before they give up. */
export const ANSWER_SECONDS_MAX = 10;
/** A log of a gigabyte over a slow line. */
const DOWNLOAD_SECONDS_MAX = 3600;

interface Options {
  /** Only this version of the task is changed. */
  version?: number | undefined;
  /** Sent also while the page goes away. */
  keepalive?: boolean;
  /** How long the whole answer may take. */
  secondsMax?: number;
}

async function send(method: string, path: string, body?: unknown, options: Options = {}): Promise<Response> {
  const shown = token();
  const headers: Record<string, string> = { Accept: "application/json", ...bearer() };
  const request: RequestInit = {
    method, headers, cache: "no-store", keepalive: options.keepalive ?? false,
    signal: AbortSignal.timeout((options.secondsMax ?? ANSWER_SECONDS_MAX) * 1000),
  };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  if (options.version !== undefined) headers["If-Match"] = `"${options.version}"`;
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    throw error instanceof DOMException && error.name === "TimeoutError" ? Problem.late(ANSWER_SECONDS_MAX) : Problem.unreachable();
  }
  if (response.status === 401 && (await askForToken(shown))) return send(method, path, body, options);
  if (!response.ok) throw await Problem.from(response);
  return response;
}

async function json<T>(method: string, path: string, body?: unknown, options?: Options): Promise<T> {
  const response = await send(method, path, body, options);
  return (response.status === 204 ? null : await response.json()) as T;
}

const at = (id: string) => encodeURIComponent(id);
const query = (fields: Record<string, string | number>) =>
  new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, String(value)])).toString();

/** Learns who the token is, and tells everybody who shows it. */
export async function learnIdentity(): Promise<types.Identity> {
  const identity = await json<types.Identity>("GET", "/api/whoami");
  setIdentity(identity);
  return identity;
}

export const createTask = (fields: types.TaskDraft) => json<types.Task>("POST", "/api/tasks", fields);
export const getTask = (id: string) => json<types.Task>("GET", `/api/tasks/${at(id)}`);
export const updateTask = (id: string, fields: types.TaskPatch, version?: number) =>
  json<types.Task>("PATCH", `/api/tasks/${at(id)}`, fields, { version });
export const deleteTask = (id: string, options?: Options) => json<null>("DELETE", `/api/tasks/${at(id)}`, undefined, options);
export const updateStatus = (id: string, change: types.StatusUpdate) => json<types.Task>("PUT", `/api/tasks/status/${at(id)}`, change);
export const startExecution = (id: string) => json<types.Execution>("POST", `/api/exec/${at(id)}`, {});
export const stopExecution = (id: string) => json<types.Execution>("POST", `/api/exec/${at(id)}/stop`);
export const listExecutions = (fields: Record<string, string | number>) =>
  json<types.Execution[]>("GET", `/api/executions?${query(fields)}`);
export const readLog = (id: string, fields: Record<string, string | number>) =>
  json<types.ExecutionLog>("GET", `/api/exec/${at(id)}/logs?${query(fields)}`);
/** The whole log, as it was written. */
export const downloadLog = async (id: string, executionId: string) =>
  (await send("GET", `/api/exec/${at(id)}/logs/raw?execution_id=${at(executionId)}`, undefined, { secondsMax: DOWNLOAD_SECONDS_MAX })).blob();
export const announce = (draft: types.AnnouncementData) => json<{ id: string }>("POST", "/api/events/announcements", draft);
export const listEvents = (fields: Record<string, string | number>) => json<types.Envelope[]>("GET", `/api/events?${query(fields)}`);

export const addComment = (id: string, text: string) => json<types.Comment>("POST", `/api/tasks/${at(id)}/comments`, { text });
export const listComments = (id: string, max: number) => pages<types.Comment>(`/api/tasks/${at(id)}/comments?limit=500`, max);
export const listQuestions = (id: string, max: number) => pages<types.Question>(`/api/questions?task_id=${at(id)}&limit=500`, max);
export const answerQuestion = (id: string, answer: string) => json<types.Question>("PUT", `/api/questions/${at(id)}/answer`, { answer });

/** The items of all pages, at most `max` of them. */
async function pages<T>(first: string, max: number): Promise<T[]> {
  const items: T[] = [];
  for (let next: string | null = first; next && items.length < max;) {
    const response: Response = await send("GET", next);
    items.push(...((await response.json()) as T[]));
    next = nextPage(response.headers.get("Link"));
  }
  return items;
}

/** A page of tasks. The `cursor` of the first one is the event id at which it was read. */
export interface TaskPage {
  tasks: types.Task[];
  cursor: string;
  isLast: boolean;
}

/**
 * All tasks, newest first, page by page. A stream opened from the cursor of the *first* page repeats what happened while
 * the later ones were read, and versions make repeats harmless.
 */
export async function* taskPages(): AsyncGenerator<TaskPage> {
  let next: string | null = "/api/tasks?sort=created_at&order=desc&limit=500";
  while (next) {
    const response: Response = await send("GET", next);
    next = nextPage(response.headers.get("Link"));
    const tasks = (await response.json()) as types.Task[];
    yield { tasks, cursor: response.headers.get("Taskhub-Cursor") ?? "", isLast: next === null };
  }
}

/** A page of executions, newest first, and the address of the next one. */
export async function executionPage(address: string): Promise<{ executions: types.Execution[]; next: string | null }> {
  const response = await send("GET", address);
  return { executions: (await response.json()) as types.Execution[], next: nextPage(response.headers.get("Link")) };
}

export const changeTasks = (operations: types.BatchOperation[]) =>
  json<types.BatchResults>("POST", "/api/tasks/batch", { atomic: false, operations });
export const eventStatus = () => json<types.EventStatus>("GET", "/api/events/status?clients=true");
export const health = () => json<types.Health>("GET", "/health");
export const metricsText = async () => (await send("GET", "/metrics")).text();

function nextPage(link: string | null): string | null {
  for (const part of (link ?? "").split(/,\s*(?=<)/)) {
    const match = /^\s*<([^>]*)>(.*)$/.exec(part);
    if (!match || !/;\s*rel="?next"?(\s*;|\s*$)/.test(match[2] ?? "")) continue;
    const url = new URL(match[1] ?? "", location.href);
    return url.pathname + url.search; // stays on this origin, also behind a proxy
  }
  return null;
}
