//! Why a use case refused. Callers can match on the variants.

use thiserror::Error;

use crate::domain::error::Invalid;
use crate::domain::execution::{ExecutionStatus, WrongState};
use crate::domain::id::{ExecutionId, TaskId};
use crate::store::{OfStore, StoreError};

#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("there is no task {0}")]
    NoTask(TaskId),
    #[error("task {0} has no execution")]
    NeverExecuted(TaskId),
    #[error("task {task} has no execution {execution}")]
    NoExecution { task: TaskId, execution: ExecutionId },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// `If-Match` or `If-None-Match` does not allow the current version.
    #[error("the task is at version {current}")]
    VersionMismatch { current: i64 },
    /// The same `Idempotency-Key` came with another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The caller may not change scripts, so it may not delete a task that has one.
    #[error("the task has a script, and deleting that needs more than changing tasks")]
    HasScript,
    #[error("{session} is running or queued for this task")]
    Live { session: String },
    #[error("neither the request nor the task nor the hub has a script")]
    NothingToRun,
    #[error("the execution has ended: {0}")]
    Ended(ExecutionStatus),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WrongState> for ServiceError {
    fn from(WrongState(status): WrongState) -> Self {
        Self::Ended(status)
    }
}

impl OfStore for ServiceError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
