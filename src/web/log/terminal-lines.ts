// What a terminal would show of a log, line by line: colours, and each progress line as it was last drawn. Titles and
// links are left out. A script may have written anything, so each character is looked at once: a pattern that can begin
// anew at every character would stop the page for seconds.
//
// A line is kept as it was written, and taken apart only when it is drawn: a log may have a million of them.

import { PLAIN, styled, type Style } from "./terminal-style.ts";

const ESCAPE = "\u001b";
const BELL = "\u0007";
const TITLE_CHARS_MAX = 4096; // a longer title or link never ends: what follows is text
const LINE_CHARS_MAX = 20_000; // a longer line is cut in two: the browser lays out a line as a whole

export interface Span {
  text: string;
  style: Style;
}

interface Line {
  raw: string;
  /** The style that the line before has left. */
  style: Style;
}

export class TerminalLines {
  #lines: Line[] = [{ raw: "", style: PLAIN }];
  #style = PLAIN;
  /** A carriage return was written: the next character begins the line anew. */
  #returned = false;
  #rest = "";

  /** Lines that have begun; an empty one at the end does not count. */
  get length(): number {
    return this.#lines.length - (this.#last.raw === "" ? 1 : 0);
  }

  get #last(): Line {
    return this.#lines[this.#lines.length - 1] as Line;
  }

  feed(piece: string): void {
    const text = this.#rest + piece;
    this.#rest = "";
    let from = 0;
    for (let at = 0; at < text.length;) {
      const char = text[at];
      if (char === "\n") {
        this.#write(text.slice(from, at));
        this.#returned = false;
        this.#lines.push({ raw: "", style: this.#style });
        from = ++at;
      } else if (char === "\r") {
        this.#write(text.slice(from, at));
        this.#returned = true;
        from = ++at;
      } else if (char === ESCAPE) {
        const end = afterSequence(text, at);
        if (end === null) {
          this.#write(text.slice(from, at));
          this.#rest = text.slice(at);
          return;
        }
        if (isColour(text, at, end)) {
          this.#style = styled(this.#style, text.slice(at + 2, end - 1));
        } else {
          this.#write(text.slice(from, at));
          from = end;
        }
        at = end;
      } else {
        at += 1;
      }
    }
    this.#write(text.slice(from));
  }

  #write(text: string): void {
    if (text === "") return;
    if (this.#returned) {
      this.#returned = false;
      this.#lines[this.#lines.length - 1] = { raw: "", style: this.#style };
    }
    this.#last.raw += text;
    while (this.#last.raw.length > LINE_CHARS_MAX) {
      const { raw, style } = this.#last;
      this.#last.raw = raw.slice(0, LINE_CHARS_MAX);
      this.#lines.push({ raw: raw.slice(LINE_CHARS_MAX), style });
    }
  }

  /** As it was written: two lines with the same text here are drawn alike. */
  raw(index: number): string {
    return this.#lines[index]?.raw ?? "";
  }

  /** The parts of a line, each in one style. */
  spans(index: number): Span[] {
    const line = this.#lines[index];
    if (!line) return [];
    const spans: Span[] = [];
    let { style } = line;
    let from = 0;
    for (let at = line.raw.indexOf(ESCAPE); at !== -1; at = line.raw.indexOf(ESCAPE, from)) {
      if (at > from) spans.push({ text: line.raw.slice(from, at), style });
      const end = afterSequence(line.raw, at) ?? line.raw.length;
      if (isColour(line.raw, at, end)) style = styled(style, line.raw.slice(at + 2, end - 1));
      from = end;
    }
    if (from < line.raw.length) spans.push({ text: line.raw.slice(from), style });
    return spans;
  }

  text(index: number): string {
    return this.spans(index).map((span) => span.text).join("");
  }

  /** The whole log without colours. */
  whole(): string {
    const lines = Array.from({ length: this.#lines.length }, (_, index) => this.text(index));
    return lines.join("\n");
  }
}

const isColour = (text: string, at: number, end: number) => text[at + 1] === "[" && text[end - 1] === "m";

/**
 * Where a sequence ends that begins at `at`; null when that is not known yet. ECMA-48, section 5.4, and the titles and
 * links of xterm.
 */
function afterSequence(text: string, at: number): number | null {
  const kind = text[at + 1];
  if (kind === undefined) return null;
  if (kind === "[") {
    let end = at + 2;
    while (end < text.length && end < at + TITLE_CHARS_MAX && isBetween(text[end], " ", "?")) end += 1;
    if (end === text.length) return null;
    return isBetween(text[end], "@", "~") ? end + 1 : end;
  }
  if (kind !== "]") return at + 1;
  let end = at + 2;
  for (; end < text.length && end < at + TITLE_CHARS_MAX; end += 1) {
    if (text[end] === BELL) return end + 1;
    if (text[end] === ESCAPE) {
      if (text[end + 1] === undefined) return null;
      return text[end + 1] === "\\" ? end + 2 : end;
    }
    if (text[end] === "\n") return at + 2;
  }
  return end === text.length ? null : at + 2;
}

const isBetween = (char: string | undefined, first: string, last: string) => char !== undefined && char >= first && char <= last;
