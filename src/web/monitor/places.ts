// How many tabs of this browser have a stream open. Over HTTP/1.1 a browser has six connections to a host, in all tabs
// together: a sixth stream would take the last one, and the next tab could not even be loaded.

const PLACES = Array.from({ length: 5 }, (_, number) => `taskhub-stream-${number}`);

/**
 * Waits for one of the places; answers what gives it back. `onWait` is told when there is none at once; `signal` ends the
 * wait. Where the browser cannot count, or has more connections, everybody has a place.
 */
export async function takePlace(onWait, signal) {
  const [page] = performance.getEntriesByType("navigation");
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
  for (const other of asked) other.then((extra) => extra !== release && extra()).catch(() => {});
  return release;
}

/** Holds a lock until what it answers is called; answers null when there is none to be had. */
function hold(name, options) {
  return new Promise((granted, refused) => {
    navigator.locks.request(name, options, (lock) => {
      if (!lock) return granted(null);
      return new Promise((release) => granted(release));
    }).catch(refused);
  });
}
