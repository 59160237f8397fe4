// What the board knows: tasks by id and the latest execution of each. Pure state, no DOM.
//
// It is filled by lists and folded forward by events. Both may arrive in any overlap: a
// task's `version` and an execution's `number` decide which one is newer, so applying
// something twice, or late, changes nothing.

export const STATUSES = [
  { id: "todo", label: "To do" },
  { id: "inprogress", label: "In progress" },
  { id: "review", label: "In review" },
  { id: "done", label: "Done" },
];
const STATUS_IDS = new Set(STATUSES.map((status) => status.id));
const PRIORITY_RANK = { high: 0, medium: 1, low: 2 };
const LIVE = new Set(["queued", "running"]);

/** Fields an event does not carry: a task known by its event alone lacks them. */
const DETAIL_FIELDS = ["description", "script"];

const progress = ({ status }) => (status === "queued" ? 0 : status === "running" ? 1 : 2);
export const isLive = (execution) => Boolean(execution) && LIVE.has(execution.status);

export class BoardStore {
  tasks = new Map();
  executions = new Map();

  /** `onChange(ids, single)` is called after every change; `single` is false for a whole list. */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** The whole truth as of one list: what is not in it is gone. */
  replaceTasks(tasks) {
    const ids = new Set([...this.tasks.keys(), ...tasks.map((task) => task.id)]);
    this.tasks = new Map(tasks.map((task) => [task.id, normalise(task)]));
    this.onChange(ids, false);
  }

  putTask(task) {
    const known = this.tasks.get(task.id);
    if (known && known.version > task.version) return;
    this.tasks.set(task.id, normalise(task));
    this.onChange([task.id], true);
  }

  /** Fills in the details of a task that is still there; a deleted one stays deleted. */
  refreshTask(task) {
    if (this.tasks.has(task.id)) this.putTask(task);
  }

  /** Shows a move before the server has confirmed it; the answer gives the way back. */
  moveForNow(id, status) {
    const before = this.tasks.get(id);
    this.tasks.set(id, { ...before, status });
    this.onChange([id], true);
    return () => {
      if (this.tasks.get(id)?.version !== before.version) return; // somebody changed it meanwhile
      this.tasks.set(id, before);
      this.onChange([id], true);
    };
  }

  removeTask(id) {
    if (!this.tasks.delete(id)) return;
    this.executions.delete(id);
    this.onChange([id], true);
  }

  putExecution(execution) {
    const known = this.executions.get(execution.task_id);
    if (known && known.number > execution.number) return;
    // Queued, running, ended: a replayed event or a slow answer must not turn it back.
    if (known && known.id === execution.id && progress(execution) < progress(known)) return;
    this.executions.set(execution.task_id, { ...(known?.id === execution.id ? known : {}), ...execution });
    this.onChange([execution.task_id], true);
  }

  apply({ event, data, timestamp }) {
    if (event === "task_created" || event === "task_updated") this.#foldTask(data, timestamp);
    else if (event === "task_deleted") this.removeTask(data.task_id);
    else if (event === "execution_event") this.#foldExecution(data, timestamp);
  }

  #foldTask(data, timestamp) {
    const { task_id: id, changed = [], actor: _, ...fields } = data;
    const known = this.tasks.get(id);
    if (known && known.version >= data.version) return;
    const task = normalise({ created_at: timestamp, ...known, ...fields, id, updated_at: timestamp });
    const missed = known && data.version > known.version + 1;
    task.partial = !known || known.partial || missed || DETAIL_FIELDS.some((field) => changed.includes(field));
    this.tasks.set(id, task);
    this.onChange([id], true);
  }

  #foldExecution(data, timestamp) {
    const { execution_event: kind, execution_id: id, ...fields } = data;
    const status = kind === "started" ? "running" : kind;
    const execution = { ...fields, id, status, number: Number(/\d+$/.exec(data.session_name)?.[0] ?? 0) };
    if (kind === "started") execution.started_at = timestamp;
    else if (kind !== "queued") execution.ended_at = timestamp;
    this.putExecution(execution);
  }

  /** The tasks of each column that `query` matches, in the order they are shown. */
  columns(query) {
    const columns = new Map(STATUSES.map((status) => [status.id, []]));
    for (const task of this.tasks.values()) {
      if (matches(task, query)) columns.get(task.status).push(task);
    }
    for (const [status, tasks] of columns) tasks.sort(status === "done" ? latestChange : byPriority);
    return columns;
  }
}

function normalise(task) {
  return {
    ...task,
    status: STATUS_IDS.has(task.status) ? task.status : "todo",
    priority: task.priority ?? null,
    assignee: task.assignee ?? null,
    tags: task.tags ?? [],
    artifacts: task.artifacts ?? [],
    waiting_for: task.waiting_for ?? [],
  };
}

function matches(task, query) {
  if (!query) return true;
  const text = [task.title, task.assignee, task.priority, task.key, task.id, ...task.tags].join("\n").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const rank = (task) => PRIORITY_RANK[task.priority] ?? 3;
const newestFirst = (a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0); // UUIDv7 sorts by time
const byPriority = (a, b) => rank(a) - rank(b) || newestFirst(a, b);
const latestChange = (a, b) => (a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : newestFirst(a, b));
