// Checks the promise of an unfiltered stream: ids are `{epoch}-{seq}`, and each event's seq is exactly one more than the
// last. A hole is only allowed after a `reset`.

import { cursorOf } from "./connection/cursor.ts";

const CONTROL = new Set(["connected", "snapshot", "checkpoint", "reset", "goodbye"]);

/** Whether a message is about the connection, and no event of the log. */
export const isControl = (kind: string): boolean => CONTROL.has(kind);

export class SequenceCheck {
  #epoch: string | null = null;
  #seq: number | null = null;
  checked = 0;
  gaps = 0;

  /** A new, unrelated position: the next message says where it stands. */
  restart(): void {
    this.#epoch = null;
    this.#seq = null;
  }

  /** A sentence when this message breaks the sequence, else null. */
  see({ id, event }: { id: string; event: string }): string | null {
    const cursor = cursorOf(id);
    if (!cursor) return this.#broken(`The message ${event} has the id ${JSON.stringify(id)}, which is no cursor.`);
    const { epoch, seq } = cursor;
    const last = this.#seq;
    const known = last !== null && epoch === this.#epoch;
    const changed = last !== null && epoch !== this.#epoch;
    [this.#epoch, this.#seq] = [epoch, seq];

    if (event === "reset" || last === null) return null;
    if (changed) return this.#broken(`The epoch changed from ${last} to ${id} without a reset.`);
    if (isControl(event)) {
      // It stands at a cursor: nothing may lie between that and what was seen.
      return known && seq !== last ? this.#broken(describe(epoch, last, seq + 1)) : null;
    }
    this.checked += 1;
    return seq === last + 1 ? null : this.#broken(describe(epoch, last, seq));
  }

  #broken(sentence: string): string {
    this.gaps += 1;
    return sentence;
  }
}

function describe(epoch: string, last: number, seq: number): string {
  if (seq <= last) return `${epoch}-${seq} came after ${epoch}-${last}: a repeat, or out of order.`;
  const missing = seq - last - 1;
  const span = missing === 1 ? `${epoch}-${last + 1}` : `${epoch}-${last + 1} to ${epoch}-${seq - 1}`;
  return `${missing} ${missing === 1 ? "event is" : "events are"} missing: ${span}.`;
}
