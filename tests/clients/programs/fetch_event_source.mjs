// The `@microsoft/fetch-event-source` package. It comes back after a break, and after an end if it is told to.
//
//   node fetch_event_source.mjs URL-OF-THE-STREAM

// It was written for a window.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import("@microsoft/fetch-event-source");

let retry = 1000;
await fetchEventSource(process.argv[2], {
  openWhenHidden: true,
  onmessage(message) {
    // `retry:` alone is a message of its own to it, without data.
    if (message.retry !== undefined) retry = message.retry;
    if (message.data === "") return;
    console.log(JSON.stringify({ id: message.id, type: message.event || "message", envelope: JSON.parse(message.data) }));
  },
  onclose() {
    throw new Error("the hub has ended the stream");
  },
  onerror: () => retry,
});
