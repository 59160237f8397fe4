//! Putting an execution in the queue.

use crate::domain::event::NewEvent;
use crate::domain::execution::{Execution, ExecutionPhase, ExecutionRequest};
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::task::Task;
use crate::domain::token::AuditAction;
use crate::store::Tx;

use super::ServiceError;

/// Queues an execution, with its event.
///
/// # Errors
/// [`ServiceError::Store`]
pub(super) fn queue(
    tx: &mut Tx<'_>,
    task: &Task,
    request: &ExecutionRequest,
) -> Result<Execution, ServiceError> {
    let execution = insert(tx, task.id, request)?;
    tx.append(&NewEvent::execution(&execution, ExecutionPhase::Queued, Some(task)))?;
    Ok(execution)
}

/// Queues an execution without an event.
///
/// # Errors
/// [`ServiceError::Store`]
pub(super) fn insert(
    tx: &mut Tx<'_>,
    task_id: TaskId,
    request: &ExecutionRequest,
) -> Result<Execution, ServiceError> {
    let number = tx.next_execution_number()?;
    let execution = Execution {
        attempts_max: request.retries.cast_signed() + 1,
        ..Execution::queued(ExecutionId::generate(), number, task_id, tx.now())
    };
    tx.insert_execution(&execution, request)?;
    audit(tx, AuditAction::ExecutionRequested, &execution)?;
    Ok(execution)
}

pub(super) fn audit(tx: &mut Tx<'_>, action: AuditAction, execution: &Execution) -> Result<(), ServiceError> {
    Ok(tx.audit(action, &execution.session_name, &about(execution))?)
}

pub(super) fn about(execution: &Execution) -> String {
    format!("execution {} of task {}", execution.id, execution.task_id)
}
