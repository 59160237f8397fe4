// One connection without a SharedWorker: one tab leads, and holds the connections; the others talk to it by a
// BroadcastChannel. A lock says who leads. When that tab goes, the lock goes to the next one.

import { Holder } from "./holder.ts";
import type { Port, ToHolder, ToTab } from "./protocol.ts";

const NAME = "taskhub-leader";
const LEADER = "leader";
const EVERYBODY = "everybody";

interface Letter {
  to: string;
  from: string;
  /** Without a message: a new tab leads. */
  message: ToHolder | ToTab | null;
}

/** `onLeader` is called when another tab leads: what was followed has to be followed anew. */
export function leaderPort(me: string, onLeader: () => void): Port<ToHolder, ToTab> {
  const port: Port<ToHolder, ToTab> = { post: () => {}, onMessage: () => {} };
  if (!navigator.locks) {
    // Not even a lock: this tab is alone.
    lead(port, null);
    return port;
  }
  const channel = new BroadcastChannel(NAME);
  const send = (letter: Letter) => channel.postMessage(letter);
  port.post = (message) => send({ to: LEADER, from: me, message });
  channel.onmessage = ({ data }: MessageEvent<Letter>) => {
    if (data.to === me && data.message) port.onMessage(data.message as ToTab);
    else if (data.to === EVERYBODY && data.from !== me) onLeader();
  };
  void navigator.locks.request(NAME, () => {
    const remote = lead(port, (tab, message) => send({ to: tab, from: me, message }));
    channel.onmessage = ({ data }: MessageEvent<Letter>) => {
      if (data.to === LEADER && data.message) remote(data.from, data.message as ToHolder);
    };
    send({ to: EVERYBODY, from: me, message: null });
    onLeader();
    return new Promise(() => {}); // until this tab goes
  });
  return port;
}

/** Makes this tab hold the connections; answers what takes the letters of the others. */
function lead(own: Port<ToHolder, ToTab>, send: ((tab: string, message: ToTab) => void) | null) {
  const holder = new Holder();
  const mine: Port<ToTab, ToHolder> = { post: (message) => own.onMessage(message), onMessage: () => {} };
  holder.attach(mine);
  own.post = (message) => mine.onMessage(message);
  const others = new Map<string, Port<ToTab, ToHolder>>();
  return (tab: string, message: ToHolder) => {
    let port = others.get(tab);
    if (!port) {
      port = { post: (it) => send?.(tab, it), onMessage: () => {} };
      holder.attach(port);
      others.set(tab, port);
    }
    port.onMessage(message);
    if (message.kind === "leave") others.delete(tab);
  };
}
