// What somebody has typed and not sent: kept on this device until it is sent or thrown away.

const PREFIX = "taskhub.draft.";

export type Fields = Record<string, string>;

export interface Draft {
  fields: Fields;
  /** The fields as they were when the dialog was opened: what the draft is a change of. */
  before: Fields;
  version: number | null;
}

/** `name` is the id of the task, or `new`. */
export function readDraft(name: string): Draft | null {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? null : (JSON.parse(text) as Draft);
  } catch {
    return null;
  }
}

export function keepDraft(name: string, draft: Draft): boolean {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(draft));
    return true;
  } catch {
    return false; // full, or forbidden
  }
}

export function dropDraft(name: string): void {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // There is none, then.
  }
}
