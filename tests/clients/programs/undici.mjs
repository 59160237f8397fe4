// EventSource of undici, which is Node's own behind a flag. It reconnects by itself.
//
//   node undici.mjs URL-OF-THE-STREAM

import { EventSource } from "undici";

const source = new EventSource(process.argv[2]);
source.onmessage = (message) => {
  const envelope = JSON.parse(message.data);
  console.log(JSON.stringify({ id: message.lastEventId, type: message.type, envelope }));
};

// At the end of the input: how does it stand?
process.stdin.resume().on("end", () => {
  console.log(JSON.stringify({ readyState: source.readyState }));
  source.close();
});
