// The `event-source-polyfill` package, for browsers without an EventSource that sends headers. It reconnects by itself, with
// `lastEventId` in the query.
//
//   node polyfill.mjs URL-OF-THE-STREAM

import polyfill from "event-source-polyfill";

// It makes a connection anew after so long a silence.
const source = new polyfill.EventSourcePolyfill(process.argv[2], { heartbeatTimeout: 45_000 });
source.onmessage = (message) => {
  const envelope = JSON.parse(message.data);
  console.log(JSON.stringify({ id: message.lastEventId, type: message.type, envelope }));
};

// At the end of the input: how does it stand?
process.stdin.resume().on("end", () => {
  console.log(JSON.stringify({ readyState: source.readyState }));
  source.close();
  process.exit();
});
