// What the board knows: tasks by id and the executions of each. Pure state, no DOM.
//
// It is filled by lists and folded forward by events. Both may arrive in any overlap: a task's `version` and an
// execution's `number` decide which one is newer, so applying something twice, or late, changes nothing.

import type { Envelope, Execution, ExecutionEventData, Priority, Status, Task, TaskEventData } from "../shared/api-types.ts";
import { folded, isLive, type RunStep } from "./executions.ts";

export const STATUSES: readonly { id: Status; label: string }[] = [
  { id: "todo", label: "To do" },
  { id: "inprogress", label: "In progress" },
  { id: "review", label: "In review" },
  { id: "done", label: "Done" },
];
const STATUS_IDS = new Set<string>(STATUSES.map((status) => status.id));
const PRIORITY_RANK: Record<Priority, number> = { high: 0, medium: 1, low: 2 };

/** Fields an event does not carry: a task known by its event alone lacks them. */
const DETAIL_FIELDS = ["description", "script"];

/** A task as the board shows it. */
export type BoardTask = Omit<Task, "description" | "script"> & Partial<Pick<Task, "description" | "script">> & {
  /** Its long texts have to be asked for. */
  partial?: boolean;
};

export interface Move {
  status: Status;
}

export class BoardStore {
  tasks = new Map<string, BoardTask>();
  /** The latest execution of each task. */
  executions = new Map<string, Execution>();
  /** Moves that the hub has not confirmed yet. */
  readonly pending = new Map<string, Move>();
  /** Tasks that are gone from the board, and deleted when the time to undo it is over. */
  readonly leaving = new Set<string>();
  #sorted = new Map<Status, BoardTask[]>();

  /** `onChange(ids, single)` is called after every change; `single` is false for a whole list. */
  constructor(readonly onChange: (ids: Iterable<string>, single: boolean) => void) {}

  /** The whole truth as of one list: what is not in it is gone. */
  replaceTasks(tasks: Task[]): void {
    const ids = new Set([...this.tasks.keys(), ...tasks.map((task) => task.id)]);
    this.tasks = new Map(tasks.map((task) => [task.id, normalise(task)]));
    this.#changed(ids, false);
  }

  putTask(task: Task): void {
    const known = this.tasks.get(task.id);
    if (known && known.version > task.version) return;
    this.tasks.set(task.id, normalise(task));
    this.#changed([task.id], true);
  }

  /** Fills in the details of a task that is still there; a deleted one stays deleted. */
  refreshTask(task: Task): void {
    if (this.tasks.has(task.id)) this.putTask(task);
  }

  /** Shows a move, marked, before the hub has confirmed it; the answer ends that. */
  moveForNow(id: string, status: Status): () => void {
    const move = { status };
    this.pending.set(id, move);
    this.#changed([id], false);
    return () => {
      if (this.pending.get(id) !== move) return; // moved again meanwhile
      this.pending.delete(id);
      this.#changed([id], false);
    };
  }

  /** Takes a task off the board for now. */
  hide(id: string): void {
    this.leaving.add(id);
    this.#changed([id], false);
  }

  showAgain(id: string): void {
    if (this.leaving.delete(id)) this.#changed([id], true);
  }

  removeTask(id: string): void {
    this.leaving.delete(id);
    this.pending.delete(id);
    if (!this.tasks.delete(id)) return;
    this.executions.delete(id);
    this.#changed([id], true);
  }

  putExecution(execution: RunStep): void {
    const known = this.executions.get(execution.task_id);
    if (known && known.number > execution.number) return;
    const next = folded(known, execution);
    if (!next) return;
    this.executions.set(execution.task_id, next);
    this.#changed([execution.task_id], true);
  }

  apply({ event, data, timestamp }: Envelope): void {
    if (event === "task_created" || event === "task_updated") this.#foldTask(data as unknown as TaskEventData, timestamp);
    else if (event === "task_deleted") this.removeTask(String(data["task_id"]));
    else if (event === "execution_event") this.#foldExecution(data as unknown as ExecutionEventData, timestamp);
  }

  #foldTask(data: TaskEventData, timestamp: string): void {
    const { task_id: id, changed, actor: _actor, reason: _reason, ...fields } = data;
    const known = this.tasks.get(id);
    if (known && known.version >= data.version) return;
    const missed = known !== undefined && data.version > known.version + 1;
    const partial = !known || known.partial || missed || DETAIL_FIELDS.some((field) => (changed as string[]).includes(field));
    const task = { ...known, ...fields, id, updated_at: timestamp } as BoardTask;
    this.tasks.set(id, normalise(partial ? { ...task, partial: true } : task));
    this.#changed([id], true);
  }

  #foldExecution(data: ExecutionEventData, timestamp: string): void {
    const { execution_event: phase, execution_id: id, actor: _actor, duration_ms: _ms, ...fields } = data;
    const status = phase === "started" ? "running" : phase;
    const step: RunStep = { ...fields, id, status, number: Number(/\d+$/.exec(data.session_name)?.[0] ?? 0) };
    if (phase === "started") step.started_at = timestamp;
    else if (phase === "queued") step.created_at = timestamp;
    else step.ended_at = timestamp;
    this.putExecution(step);
  }

  #changed(ids: Iterable<string>, single: boolean): void {
    this.#sorted.clear();
    this.onChange(ids, single);
  }

  /** Where the board shows the task. */
  statusOf(task: BoardTask): Status {
    return this.pending.get(task.id)?.status ?? task.status;
  }

  /** The tasks of each column that `query` matches, in the order they are shown. */
  columns(query: string): Map<Status, BoardTask[]> {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (this.#sorted.size === 0) this.#sort();
    if (words.length === 0) return this.#sorted;
    return new Map([...this.#sorted].map(([status, tasks]) => [status, tasks.filter((task) => matches(task, words))]));
  }

  #sort(): void {
    for (const { id } of STATUSES) this.#sorted.set(id, []);
    for (const task of this.tasks.values()) {
      if (!this.leaving.has(task.id)) this.#sorted.get(this.statusOf(task))?.push(task);
    }
    for (const [status, tasks] of this.#sorted) tasks.sort(status === "done" ? latestChange : byPriority);
  }

  /** The task that an address names: its id or its key. */
  find(name: string): BoardTask | undefined {
    const known = this.tasks.get(name);
    if (known) return known;
    const key = name.toLowerCase();
    for (const task of this.tasks.values()) if (task.key.toLowerCase() === key) return task;
    return undefined;
  }

  isRunning(id: string): boolean {
    return isLive(this.executions.get(id));
  }
}

function normalise(task: BoardTask): BoardTask {
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

function matches(task: BoardTask, words: string[]): boolean {
  const text = [task.title, task.assignee, task.priority, task.key, task.id, ...task.tags].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

const rank = (task: BoardTask) => (task.priority ? PRIORITY_RANK[task.priority] : 3);
const newestFirst = (a: BoardTask, b: BoardTask) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0); // UUIDv7 sorts by time
const byPriority = (a: BoardTask, b: BoardTask) => rank(a) - rank(b) || newestFirst(a, b);
const latestChange = (a: BoardTask, b: BoardTask) =>
  a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : newestFirst(a, b);
