//! What a worker asks for when it claims a task, and how the answer comes back.

use poem_openapi::Object;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::domain::error::Invalid;
use crate::domain::event::EventId;
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::task::{Priority, Task};
use crate::domain::text::{Assignee, Tag, must_be_one_line};
use crate::domain::token::Actor;
use crate::store::{ClaimFilter, HeldLease};

use super::error::ServiceError;

/// Claims that are decided in one transaction: a few milliseconds of the writer's time.
pub(super) const BATCH_MAX: usize = 128;

/// A worker's wish for a task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// Who takes the task; it becomes its assignee.
    pub worker: Assignee,
    /// Only this task.
    #[oai(nullable)]
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// Only a task of this project.
    #[oai(nullable)]
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Only a task with this tag.
    #[oai(nullable)]
    #[serde(default)]
    pub tag: Option<Tag>,
    /// Only a task of this priority.
    #[oai(nullable)]
    #[serde(default)]
    pub priority: Option<Priority>,
    /// For how long the worker has the task unless it renews the lease.
    #[oai(default = "default_lease_seconds", validator(minimum(value = "5"), maximum(value = "3600")))]
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: u32,
    /// How long to wait for a task when none is ready.
    #[oai(default, validator(minimum(value = "0"), maximum(value = "60")))]
    #[serde(default)]
    pub wait_seconds: u32,
    /// Takes one more task. Without it a worker that holds a task gets that one again.
    #[oai(default)]
    #[serde(default)]
    pub another: bool,
    /// The lease ends after so many seconds unless the worker renews it; then it lasts for `lease_seconds`. For workers that
    /// may never get the answer, because their own client has given up.
    #[oai(skip)]
    #[serde(skip)]
    pub unconfirmed_seconds_max: Option<u32>,
}

fn default_lease_seconds() -> u32 {
    60
}

impl ClaimRequest {
    pub(super) fn checked(self) -> Result<Self, Invalid> {
        must_be_one_line(self.worker.as_str()).map_err(|words| Invalid::new("worker", words))?;
        if !(5..=3600).contains(&self.lease_seconds) {
            return Err(Invalid::new("lease_seconds", "must be 5 to 3600"));
        }
        if self.wait_seconds > 60 {
            return Err(Invalid::new("wait_seconds", "must be 0 to 60"));
        }
        Ok(self)
    }

    pub(super) fn filter(&self) -> ClaimFilter {
        ClaimFilter {
            task: self.task_id,
            project: self.project.clone(),
            tag: self.tag.clone(),
            priority: self.priority,
        }
    }

    /// For how long the lease lasts that the answer tells of, and for how long once the worker has renewed it, if that
    /// differs.
    pub(super) fn first_seconds(&self) -> (u32, Option<u32>) {
        match self.unconfirmed_seconds_max {
            Some(max) if max < self.lease_seconds => (max, Some(self.lease_seconds)),
            _ => (self.lease_seconds, None),
        }
    }
}

/// A claim on its way to the dispatcher.
#[derive(Debug)]
pub struct Claimant {
    pub(super) request: ClaimRequest,
    pub(super) actor: Actor,
    pub(super) until: Instant,
    pub(super) reply: oneshot::Sender<Result<Option<Granted>, ServiceError>>,
}

/// A task that a worker has got.
#[derive(Debug)]
pub struct Granted {
    pub(super) task: Task,
    pub(super) cursor: EventId,
    pub(super) held: HeldLease,
    pub(super) again: bool,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub struct ClaimedTask {
    pub task: Task,
    /// Whether the worker held it already. Then no filter but that for the task was looked at.
    pub again: bool,
}

impl Claimant {
    pub(super) fn answer(self, answer: Result<Option<Granted>, ServiceError>) {
        // A caller that has gone asks again.
        let _ = self.reply.send(answer);
    }
}
