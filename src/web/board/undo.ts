// Deleting with a way back: the task leaves the board at once, and the hub is told ten seconds later. A page that goes
// away tells it then.

import { deleteTask } from "../shared/api.ts";
import { Problem } from "../shared/problem.ts";
import { toast, toastProblem } from "../shared/toast.ts";
import type { BoardStore } from "./board-store.ts";

const UNDO_MS = 10_000;

export class Deletions {
  readonly #waiting = new Map<string, { timer: ReturnType<typeof setTimeout>; dismiss: () => void }>();

  constructor(readonly store: BoardStore) {
    addEventListener("pagehide", () => {
      for (const id of [...this.#waiting.keys()]) void this.#send(id, true);
    });
  }

  begin(id: string): void {
    const task = this.store.tasks.get(id);
    if (!task || this.#waiting.has(id)) return;
    this.store.hide(id);
    const dismiss = toast("info", task.title, {
      title: "Task deleted", lifeMs: UNDO_MS, action: { label: "Undo", act: () => this.#undo(id) },
    });
    this.#waiting.set(id, { timer: setTimeout(() => void this.#send(id), UNDO_MS), dismiss });
  }

  #undo(id: string): void {
    clearTimeout(this.#waiting.get(id)?.timer);
    this.#waiting.delete(id);
    this.store.showAgain(id);
  }

  async #send(id: string, keepalive = false): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    waiting.dismiss();
    try {
      await deleteTask(id, { keepalive });
      this.store.removeTask(id);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return this.store.removeTask(id);
      this.store.showAgain(id);
      toastProblem(error);
    }
  }
}
