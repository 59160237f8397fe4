// The SharedWorker: one for all tabs of this origin. It holds the connections.

import { Holder } from "./holder.ts";
import type { Port, ToHolder, ToTab } from "./protocol.ts";

const holder = new Holder();

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (!port) return;
  const tab: Port<ToTab, ToHolder> = { post: (message) => port.postMessage(message), onMessage: () => {} };
  holder.attach(tab);
  port.onmessage = ({ data }: MessageEvent<ToHolder>) => tab.onMessage(data);
});
