// What a terminal would show of a log, as plain text. A script may have written anything, so each character is looked
// at once: a pattern that can begin anew at every character would stop the page for seconds.

const ESCAPE = "\u001b";
const BELL = "\u0007";
const TITLE_CHARS_MAX = 4096; // a longer title or link never ends: what follows is text

/** Without colours, titles and links, and with each progress line as it was last drawn. */
export function readable(text) {
  return withoutSequences(text).split("\n").map(lastDrawn).join("\n");
}

/** What a carriage return leaves of a line; one at its end is part of the line break. */
function lastDrawn(line) {
  let end = line.length;
  while (end > 0 && line[end - 1] === "\r") end -= 1;
  return line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
}

function withoutSequences(text) {
  const parts = [];
  let from = 0;
  for (let at = text.indexOf(ESCAPE); at !== -1; at = text.indexOf(ESCAPE, from)) {
    parts.push(text.slice(from, at));
    from = afterSequence(text, at);
  }
  parts.push(text.slice(from));
  return parts.join("");
}

/** Where a sequence ends that begins at `at`. ECMA-48, section 5.4, and the titles and links of xterm. */
function afterSequence(text, at) {
  const kind = text[at + 1];
  if (kind === "[") {
    let end = at + 2;
    while (text[end] >= " " && text[end] <= "?") end += 1;
    return text[end] >= "@" && text[end] <= "~" ? end + 1 : end;
  }
  if (kind !== "]") return at + 1;
  for (let end = at + 2; end < text.length && end < at + TITLE_CHARS_MAX; end += 1) {
    if (text[end] === BELL) return end + 1;
    if (text[end] === ESCAPE) return text[end + 1] === "\\" ? end + 2 : end;
    if (text[end] === "\n") break;
  }
  return at + 2;
}
