// Finds the lines of a log as a terminal shows them, while its bytes arrive: where each one lies among the bytes, and the
// style that it begins in. Of a line that a carriage return begins anew, only the last form counts. It also keeps the text
// in lower case and without colours, in blocks of whole lines, for searches.
//
// It keeps no line as a string: a log may have millions of them.

import { ESCAPE, afterSequence, isStyle } from "./terminal-spans.ts";
import { PLAIN, styled, type Style } from "./terminal-style.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const PIECE_BYTES = 256 << 10;
const BLOCK_BYTES = 1 << 20;
/** A longer line is cut in two: the browser lays out a line as a whole. */
const LINE_BYTES_MAX = 20_000;
/** Styles that are told apart. A log that uses more shows the rest in the plain one. */
const STYLES_MAX = 65_536;

/** Text of whole lines, in lower case and without colours. */
export interface Block {
  bytes: Uint8Array;
  firstLine: number;
}

export interface LineRange {
  /** The byte of the log at which it starts. */
  start: number;
  length: number;
  style: Style;
}

/** Numbers that become more. */
class Column<T extends Float64Array | Uint32Array | Uint16Array> {
  constructor(public values: T, readonly make: (length: number) => T) {}

  set(index: number, value: number): void {
    if (index >= this.values.length) {
      const longer = this.make(this.values.length * 2);
      longer.set(this.values);
      this.values = longer;
    }
    this.values[index] = value;
  }
}

export class LogIndex {
  readonly #starts = new Column(new Float64Array(1024), (length) => new Float64Array(length));
  readonly #lengths = new Column(new Uint32Array(1024), (length) => new Uint32Array(length));
  readonly #styles = new Column(new Uint16Array(1024), (length) => new Uint16Array(length));
  readonly #known: Style[] = [PLAIN];
  readonly #numbers = new Map<string, number>([[JSON.stringify(PLAIN), 0]]);
  /** The style that each step leads to. */
  readonly #steps = new Map<number, number>();
  readonly #blocks: Block[] = [];
  #text = new Uint8Array(BLOCK_BYTES + PIECE_BYTES);
  #textLength = 0;
  #firstLine = 0;
  /** The line that is written now. */
  #line = 0;
  #lineStart = 0;
  #lineEnd = 0;
  #lineStyle = 0;
  #lineText = 0;
  #style = PLAIN;
  #styleNumber = 0;
  /** A carriage return was written: the next character begins the line anew. */
  #returned = false;
  /** A sequence that has not ended yet. */
  #rest = new Uint8Array(0);
  /** The byte of the log that comes next. */
  size = 0;

  /** Lines that have begun; an empty one at the end does not count. */
  get length(): number {
    return this.#line + (this.#textLength > this.#lineText ? 1 : 0);
  }

  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) this.#feed(bytes.subarray(at, at + PIECE_BYTES));
  }

  #feed(piece: Uint8Array): void {
    let bytes = piece;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + piece.length);
      bytes.set(this.#rest);
      bytes.set(piece, this.#rest.length);
    }
    const base = this.size - this.#rest.length;
    this.size += piece.length;
    this.#rest = new Uint8Array(0);
    this.#reserve(bytes.length * 2); // a cut line needs a newline, too
    const code = (at: number) => bytes[at] as number;
    for (let at = 0; at < bytes.length;) {
      const char = bytes[at];
      if (char === NEWLINE) {
        this.#endLine(base + at + 1);
        at += 1;
      } else if (char === RETURN) {
        this.#returned = true;
        at += 1;
      } else if (char === ESCAPE) {
        const end = afterSequence(code, bytes.length, at);
        if (end === null) {
          this.#rest = bytes.slice(at);
          break;
        }
        if (end > at + 2 && isStyle(code, at, end)) this.#setStyle(bytes.subarray(at + 2, end - 1));
        at = end;
      } else {
        at = this.#write(bytes, at, base);
      }
    }
    this.#keepLine();
  }

  /** Copies text up to the next character that means something. */
  #write(bytes: Uint8Array, from: number, base: number): number {
    if (this.#returned) {
      this.#returned = false;
      this.#textLength = this.#lineText;
      this.#lineStart = base + from;
      this.#lineStyle = this.#styleNumber;
    } else if (base + from - this.#lineStart >= LINE_BYTES_MAX && !isWithinCharacter(bytes[from])) {
      this.#endLine(base + from);
    }
    const text = this.#text;
    let length = this.#textLength;
    const stop = Math.max(from + 1, Math.min(bytes.length, this.#lineStart + LINE_BYTES_MAX - base));
    let at = from;
    for (; at < stop; at += 1) {
      const char = bytes[at] as number;
      if (char === NEWLINE || char === RETURN || char === ESCAPE) break;
      text[length++] = char >= 0x41 && char <= 0x5a ? char | 0x20 : char;
    }
    this.#textLength = length;
    this.#lineEnd = base + at;
    return at;
  }

  /** Most logs use few steps from one style to another, and millions of times. */
  #setStyle(parameters: Uint8Array): void {
    const step = packed(parameters, this.#styleNumber);
    let number = step === null ? undefined : this.#steps.get(step);
    if (number === undefined) {
      number = this.#numberOf(styled(this.#style, String.fromCharCode(...parameters)));
      if (step !== null && this.#steps.size < STYLES_MAX) this.#steps.set(step, number);
    }
    this.#styleNumber = number;
    this.#style = this.#known[number] ?? PLAIN;
  }

  #numberOf(style: Style): number {
    const name = JSON.stringify(style);
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.#known.length >= STYLES_MAX) return 0;
    const number = this.#known.push(style) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  #keepLine(): void {
    this.#starts.set(this.#line, this.#lineStart);
    this.#lengths.set(this.#line, Math.max(0, this.#lineEnd - this.#lineStart));
    this.#styles.set(this.#line, this.#lineStyle);
  }

  #endLine(next: number): void {
    this.#keepLine();
    this.#text[this.#textLength++] = NEWLINE;
    this.#line += 1;
    this.#lineStart = this.#lineEnd = next;
    this.#lineStyle = this.#styleNumber;
    this.#lineText = this.#textLength;
    this.#returned = false;
    if (this.#textLength < BLOCK_BYTES) return;
    this.#blocks.push({ bytes: this.#text.slice(0, this.#textLength), firstLine: this.#firstLine });
    this.#firstLine = this.#line;
    this.#textLength = this.#lineText = 0;
  }

  /** Makes room for `more` bytes of text. */
  #reserve(more: number): void {
    if (this.#textLength + more <= this.#text.length) return;
    const longer = new Uint8Array(Math.max(this.#text.length * 2, this.#textLength + more));
    longer.set(this.#text.subarray(0, this.#textLength));
    this.#text = longer;
  }

  /** The texts to search, in order. */
  *blocks(): Iterable<Block> {
    yield* this.#blocks;
    yield { bytes: this.#text.subarray(0, this.#textLength), firstLine: this.#firstLine };
  }

  line(index: number): LineRange {
    const style = this.#known[this.#styles.values[index] ?? 0] ?? PLAIN;
    return { start: this.#starts.values[index] ?? 0, length: this.#lengths.values[index] ?? 0, style };
  }
}

/** A style and short parameters, such as `1;31`, as one number; null for longer ones. */
function packed(parameters: Uint8Array, style: number): number | null {
  if (parameters.length > 8) return null;
  let number = style + 1;
  for (const char of parameters) number = number * 17 + (char & 0x0f) + 1; // `0` to `?`
  return number * 9 + parameters.length;
}

/** Whether this byte of UTF-8 goes on with the character before it. */
const isWithinCharacter = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;
