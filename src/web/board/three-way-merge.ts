// Two people have changed the same text: joins what they did, line by line.

/** The lines of both that are the same, in order, as pairs of places. */
function common(a: string[], b: string[]): [number, number][] {
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j]
        ? (longest[(i + 1) * width + j + 1] ?? 0) + 1
        : Math.max(longest[(i + 1) * width + j] ?? 0, longest[i * width + j + 1] ?? 0);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if ((longest[(i + 1) * width + j] ?? 0) >= (longest[i * width + j + 1] ?? 0)) i += 1;
    else j += 1;
  }
  return pairs;
}

const LINES_MAX = 2000; // the table of `common` grows with the square

/** Both texts in one; null when they have changed the same lines. */
export function merged(base: string, mine: string, theirs: string): string | null {
  const [baseLines, myLines, theirLines] = [base, mine, theirs].map((text) => text.split("\n")) as [string[], string[], string[]];
  if (Math.max(baseLines.length, myLines.length, theirLines.length) > LINES_MAX) return null;
  const mineOf = new Map(common(baseLines, myLines));
  const theirsOf = new Map(common(baseLines, theirLines));
  // Lines of the base that both kept: between two of them, at most one side may have changed anything.
  const anchors = baseLines.map((_, at) => at).filter((at) => mineOf.has(at) && theirsOf.has(at));
  const result: string[] = [];
  let [b, m, t] = [0, 0, 0];
  for (const at of [...anchors, baseLines.length]) {
    const [myEnd, theirEnd] = [mineOf.get(at) ?? myLines.length, theirsOf.get(at) ?? theirLines.length];
    const [before, my, their] = [baseLines.slice(b, at), myLines.slice(m, myEnd), theirLines.slice(t, theirEnd)].map((it) => it.join("\n"));
    const part = my === their || their === before ? myLines.slice(m, myEnd) : my === before ? theirLines.slice(t, theirEnd) : null;
    if (!part) return null;
    result.push(...part);
    if (at < baseLines.length) result.push(baseLines[at] as string);
    [b, m, t] = [at + 1, myEnd + 1, theirEnd + 1];
  }
  return result.join("\n");
}
