// What the board knows: tasks by id and the executions of each. Pure state, no DOM.
//
// It is filled by lists and folded forward by events. Both may arrive in any overlap: a task's `version` and an
// execution's `number` decide which one is newer, so applying something twice, or late, changes nothing.

import type { Envelope, Execution, ExecutionEventData, Priority, Status, Task, TaskEventData } from "../shared/api-types.ts";
import { folded, isLive, stepOf, type RunStep } from "./executions.ts";
import { Ordered } from "./task-order.ts";

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
  readonly #columns = new Map<Status, Ordered<BoardTask>>();
  /** Where each task is shown, and in which form: the one to take out again. */
  readonly #placed = new Map<string, { task: BoardTask; status: Status }>();
  /** Deleted while a list is read: a page that was asked for before may still have them. */
  readonly #deleted = new Set<string>();
  /** Changes with every change of a task. */
  revision = 0;

  /** `onChange(ids, single)` is called after every change; `single` is false for a whole list. */
  constructor(readonly onChange: (ids: Iterable<string>, single: boolean) => void) {
    for (const { id } of STATUSES) this.#columns.set(id, new Ordered(orderOf(id)));
  }

  /**
   * Begins to take in a list, page by page, while events go on. `page` takes a page; `end` drops what was known before and
   * is in no page.
   */
  beginList(): { page: (tasks: Task[]) => void; end: () => void } {
    const before = new Map(this.tasks);
    this.#deleted.clear();
    return {
      page: (tasks) => {
        const fresh = tasks.filter(({ id, version }) => {
          before.delete(id);
          return !this.#deleted.has(id) && !((this.tasks.get(id)?.version ?? -1) > version);
        });
        for (const task of fresh) this.tasks.set(task.id, normalise(task));
        this.#changed(fresh.map(({ id }) => id), false);
      },
      end: () => {
        // What an event has changed meanwhile is there.
        const gone = [...before].filter(([id, task]) => this.tasks.get(id) === task).map(([id]) => id);
        for (const id of gone) this.#forget(id);
        this.#changed(gone, false);
      },
    };
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
    this.#deleted.add(id);
    if (this.#forget(id)) this.#changed([id], true);
  }

  #forget(id: string): boolean {
    this.leaving.delete(id);
    this.pending.delete(id);
    this.executions.delete(id);
    return this.tasks.delete(id);
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
    else if (event === "execution_event") this.putExecution(stepOf(data as unknown as ExecutionEventData, timestamp));
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

  #changed(ids: Iterable<string>, single: boolean): void {
    this.revision += 1;
    const changed = [...ids];
    // Many at once are sorted once.
    if (changed.length > 200) this.#placeAll(changed);
    else for (const id of changed) this.#place(id);
    this.onChange(changed, single);
  }

  /** Where the task belongs now; undefined for one that is not shown. */
  #statusNow(id: string): { task: BoardTask; status: Status } | undefined {
    const task = this.tasks.get(id);
    return task && !this.leaving.has(id) ? { task, status: this.statusOf(task) } : undefined;
  }

  #place(id: string): void {
    const before = this.#placed.get(id);
    const now = this.#statusNow(id);
    if (before && now && before.task === now.task && before.status === now.status) return;
    if (before) this.#columns.get(before.status)?.remove(before.task);
    if (now) {
      this.#columns.get(now.status)?.add(now.task);
      this.#placed.set(id, now);
    } else {
      this.#placed.delete(id);
    }
  }

  #placeAll(ids: Iterable<string>): void {
    for (const id of ids) {
      const now = this.#statusNow(id);
      if (now) this.#placed.set(id, now);
      else this.#placed.delete(id);
    }
    const columns = new Map<Status, BoardTask[]>(STATUSES.map(({ id }) => [id, []]));
    for (const { task, status } of this.#placed.values()) columns.get(status)?.push(task);
    for (const [status, tasks] of columns) this.#columns.set(status, new Ordered(orderOf(status), tasks));
  }

  /** Where the board shows the task. */
  statusOf(task: BoardTask): Status {
    return this.pending.get(task.id)?.status ?? task.status;
  }

  /** The tasks of each column that `query` matches, in the order they are shown. */
  columns(query: string): Map<Status, readonly BoardTask[]> {
    const words = wordsOf(query);
    const tasks = ({ items }: Ordered<BoardTask>) => (words.length === 0 ? items : items.filter((task) => matches(task, words)));
    return new Map([...this.#columns].map(([status, column]) => [status, tasks(column)]));
  }

  /** All tasks that are shown and that `query` matches, in no order. */
  matching(query: string): BoardTask[] {
    const words = wordsOf(query);
    const tasks = [...this.#placed.values()].map(({ task }) => task);
    return words.length === 0 ? tasks : tasks.filter((task) => matches(task, words));
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

const wordsOf = (query: string): string[] => query.toLowerCase().split(/\s+/).filter(Boolean);

/** What a task is found by, once for each form of it. */
const texts = new WeakMap<BoardTask, string>();

function matches(task: BoardTask, words: string[]): boolean {
  let text = texts.get(task);
  if (text === undefined) {
    text = [task.title, task.assignee, task.priority, task.key, task.id, ...task.tags].join("\n").toLowerCase();
    texts.set(task, text);
  }
  return words.every((word) => text.includes(word));
}

const rank = (task: BoardTask) => (task.priority ? PRIORITY_RANK[task.priority] : 3);
const newestFirst = (a: BoardTask, b: BoardTask) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0); // UUIDv7 sorts by time
const byPriority = (a: BoardTask, b: BoardTask) => rank(a) - rank(b) || newestFirst(a, b);
const latestChange = (a: BoardTask, b: BoardTask) =>
  a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : newestFirst(a, b);
const orderOf = (status: Status) => (status === "done" ? latestChange : byPriority);
