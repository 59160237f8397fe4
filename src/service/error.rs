//! Why a use case refused. Callers can match on the variants.

use thiserror::Error;

use crate::domain::error::Invalid;
use crate::domain::event::EventId;
use crate::domain::execution::{ExecutionStatus, WrongState};
use crate::domain::id::{ExecutionId, LeaseId, QuestionId, TaskId};
use crate::domain::project::ProjectName;
use crate::domain::question::Question;
use crate::domain::task::TaskKey;
use crate::store::{OfStore, StoreError};

#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("there is no task {0}")]
    NoTask(TaskId),
    #[error("there is no task {0}")]
    NoTaskOf(TaskKey),
    #[error("there is no project {0}")]
    NoProject(ProjectName),
    #[error("there is a project {0} already")]
    ProjectExists(ProjectName),
    /// It has tasks, or is the one that every hub has.
    #[error("the project {0} {1}")]
    ProjectInUse(ProjectName, &'static str),
    #[error("the project {0} is archived and takes no new tasks")]
    ProjectArchived(ProjectName),
    /// The caller's token is bound to projects, and this concerns others too.
    #[error("the token is bound to projects, and this is not for these alone")]
    BeyondProjects,
    #[error("the hub has as many projects as it can have ({0})")]
    TooManyProjects(usize),
    #[error("task {0} has no execution")]
    NeverExecuted(TaskId),
    #[error("task {task} has no execution {execution}")]
    NoExecution { task: TaskId, execution: ExecutionId },
    #[error("there is no question {0}")]
    NoQuestion(QuestionId),
    /// Somebody has answered it, or its deadline is over.
    #[error("the question has ended already")]
    QuestionEnded(Box<Question>),
    #[error("the task has as many open questions as it can have ({0})")]
    TooManyQuestions(usize),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// `If-Match` or `If-None-Match` does not allow the current version.
    #[error("the version is {current}")]
    VersionMismatch { current: i64 },
    /// The keys or ids of the tasks that would wait for each other, the first one again at the end.
    #[error("the task would wait for itself: {}", .0.join(" waits for "))]
    Cycle(Vec<String>),
    #[error("{0} tasks wait for that task already, which is the most")]
    TooManyDependents(usize),
    #[error("the task would wait for more than {0} tasks in all")]
    TooManyDependencies(usize),
    #[error("the log has no event {0}")]
    NotThere(EventId),
    #[error("there is no lease {0} in force")]
    NoLease(LeaseId),
    /// The operations before this one have changed as much as a batch may.
    #[error("the batch changes more than fits in one")]
    BatchTooLarge,
    #[error("{0} claims are waiting, which is the most")]
    TooManyClaims(usize),
    /// The lease was not, or is no longer, the one that the task is held by. By its id or its handle.
    #[error("the lease {0} is not in force")]
    LeaseLost(String),
    /// The worker says that the task is done, and waits for answers.
    #[error("open questions about the task: {0}")]
    QuestionsOpen(usize),
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
