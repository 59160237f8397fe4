// The card of a hub without tasks: the first step by a click, or from a shell.

import { createTask } from "../shared/api.ts";
import type { Task } from "../shared/api-types.ts";
import { copyText } from "../shared/clipboard.ts";
import { byId, setText } from "../shared/dom.ts";
import { toastProblem } from "../shared/toast.ts";

const EXAMPLE = {
  title: "Say hello",
  description: "An example: its script counts to five. Open it to see the log grow.",
  tags: ["example"],
  script: "for n in 1 2 3 4 5; do printf '\\033[32mhello\\033[0m %d\\n' $n; sleep 1; done",
};

export interface FirstActions {
  create(): void;
  run(id: string): Promise<void>;
  putTask(task: Task): void;
}

export class FirstMinute {
  constructor(readonly actions: FirstActions) {
    const command = `curl ${location.origin}/api/tasks -H 'Content-Type: application/json' -d '{"title": "My first task"}'`;
    setText(byId("first-curl"), command);
    byId("first-create").addEventListener("click", () => actions.create());
    byId("first-example").addEventListener("click", () => void this.#example());
    byId("first-copy").addEventListener("click", () => void copyText(command, "The command is copied", byId("first-curl")));
  }

  show(isEmpty: boolean): void {
    byId("first-minute").hidden = !isEmpty;
    document.body.classList.toggle("is-empty", isEmpty);
  }

  async #example(): Promise<void> {
    try {
      const task = await createTask(EXAMPLE);
      this.actions.putTask(task);
      await this.actions.run(task.id);
    } catch (error) {
      toastProblem(error);
    }
  }
}
