// Finds the lines of a log that hold a text, without regard to upper and lower case of the letters a to z. The text is
// searched as bytes: each byte is one character of a string, and what is searched for is turned in the same way.

import type { Block } from "./log-index.ts";

/** More hits help nobody, and would fill the memory. */
export const HITS_MAX = 500_000;
/** Words by which most tools tell an error; "0 errors" and "0 failed" tell none. */
const ERROR = /(?<![a-z0-9_-])(?<!\b(?:0|no) )(?:error|fatal|panic|panicked|exception|traceback|failed|failure)(?![a-z0-9_])/;

// One character for each byte: no decoder of UTF-8 comes between.
const decoder = new TextDecoder("latin1");

const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** The form in which `query` is looked for. */
export const needleOf = (query: string): string => decoder.decode(new TextEncoder().encode(lower(query)));

/** Adds to `hits` the lines of one block that hold `needle`. */
export function searchBlock(block: Block, needle: string, hits: number[]): void {
  const text = decoder.decode(block.bytes);
  let line = block.firstLine;
  let counted = 0;
  for (let at = text.indexOf(needle); at !== -1 && hits.length < HITS_MAX;) {
    for (let end = text.indexOf("\n", counted); end !== -1 && end < at; end = text.indexOf("\n", counted)) {
      counted = end + 1;
      line += 1;
    }
    hits.push(line);
    const next = text.indexOf("\n", at);
    at = next === -1 ? -1 : text.indexOf(needle, next);
  }
}

/** The first line of a block that tells an error; null when none does. */
export function firstErrorIn(block: Block): number | null {
  const text = decoder.decode(block.bytes);
  const found = ERROR.exec(text);
  if (!found) return null;
  let line = block.firstLine;
  for (let end = text.indexOf("\n"); end !== -1 && end < found.index; end = text.indexOf("\n", end + 1)) line += 1;
  return line;
}
