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
    /// The next one first. Those of leases that have ended or were renewed stay until their time.
    waiting: BinaryHeap<Reverse<LeaseEnd>>,
    /// How often each lease was renewed, as far as its last end that is waited for.
    latest: HashMap<LeaseId, u32>,
}

impl LeaseTimer {
    /// `second` is how long a second of a lease lasts.
    pub fn new(starts: mpsc::UnboundedReceiver<LeaseStart>, second: Duration) -> Self {
        Self { starts, second, waiting: BinaryHeap::new(), latest: HashMap::new() }
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
            let next = self.waiting.peek().map(|Reverse(end)| end.at);
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

    /// Ends what is due. Those of leases that were renewed meanwhile are passed over without a look at the store.
    async fn expire(&mut self, service: &Service) {
        let now = Instant::now();
        let mut due = Vec::new();
        while due.len() < EXPIRED_AT_ONCE
            && let Some(Reverse(end)) = self.waiting.peek().filter(|Reverse(end)| end.at <= now).copied()
        {
            self.waiting.pop();
            if self.latest.get(&end.lease) == Some(&end.renewals) {
                self.latest.remove(&end.lease);
                due.push(end);
            }
        }
        if due.is_empty() {
            return;
        }
        if let Err(error) = service.expire_leases(due.clone()).await {
            tracing::warn!(%error, leases = due.len(), "leases could not be ended; trying again");
            due.into_iter().for_each(|end| self.wait_for(end.after(RETRY_AFTER)));
        }
    }

    fn wait_for(&mut self, end: LeaseEnd) {
        self.latest.insert(end.lease, end.renewals);
        self.waiting.push(Reverse(end));
    }
}
