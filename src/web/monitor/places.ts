// How many monitors of this browser have a stream of their own. Over HTTP/1.1 a browser has six connections to a host, in
// all tabs together: one is that of all boards, two may be logs, and one has to stay free for requests.

const PLACES = Array.from({ length: 2 }, (_, number) => `taskhub-monitor-${number}`);

export type Release = () => void;

/**
 * Waits for one of the places; answers what gives it back. `onWait` is told when there is none at once; `signal` ends the
 * wait. Where the browser cannot count, or has more connections, everybody has a place.
 */
export async function takePlace(onWait: () => void, signal: AbortSignal): Promise<Release> {
  const [page] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (!navigator.locks || page?.nextHopProtocol === "h2") return () => {};
  for (const place of PLACES) {
    const release = await hold(place, { ifAvailable: true });
    if (release) return release;
  }
  onWait();
  // The first that is free; the others are not asked for any more.
  const found = new AbortController();
  const asked = PLACES.map((place) => hold(place, { signal: AbortSignal.any([found.signal, signal]) }));
  const release = await Promise.any(asked);
  found.abort();
  // Another one may have been granted in the same moment.
  for (const other of asked) other.then((extra) => extra !== release && extra?.()).catch(() => {});
  return release ?? (() => {});
}

/** Holds a lock until what it answers is called; answers null when there is none to be had. */
function hold(name: string, options: LockOptions): Promise<Release | null> {
  return new Promise((granted, refused) => {
    navigator.locks.request(name, options, (lock) => {
      if (!lock) return granted(null);
      return new Promise<void>((release) => granted(release));
    }).catch(refused);
  });
}
