//! The time at which a lease ends, by the monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::id::LeaseId;
use crate::store::HeldLease;

/// The end of a lease as it stands; one that was renewed has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEnd {
    pub at: Instant,
    pub lease: LeaseId,
    pub renewals: u32,
}

/// A lease that was claimed or renewed, and when.
#[derive(Debug, Clone, Copy)]
pub struct LeaseStart {
    at: Instant,
    lease: LeaseId,
    renewals: u32,
    seconds: u32,
}

impl LeaseStart {
    /// It starts now.
    pub fn of(held: &HeldLease) -> Self {
        let (lease, renewals, seconds) = (held.lease.id, held.renewals, held.seconds);
        Self { at: Instant::now(), lease, renewals, seconds }
    }

    /// Where it ends when each of its seconds lasts for `second`.
    pub fn end(self, second: Duration) -> LeaseEnd {
        LeaseEnd { at: self.at + second * self.seconds, lease: self.lease, renewals: self.renewals }
    }
}

impl LeaseEnd {
    /// The same end, this much later from now.
    pub fn after(self, pause: Duration) -> Self {
        Self { at: Instant::now() + pause, ..self }
    }
}
