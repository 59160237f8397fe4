//! A lease: a worker has a task until a time, and no longer unless it renews.
//!
//! The number of a lease fences: it rises with each lease of the task, so a system that keeps the highest one knows the owner.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::LeaseId;
use super::text::Assignee;

/// The lease that a task is worked on under.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Lease {
    /// Identifies the lease: the worker sends it as `Taskhub-Lease` with its reports.
    pub id: LeaseId,
    /// Counts the leases of the task, from 1; a higher number is a later owner.
    #[oai(validator(minimum(value = "1")))]
    pub number: i64,
    /// Who has the task.
    pub worker: Assignee,
    /// When the lease ends unless the worker renews it. A renewal changes neither the task nor its events, unless the worker
    /// asks for that: `GET /api/leases/{lease_id}` and `GET /api/tasks/{task_id}/why` tell the present end.
    pub expires_at: Timestamp,
}
