// Copying, and saying whether it worked: a browser may refuse it, and has no clipboard at all on a page without TLS.

import { toast } from "./toast.ts";

/** `source` is selected when the browser refuses, so that the keyboard can copy it. */
export async function copyText(text: string, done: string, source?: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("info", done);
  } catch {
    if (source) document.getSelection()?.selectAllChildren(source);
    toast("warning", source ? "The browser refuses to copy. The text is selected: press Ctrl+C." : "The browser refuses to copy.");
  }
}
