// The bytes of a log that were read, in the order of the log. Of a very long one only the newest stay in memory; the rest
// is asked for again when it is shown.

const KEPT_BYTES_MAX = 192 << 20;

interface Piece {
  offset: number;
  length: number;
  bytes: Uint8Array | null;
}

export class LogBytes {
  readonly #pieces: Piece[] = [];
  #kept = 0;
  #oldest = 0;

  /** `fetchRange` reads bytes anew that were let go. */
  constructor(readonly fetchRange: (offset: number, length: number) => Promise<Uint8Array>) {}

  append(offset: number, bytes: Uint8Array): void {
    this.#pieces.push({ offset, length: bytes.length, bytes });
    this.#kept += bytes.length;
    while (this.#kept > KEPT_BYTES_MAX && this.#oldest < this.#pieces.length - 1) {
      const piece = this.#pieces[this.#oldest++] as Piece;
      this.#kept -= piece.length;
      piece.bytes = null;
    }
  }

  /** The bytes from `offset` on. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const joined = new Uint8Array(length);
    for (let at = this.#find(offset); at < this.#pieces.length; at += 1) {
      const piece = this.#pieces[at] as Piece;
      if (piece.offset >= offset + length) break;
      if (!piece.bytes) return this.fetchRange(offset, length);
      const from = Math.max(0, offset - piece.offset);
      const part = piece.bytes.subarray(from, offset + length - piece.offset);
      joined.set(part, piece.offset + from - offset);
    }
    return joined;
  }

  /** The piece that holds this byte. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { offset: start, length } = this.#pieces[middle] as Piece;
      if (start + length <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
