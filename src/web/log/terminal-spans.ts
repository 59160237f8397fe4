// Takes one line of a terminal apart: texts, each in one style. Titles and links are left out. A script may have written
// anything, so each character is looked at once: a pattern that can begin anew at every character would stop the page for
// seconds.

import { styled, type Style } from "./terminal-style.ts";

export const ESCAPE = 0x1b;
const BELL = 0x07;
/** A longer title or link never ends: what follows is text. */
export const TITLE_BYTES_MAX = 4096;

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;

export interface Span {
  text: string;
  style: Style;
}

/** Bytes, or the characters of a text, by number. */
export type CodeAt = (at: number) => number;

/**
 * Where a sequence ends that begins at `at`; null when that is not known yet. ECMA-48, section 5.4, and the titles and
 * links of xterm.
 */
export function afterSequence(code: CodeAt, length: number, at: number): number | null {
  if (at + 1 >= length) return null;
  const kind = code(at + 1);
  let end = at + 2;
  if (kind === OPEN_BRACKET) {
    while (end < length && end < at + TITLE_BYTES_MAX && code(end) >= 0x20 && code(end) <= 0x3f) end += 1;
    if (end === length) return null;
    return code(end) >= 0x40 && code(end) <= 0x7e ? end + 1 : end;
  }
  if (kind !== CLOSE_BRACKET) return at + 1;
  for (; end < length && end < at + TITLE_BYTES_MAX; end += 1) {
    if (code(end) === BELL) return end + 1;
    if (code(end) === NEWLINE) return at + 2;
    if (code(end) !== ESCAPE) continue;
    if (end + 1 >= length) return null;
    return code(end + 1) === BACKSLASH ? end + 2 : end;
  }
  return end === length ? null : at + 2;
}

/** Whether the sequence from `at` to `end` sets a colour or a weight. */
export const isStyle = (code: CodeAt, at: number, end: number): boolean =>
  code(at + 1) === OPEN_BRACKET && code(end - 1) === 0x6d;

/** The parts of a line, which begins in `style`. */
export function spansOf(raw: string, style: Style): Span[] {
  const spans: Span[] = [];
  const line = `${raw}\n`; // a sequence that the line does not end, the newline does
  const code = (at: number) => line.charCodeAt(at);
  let from = 0;
  for (let at = raw.indexOf("\x1b"); at !== -1; at = raw.indexOf("\x1b", from)) {
    if (at > from) spans.push({ text: raw.slice(from, at), style });
    const end = Math.min(afterSequence(code, line.length, at) ?? raw.length, raw.length);
    if (end > at + 2 && isStyle(code, at, end)) style = styled(style, raw.slice(at + 2, end - 1));
    from = end;
  }
  if (from < raw.length) spans.push({ text: raw.slice(from), style });
  return spans;
}

/** The line without colours. */
export const textOf = (raw: string, style: Style): string => spansOf(raw, style).map(({ text }) => text).join("");
