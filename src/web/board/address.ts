// The address says which task is open: `#web-12`, or the id. Opening and closing the panel are steps of the browser's
// history, so "Back" closes it.

const name = (): string => {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
};

export class Address {
  /** How many steps of the history this page has made: "Back" stays on the board for them. */
  #opened = false;

  /** `onChange(name)` is called when the address names another task, or none (""). */
  constructor(readonly onChange: (name: string) => void) {
    const changed = () => {
      this.#opened = (history.state as { isOpen?: boolean } | null)?.isOpen === true;
      onChange(name());
    };
    addEventListener("popstate", changed);
  }

  get current(): string {
    return name();
  }

  open(task: string): void {
    if (task === name()) return;
    // From one task to another, "Back" leads to the board.
    if (name() !== "" && this.#opened) history.replaceState({ isOpen: true }, "", `#${encodeURIComponent(task)}`);
    else history.pushState({ isOpen: true }, "", `#${encodeURIComponent(task)}`);
    this.#opened = true;
    this.onChange(task);
  }

  close(): void {
    if (name() === "") return;
    if (this.#opened) history.back(); // calls onChange
    else {
      history.replaceState(null, "", location.pathname + location.search);
      this.onChange("");
    }
  }
}
