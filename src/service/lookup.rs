//! Finds what a use case works on: a task, its latest execution, an execution by its id.
//!
//! [`load`] and [`latest`] are for ids that a client has sent. They answer what is in a project that the client may not
//! see exactly as if it did not exist. The others are for the hub's own steps and show everything.

use crate::domain::execution::Execution;
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::task::Task;
use crate::store::{StoreError, View};

use super::ServiceError;

/// # Errors
/// [`ServiceError::Live`] when the task has a live execution; [`ServiceError::Store`]
pub(super) fn refuse_if_live(view: &View<'_>, task_id: TaskId) -> Result<(), ServiceError> {
    match view.latest_execution(task_id)? {
        Some(execution) if !execution.status.is_final() => {
            Err(ServiceError::Live { session: execution.session_name })
        }
        _ => Ok(()),
    }
}

/// The latest execution of a task, for the caller.
///
/// # Errors
/// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::Store`]
pub(super) fn latest(view: &View<'_>, task_id: TaskId) -> Result<Execution, ServiceError> {
    match view.latest_execution(task_id)? {
        Some(execution) if view.shows_execution(execution.id)? => Ok(execution),
        _ => {
            load(view, task_id)?;
            Err(ServiceError::NeverExecuted(task_id))
        }
    }
}

/// # Errors
/// [`ServiceError::Store`], also when there is no such execution.
pub(super) fn by_id(view: &View<'_>, id: ExecutionId) -> Result<Execution, ServiceError> {
    view.execution(id)?.ok_or_else(|| StoreError::Corrupt(format!("no execution {id}")).into())
}

/// A task, for the caller.
///
/// # Errors
/// [`ServiceError::NoTask`], [`ServiceError::Store`]
pub(super) fn load(view: &View<'_>, id: TaskId) -> Result<Task, ServiceError> {
    let task = view.task(id)?.filter(|task| view.allowed().allow(&task.project));
    task.ok_or(ServiceError::NoTask(id))
}
