//! Finds what a use case works on: a task, its latest execution, an execution by its id.

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

/// # Errors
/// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::Store`]
pub(super) fn latest(view: &View<'_>, task_id: TaskId) -> Result<Execution, ServiceError> {
    match view.latest_execution(task_id)? {
        Some(execution) => Ok(execution),
        None => {
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

pub(super) fn load(view: &View<'_>, id: TaskId) -> Result<Task, ServiceError> {
    view.task(id)?.ok_or(ServiceError::NoTask(id))
}
