//! When leases expire: by the monotonic clock of this hub, which nobody can set.
//!
//! The time that a lease shows (`expires_at`) is for people. What ends it is a deadline in memory, counted from the claim or
//! the renewal. A hub that was down starts all deadlines anew, so a worker that could not renew meanwhile can do so.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::id::LeaseId;
use crate::store::StoreError;

use super::lease_end::{LeaseEnd, LeaseStart};
use super::{Service, ServiceError};

/// Before another attempt to end a lease when the store could not be written.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Leases that are ended in one transaction: others must not wait long for the writer.
const EXPIRED_AT_ONCE: usize = 128;

/// Ends leases when their time is over.
#[derive(Debug)]
pub struct LeaseTimer {
    starts: mpsc::UnboundedReceiver<LeaseStart>,
    /// How long a second of a lease lasts.
    second: Duration,
    /// When to look at which lease, the next one first. A lease that was renewed is looked at once too early, so that a
    /// worker that renews all the time does not fill the heap.
    looks: BinaryHeap<Reverse<(Instant, LeaseId)>>,
    /// The leases that are waited for. Those that have ended otherwise stay until they are looked at.
    waiting: HashMap<LeaseId, Waiting>,
}

/// A lease that is waited for.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    end: LeaseEnd,
    /// The first of the looks at it.
    look_at: Instant,
}

impl LeaseTimer {
    /// `second` is how long a second of a lease lasts.
    pub fn new(starts: mpsc::UnboundedReceiver<LeaseStart>, second: Duration) -> Self {
        Self { starts, second, looks: BinaryHeap::new(), waiting: HashMap::new() }
    }

    /// Runs until `shutdown`.
    pub async fn run(mut self, service: Service, shutdown: CancellationToken) {
        loop {
            match service.extend_all_leases().await {
                Ok(leases) => {
                    leases.iter().for_each(|held| self.wait_for(LeaseStart::of(held).end(self.second)));
                    break;
                }
                // The hub ends before it has begun.
                Err(ServiceError::Store(StoreError::Closed)) => return,
                Err(error) => tracing::error!(%error, "the leases cannot be read; trying again"),
            }
            // Both only wait.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
        loop {
            let next = self.looks.peek().map(|Reverse((at, _))| *at);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // All three are cancel safe.
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(start) = self.starts.recv() => self.wait_for(start.end(self.second)),
                () = due => self.expire(&service).await,
            }
        }
    }

    /// Ends what is due. Leases that were renewed meanwhile are passed over without a look at the store.
    async fn expire(&mut self, service: &Service) {
        let due = self.take_due(Instant::now());
        if due.is_empty() {
            return;
        }
        match service.expire_leases(due.clone()).await {
            Ok(held) => held.iter().for_each(|held| self.wait_for(LeaseStart::of(held).end(self.second))),
            Err(error) => {
                tracing::warn!(%error, leases = due.len(), "leases could not be ended; trying again");
                due.into_iter().for_each(|end| self.wait_for(end.after(RETRY_AFTER)));
            }
        }
    }

    fn take_due(&mut self, now: Instant) -> Vec<LeaseEnd> {
        let mut due = Vec::new();
        while due.len() < EXPIRED_AT_ONCE
            && let Some(Reverse((at, lease))) =
                self.looks.peek().filter(|Reverse((at, _))| *at <= now).copied()
        {
            self.looks.pop();
            // Another look at this lease came before.
            let Some(waiting) = self.waiting.get_mut(&lease).filter(|waiting| waiting.look_at == at) else {
                continue;
            };
            if waiting.end.at <= now {
                due.push(waiting.end);
                self.waiting.remove(&lease);
            } else {
                waiting.look_at = waiting.end.at;
                self.looks.push(Reverse((waiting.end.at, lease)));
            }
        }
        due
    }

    /// Waits for this end of a lease, unless it was renewed more often by now: a claim that is repeated and a renewal tell
    /// their ends in any order.
    fn wait_for(&mut self, end: LeaseEnd) {
        let known = self.waiting.get(&end.lease);
        if known.is_some_and(|known| known.end.renewals > end.renewals) {
            return;
        }
        let look_at = known.map_or(end.at, |known| known.look_at.min(end.at));
        if known.is_none_or(|known| look_at < known.look_at) {
            self.looks.push(Reverse((look_at, end.lease)));
        }
        self.waiting.insert(end.lease, Waiting { end, look_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timer() -> LeaseTimer {
        LeaseTimer::new(mpsc::unbounded_channel().1, SECOND)
    }

    fn end(lease: LeaseId, renewals: u32, at: Instant) -> LeaseEnd {
        LeaseEnd { at, lease, renewals }
    }

    #[tokio::test]
    async fn an_end_that_is_told_late_does_not_replace_a_later_one() {
        let (mut timer, lease, now) = (timer(), LeaseId::generate(), Instant::now());
        timer.wait_for(end(lease, 2, now + SECOND * 9));
        timer.wait_for(end(lease, 1, now + SECOND * 5));
        assert_eq!(timer.take_due(now + SECOND * 6), []);
        assert_eq!(timer.take_due(now + SECOND * 10), [end(lease, 2, now + SECOND * 9)]);
        assert!(timer.waiting.is_empty() && timer.looks.is_empty());
    }

    #[tokio::test]
    async fn a_lease_that_is_renewed_all_the_time_is_kept_once() {
        let (mut timer, lease, now) = (timer(), LeaseId::generate(), Instant::now());
        for renewals in 0..1000 {
            timer.wait_for(end(lease, renewals, now + SECOND * (renewals + 1)));
        }
        assert_eq!(timer.looks.len(), 1);
        assert_eq!(timer.take_due(now + SECOND * 999), []);
        assert_eq!(timer.take_due(now + SECOND * 1000).len(), 1);
        assert_eq!(timer.take_due(now + SECOND * 9999), []);
    }

    #[tokio::test]
    async fn a_renewal_may_be_shorter_than_what_was_left() {
        let (mut timer, lease, now) = (timer(), LeaseId::generate(), Instant::now());
        timer.wait_for(end(lease, 0, now + SECOND * 3600));
        timer.wait_for(end(lease, 1, now + SECOND * 5));
        assert_eq!(timer.take_due(now + SECOND * 5), [end(lease, 1, now + SECOND * 5)]);
        assert_eq!(timer.take_due(now + SECOND * 4000), [], "the look that was set before finds nothing");
    }
}
