// A place in the log of events: `{epoch}-{seq}`.

export interface Cursor {
  epoch: string;
  seq: number;
}

/** Null when the id is no cursor. */
export function cursorOf(id: string | null | undefined): Cursor | null {
  const match = /^([^-]+)-(\d+)$/.exec(id ?? "");
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : null;
}
