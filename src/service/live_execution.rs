//! The one execution of a task that is queued or runs.

use crate::domain::id::TaskId;
use crate::store::View;

use super::ServiceError;

/// # Errors
/// [`ServiceError::Live`] when the task has one; [`ServiceError::Store`]
pub(super) fn refuse_if_live(view: &View<'_>, task_id: TaskId) -> Result<(), ServiceError> {
    match view.latest_execution(task_id)? {
        Some(execution) if !execution.status.is_final() => {
            Err(ServiceError::Live { session: execution.session_name })
        }
        _ => Ok(()),
    }
}
