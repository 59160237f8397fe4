//! Sends keepalives: one ticker for each period that clients have asked for. One timer for each
//! stream would be ten thousand timers. The operator sets the usual period
//! ([`EventsConfig`](crate::config::EventsConfig)). The operations limit the period that a client
//! may ask for (`api/events.rs`, `api/logs.rs`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The tickers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Keepalives {
    /// The period in seconds for clients that ask for none.
    usual: u64,
    /// By the requested period in seconds. A ticker is never removed: there are no more of them
    /// than allowed periods.
    tickers: Arc<Mutex<BTreeMap<Option<u64>, Ticker>>>,
    /// Notified of a new period.
    added: Arc<Notify>,
}

#[derive(Debug)]
struct Ticker {
    due: Instant,
    ticks: watch::Sender<()>,
}

impl Keepalives {
    pub fn new(usual: u64) -> Self {
        Self { usual, tickers: Arc::default(), added: Arc::default() }
    }

    pub fn usual(&self) -> u64 {
        self.usual
    }

    /// Changes at each tick of this period, or of the usual one for `None`.
    pub fn ticks(&self, seconds: Option<u64>) -> watch::Receiver<()> {
        let mut tickers = self.tickers();
        let ticker = tickers.entry(seconds).or_insert_with(|| {
            self.added.notify_one();
            Ticker { due: self.due(seconds, Instant::now()), ticks: watch::Sender::new(()) }
        });
        ticker.ticks.subscribe()
    }

    /// Runs the tickers until the streams drain. Calls `tell` with each period that is due.
    pub async fn run(self, draining: CancellationToken, tell: impl Fn(Option<u64>)) {
        loop {
            let due = self.tick(Instant::now(), &tell);
            let sleep = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // All are cancel safe.
            tokio::select! {
                () = sleep => {}
                () = self.added.notified() => {}
                () = draining.cancelled() => return,
            }
        }
    }

    /// Ticks what is due. Returns when the next tick is due.
    fn tick(&self, now: Instant, tell: impl Fn(Option<u64>)) -> Option<Instant> {
        let mut next = None;
        for (&seconds, ticker) in self.tickers().iter_mut() {
            if ticker.due <= now {
                // Count from now: ticks that a suspended machine has missed are not made up for.
                ticker.due = self.due(seconds, now);
                ticker.ticks.send_modify(|()| {});
                tell(seconds);
            }
            next = next.into_iter().chain([ticker.due]).min();
        }
        next
    }

    fn due(&self, seconds: Option<u64>, now: Instant) -> Instant {
        now + Duration::from_secs(seconds.unwrap_or(self.usual))
    }

    fn tickers(&self) -> MutexGuard<'_, BTreeMap<Option<u64>, Ticker>> {
        self.tickers.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_period_ticks_by_itself() {
        let keepalives = Keepalives::new(30);
        let (usual, often) = (keepalives.ticks(None), keepalives.ticks(Some(5)));
        let start = Instant::now();
        let ticked = Mutex::new(Vec::new());
        let mut at = start;
        while at < start + Duration::from_secs(31) {
            at = keepalives
                .tick(at, |seconds| ticked.lock().expect("no panic").push(seconds))
                .expect("two tickers");
        }
        keepalives.tick(at, |_| {});
        assert_eq!(
            *ticked.lock().expect("no panic"),
            [Some(5), Some(5), Some(5), Some(5), Some(5), None, Some(5)]
        );
        assert!(usual.has_changed().expect("it lives") && often.has_changed().expect("it lives"));
    }
}
