// Names and titles that cannot pretend to be others: a character that turns the direction of writing is shown as its
// number. Descriptions and logs keep theirs.

const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text with a visible mark for each character that turns its direction. */
export function marked(text: unknown): string {
  return String(text).replace(DIRECTION, (char) =>
    `[U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`);
}
