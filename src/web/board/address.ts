// The address says which view is shown and which task is open. A view has a path of its own: `/`, `/list`, `/runs`, `/hub`.
// There, `#web-12` (or an id) opens the panel; `/t/web-12` is the task as a page of its own, where `?run=7#L120` names a
// line of a log. Each is a step of the browser's history, so "Back" closes the panel.

export type ViewName = "board" | "list" | "runs" | "hub" | "task";

const PATHS: Record<string, ViewName> = { "/": "board", "/list": "list", "/runs": "runs", "/hub": "hub" };
const TASK = "/t/";

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

export interface Place {
  view: ViewName;
  /** The task that is open: its key or id; "" for none. */
  task: string;
  /** The number of an execution, and the line of its log. */
  run: number | null;
  line: number | null;
}

export function placeOf({ pathname, search, hash }: Pick<Location, "pathname" | "search" | "hash">): Place {
  if (!pathname.startsWith(TASK)) return { view: PATHS[pathname] ?? "board", task: decoded(hash.slice(1)), run: null, line: null };
  const run = Number(new URLSearchParams(search).get("run") ?? NaN);
  const line = Number(/^#L(\d+)$/.exec(hash)?.[1] ?? NaN);
  return {
    view: "task", task: decoded(pathname.slice(TASK.length)),
    run: Number.isFinite(run) ? run : null, line: Number.isFinite(line) ? line : null,
  };
}

export const taskPath = (task: string): string => `${TASK}${encodeURIComponent(task)}`;

export class Address {
  /** This page has opened the panel: "Back" leads to the view alone. */
  #opened = false;
  /** A step back is under way: another one would leave the page. */
  #isClosing = false;

  /** `onChange(place)` is called when the address names another view or another task. */
  constructor(readonly onChange: (place: Place) => void) {
    addEventListener("popstate", () => {
      this.#isClosing = false;
      this.#opened = (history.state as { isOpen?: boolean } | null)?.isOpen === true;
      onChange(this.current);
    });
    // Links between the views are links: they open in a new tab, too.
    document.addEventListener("click", (event) => {
      const link = (event.target as Element | null)?.closest?.("a");
      if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
      if (!(link.pathname in PATHS) && !link.pathname.startsWith(TASK)) return;
      event.preventDefault();
      this.go(link.pathname + link.search + link.hash);
    });
  }

  get current(): Place {
    return placeOf(location);
  }

  /** Another view. */
  go(path: string): void {
    if (path === location.pathname + location.search + location.hash) return;
    history.pushState(null, "", path);
    this.#opened = false;
    this.onChange(this.current);
  }

  /** Opens the panel. */
  open(task: string): void {
    const { view, task: open } = this.current;
    if (task === open) return;
    if (view === "task") return this.go(taskPath(task));
    // From one task to another, "Back" leads to the view alone.
    const hash = `#${encodeURIComponent(task)}`;
    if (open !== "" && this.#opened) history.replaceState({ isOpen: true }, "", hash);
    else history.pushState({ isOpen: true }, "", hash);
    this.#opened = true;
    this.onChange(this.current);
  }

  /** Names a line of a log, without a step of the history. */
  nameLine(task: string, run: number, line: number): void {
    const { view } = this.current;
    const path = `${taskPath(task)}?run=${run}#L${line}`;
    if (view === "task") history.replaceState(history.state, "", path);
  }

  close(): void {
    const { view, task } = this.current;
    if (view === "task") return this.go("/");
    if (task === "" || this.#isClosing) return;
    if (this.#opened) {
      this.#isClosing = true;
      history.back(); // calls onChange
    } else {
      history.replaceState(null, "", location.pathname + location.search);
      this.onChange(this.current);
    }
  }
}
