// The HTTP half of TaskHub's API: one door for every request, so that errors look
// the same everywhere. The live half is stream.js.

import { askForToken, bearer, token } from "/assets/access.js";

/** An RFC 9457 problem the server answered, or the network's own failure (status 0). */
export class Problem extends Error {
  constructor(status, code, title, detail) {
    super(detail || title);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail || title;
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}));
    const title = body.title || response.statusText || `HTTP ${response.status}`;
    return new Problem(response.status, body.code || "", title, body.detail);
  }
}

async function send(method, path, body) {
  const shown = token();
  const request = { method, headers: { Accept: "application/json", ...bearer() }, cache: "no-store" };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Problem(0, "unreachable", "Server not reachable", "The server did not answer. Is it running?");
  }
  if (response.status === 401 && (await askForToken(shown))) return send(method, path, body);
  if (!response.ok) throw await Problem.from(response);
  return response;
}

async function json(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

const at = (id) => encodeURIComponent(id);

export const createTask = (fields) => json("POST", "/api/tasks", fields);
export const getTask = (id) => json("GET", `/api/tasks/${at(id)}`);
export const updateTask = (id, fields) => json("PATCH", `/api/tasks/${at(id)}`, fields);
export const deleteTask = (id) => json("DELETE", `/api/tasks/${at(id)}`);
export const updateStatus = (id, change) => json("PUT", `/api/tasks/status/${at(id)}`, change);
export const startExecution = (id) => json("POST", `/api/exec/${at(id)}`, {});
export const stopExecution = (id) => json("POST", `/api/exec/${at(id)}/stop`);
export const listExecutions = (query) => json("GET", `/api/executions?${new URLSearchParams(query)}`);
export const createTicket = () => json("POST", "/api/events/tickets");
export const readLog = (id, query) => json("GET", `/api/exec/${at(id)}/logs?${new URLSearchParams(query)}`);

export const addComment = (id, text) => json("POST", `/api/tasks/${at(id)}/comments`, { text });
export const listComments = (id, max) => pages(`/api/tasks/${at(id)}/comments?limit=500`, max);
export const listQuestions = (id, max) => pages(`/api/questions?task_id=${at(id)}&limit=500`, max);
export const answerQuestion = (id, answer) => json("PUT", `/api/questions/${at(id)}/answer`, { answer });

/** The items of all pages, at most `max` of them. */
async function pages(first, max) {
  const items = [];
  for (let next = first; next && items.length < max;) {
    const response = await send("GET", next);
    items.push(...(await response.json()));
    next = nextPage(response.headers.get("Link"));
  }
  return items;
}

/**
 * All tasks, page by page, at most `max` of them.
 *
 * `cursor` is the event id at which the *first* page was read: a stream opened since then
 * repeats what happened while the later pages were read, and versions make repeats harmless.
 */
export async function listTasks(max) {
  const tasks = [];
  let cursor = null;
  let next = "/api/tasks?sort=created_at&order=desc&limit=500"; // newest first, should `max` cut
  while (next && tasks.length < max) {
    const response = await send("GET", next);
    cursor ??= response.headers.get("Taskhub-Cursor");
    tasks.push(...(await response.json()));
    next = nextPage(response.headers.get("Link"));
  }
  return { tasks, cursor, truncated: Boolean(next) };
}

function nextPage(link) {
  for (const part of (link || "").split(/,\s*(?=<)/)) {
    const match = /^\s*<([^>]*)>(.*)$/.exec(part);
    if (!match || !/;\s*rel="?next"?(\s*;|\s*$)/.test(match[2])) continue;
    const url = new URL(match[1], location.href);
    return url.pathname + url.search; // stays on this origin, also behind a proxy
  }
  return null;
}
