//! Settlement: records how an execution ended, and what follows for its task and its next attempt.

use poem_openapi::types::MaybeUndefined;

use crate::config::DoneStatus;
use crate::domain::clock::Timestamp;
use crate::domain::event::NewEvent;
use crate::domain::execution::{End, Execution, ExecutionPhase, ExecutionStatus, NamedArtifacts, Outcome};
use crate::domain::id::ExecutionId;
use crate::domain::task::{Status, Task, TaskPatch};
use crate::domain::token::Actor;
use crate::store::{Tx, View};

use super::change::{auto_start, update};
use super::lookup::by_id;
use super::{Service, ServiceError};

impl Service {
    /// Stops queued executions whose token was revoked or has expired. Running executions go on.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn stop_queued_of_departed(&self) -> Result<(), ServiceError> {
        self.store
            .write(|tx| {
                for execution in tx.queued_executions()? {
                    if has_gone(tx, &tx.execution_actor(execution.id)?)? {
                        settle_of_departed(tx, execution)?;
                    }
                }
                Ok::<_, ServiceError>(())
            })
            .await?;
        self.stepped();
        Ok(())
    }

    /// Records how an execution ended and announces the end, once. Queues the next attempt if one
    /// follows. Adds the artifacts that the script named to the task. After a success, also moves
    /// the task to its next status.
    ///
    /// # Errors
    /// [`ServiceError::Ended`] when it had already ended, [`ServiceError::Store`]
    pub async fn settle_execution(
        &self,
        id: ExecutionId,
        outcome: Outcome,
        named: NamedArtifacts,
    ) -> Result<Execution, ServiceError> {
        let done_status = self.shared.executions.exec_done_status;
        let execution = self
            .store
            .write(move |tx| {
                tx.act_as(tx.execution_actor(id)?);
                let execution = by_id(tx, id)?;
                let Some(task) = tx.task(execution.task_id)? else {
                    return settle(tx, execution, outcome);
                };
                let (artifacts, left_out) = task.artifacts_with(named.artifacts);
                let outcome = outcome.remarked(left_out + named.refused);
                let execution = settle(tx, execution, outcome)?;
                let status = status_after(&execution, &task, done_status);
                let patch = TaskPatch {
                    artifacts: MaybeUndefined::Value(artifacts),
                    status: status.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value),
                    ..TaskPatch::default()
                };
                let task = update(tx, task, patch)?;
                // One that became ready while this execution was going on has waited for its end.
                auto_start(tx, task)?;
                Ok(execution)
            })
            .await?;
        // The end leaves a slot free.
        self.shared.signals.work().notify_one();
        self.stepped();
        Ok(execution)
    }
}

/// Whether the actor's token was revoked or has expired.
pub(super) fn has_gone(view: &View<'_>, actor: &Actor) -> Result<bool, ServiceError> {
    let Some(name) = &actor.token else {
        return Ok(false);
    };
    let (tokens, _) = view.tokens()?;
    let now = Timestamp::now();
    Ok(!tokens.iter().any(|token| token.name == *name && token.is_good(now)))
}

pub(super) fn settle_of_departed(tx: &mut Tx<'_>, execution: Execution) -> Result<Execution, ServiceError> {
    let reason = "the token that had asked for it was revoked or has expired".to_owned();
    let outcome = Outcome { reason: Some(reason), ..Outcome::of(End::Stopped) };
    settle_unstarted(tx, execution, outcome)
}

/// Ends an execution that has not started. A task that became ready meanwhile has waited for that.
pub(super) fn settle_unstarted(
    tx: &mut Tx<'_>,
    execution: Execution,
    outcome: Outcome,
) -> Result<Execution, ServiceError> {
    let ended = settle(tx, execution, outcome)?;
    if let Some(task) = tx.task(ended.task_id)? {
        auto_start(tx, task)?;
    }
    Ok(ended)
}

/// The next status of the task. When somebody or the script itself has changed the status
/// meanwhile, that status stays. It also stays when a worker holds the task: the execution is a part
/// of its work, and the worker reports the end.
fn status_after(execution: &Execution, task: &Task, done_status: DoneStatus) -> Option<Status> {
    let is_under_way = task.status == Status::InProgress && task.lease.is_none();
    if execution.status != ExecutionStatus::Completed || !is_under_way {
        return None;
    }
    match done_status {
        DoneStatus::Todo => Some(Status::Todo),
        DoneStatus::InProgress => Some(Status::InProgress),
        DoneStatus::Review => Some(Status::Review),
        DoneStatus::Done => Some(Status::Done),
        DoneStatus::Keep => None,
    }
}

pub(super) fn settle(
    tx: &mut Tx<'_>,
    execution: Execution,
    outcome: Outcome,
) -> Result<Execution, ServiceError> {
    let phase = outcome.end.phase();
    let ended = execution.ended(outcome, tx.now())?;
    // Read before `record`, which erases the request.
    let request = tx.execution_request(ended.id)?.unwrap_or_default();
    record(tx, &ended, phase)?;
    if ended.is_to_be_repeated() {
        let number = tx.next_execution_number()?;
        let next = ended.next_attempt(&request, ExecutionId::generate(), number, tx.now());
        tx.insert_execution(&next, &request)?;
        announce(tx, &next, ExecutionPhase::Queued)?;
    }
    Ok(ended)
}

pub(super) fn record(
    tx: &mut Tx<'_>,
    execution: &Execution,
    phase: ExecutionPhase,
) -> Result<(), ServiceError> {
    tx.update_execution(execution)?;
    announce(tx, execution, phase)
}

pub(super) fn announce(
    tx: &mut Tx<'_>,
    execution: &Execution,
    phase: ExecutionPhase,
) -> Result<(), ServiceError> {
    let task = tx.task(execution.task_id)?;
    tx.append(&NewEvent::execution(execution, phase, task.as_ref()))?;
    Ok(())
}
