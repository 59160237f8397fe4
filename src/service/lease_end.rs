//! The time at which a lease ends, by the monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::id::LeaseId;
use crate::store::HeldLease;

/// The end of a lease as it stands; one that was renewed has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseEnd {
    pub at: Instant,
    pub lease: LeaseId,
    pub renewals: u32,
}

impl LeaseEnd {
    pub fn of(held: &HeldLease) -> Self {
        let after = Duration::from_secs(held.seconds.into());
        Self { at: Instant::now() + after, lease: held.lease.id, renewals: held.renewals }
    }

    /// The same end, this much later from now.
    pub fn after(self, pause: Duration) -> Self {
        Self { at: Instant::now() + pause, ..self }
    }
}
