//! How a task changes, and what follows from it in the same transaction.
//!
//! A task that waits for others is released in the transaction of its cause, by an event behind the cause's own. So no
//! wake-up is lost, and none comes twice: the row says whether the task was ready before. The lease of a task that was taken
//! away ends here, and an execution that is to start by itself is queued here.

use crate::domain::event::{ChangeReason, LeasePhase, NewEvent};
use crate::domain::execution::ExecutionRequest;
use crate::domain::id::TaskId;
use crate::domain::task::{Status, Task, TaskPatch};
use crate::domain::token::Actor;
use crate::store::Tx;

use super::ServiceError;
use super::dependencies;
use super::lookup::refuse_if_live;
use super::queue::queue;

/// Applies a patch to a task.
pub(super) fn update(tx: &mut Tx<'_>, task: Task, patch: TaskPatch) -> Result<Task, ServiceError> {
    let next = task.edited(patch)?;
    save(tx, task, next, None)
}

/// Writes `next` as the version after `task`, with its event, or neither when nothing differs. This is the only way in which
/// a task changes, and it does what follows: the lease of a task that was taken away ends, tasks that wait for this one
/// become ready, and an execution starts when the task is to start by itself. `reason` says why the hub does it by itself.
pub(super) fn save(
    tx: &mut Tx<'_>,
    task: Task,
    next: Task,
    reason: Option<ChangeReason>,
) -> Result<Task, ServiceError> {
    save_ending(tx, task, next, reason, Some(LeasePhase::TakenAway))
}

/// As [`save`]. `ending` is what the log says of a lease that ends by it, if anything.
pub(super) fn save_ending(
    tx: &mut Tx<'_>,
    task: Task,
    mut next: Task,
    reason: Option<ChangeReason>,
    ending: Option<LeasePhase>,
) -> Result<Task, ServiceError> {
    let ended = task.lease.clone().filter(|lease| !next.is_held_under(lease));
    if let Some(lease) = &ended {
        next.lease = None;
        tx.delete_lease(lease.id)?;
    }
    if next.blocked_by != task.blocked_by {
        dependencies::check(tx, &next, &task.blocked_by)?;
        tx.replace_blockers(task.id, &task.blocked_by, &next.blocked_by)?;
    }
    next.ready = dependencies::is_ready(tx, &next)?;
    let Some((next, changed)) = task.succeeded_by(next, tx.now()) else {
        return Ok(task);
    };
    tx.update_task(&next)?;
    tx.append(&NewEvent::task_updated(&task, &next, changed, reason))?;
    if let (Some(lease), Some(phase)) = (&ended, ending) {
        tx.append(&NewEvent::lease(&next, lease, phase))?;
    }
    if task.is_done() != next.is_done() {
        update_dependents(tx, next.id)?;
    }
    auto_start(tx, next)
}

/// Brings the tasks that wait for one up to date, after it was finished, taken up again or deleted.
pub(super) fn update_dependents(tx: &mut Tx<'_>, blocker: TaskId) -> Result<(), ServiceError> {
    for id in tx.dependents(blocker)? {
        if let Some(task) = tx.task(id)? {
            save(tx, task.clone(), task, None)?;
        }
    }
    Ok(())
}

/// Starts an execution of a task that is ready and waits for that.
pub(super) fn auto_start(tx: &mut Tx<'_>, task: Task) -> Result<Task, ServiceError> {
    if !(task.ready && task.auto_start) || refuse_if_live(tx, task.id).is_err() {
        return Ok(task);
    }
    let request = ExecutionRequest { script_content: task.script.clone(), ..ExecutionRequest::default() };
    let started = Task { status: Status::InProgress, auto_start: false, ..task.clone() };
    let task = save(tx, task, started, Some(ChangeReason::AutoStarted))?;
    // In nobody's name: who has finished a blocker has not asked for this, and the end of its token must not stop it.
    let actor = tx.actor().clone();
    tx.act_as(Actor::default());
    let queued = queue(tx, &task, &request);
    tx.act_as(actor);
    queued?;
    Ok(task)
}
