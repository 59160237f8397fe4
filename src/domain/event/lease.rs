//! What the log says of leases.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::lease::{Lease, Progress};
use crate::domain::schema::word_enum;
use crate::domain::text::{Assignee, TokenName};

word_enum! {
    /// A step in the life of a lease. A lease that ends with its worker's report has no step of its own.
    LeasePhase {
        /// a worker has got the task
        Claimed = "claimed",
        /// the worker has renewed the lease and asked to tell it
        Renewed = "renewed",
        /// the worker has given the task back
        Returned = "returned",
        /// nobody has renewed the lease in time
        Expired = "expired",
        /// somebody else has given the task another status or assignee, or has deleted it
        TakenAway = "taken_away",
    }
}

/// A step in the life of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct LeaseEventData {
    /// The task.
    pub task_id: TaskId,
    /// What happened.
    pub lease_event: LeasePhase,
    /// The lease.
    pub lease_id: LeaseId,
    /// Counts the leases of the task.
    #[oai(validator(minimum(value = "1")))]
    pub number: i64,
    /// Who has, or had, the task.
    pub worker: Assignee,
    /// When the lease ends, or would have ended.
    pub expires_at: Timestamp,
    /// How far the worker is, as it said last; null when it has said nothing.
    #[oai(nullable)]
    pub progress: Option<Progress>,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

impl LeaseEventData {
    pub fn of(task: TaskId, lease: &Lease, phase: LeasePhase) -> Self {
        Self {
            task_id: task,
            lease_event: phase,
            lease_id: lease.id,
            number: lease.number,
            worker: lease.worker.clone(),
            expires_at: lease.expires_at,
            progress: lease.progress.clone(),
            actor: None,
        }
    }
}
