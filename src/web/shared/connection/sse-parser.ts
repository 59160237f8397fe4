// Reads Server-Sent Events from pieces of text (WHATWG HTML, section 9.2.6). Unlike EventSource it also sees the comments
// with which a hub that has nothing to say shows that it is there: for that, the caller looks at each piece.

export interface SseMessage {
  /** The id of this message, or of the last one that had an id. */
  id: string;
  data: string;
}

export class SseParser {
  #rest = "";
  #id = "";
  #data: string[] = [];

  /** The messages that this piece completes. */
  feed(piece: string): SseMessage[] {
    const messages: SseMessage[] = [];
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (message) messages.push(message);
    }
    return messages;
  }

  #line(line: string): SseMessage | null {
    if (line === "") {
      const data = this.#data;
      this.#data = [];
      return data.length > 0 ? { id: this.#id, data: data.join("\n") } : null;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null; // event and retry: every message names its kind, and this client has its own delays
  }
}
