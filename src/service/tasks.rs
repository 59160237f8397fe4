//! Creates, reads, changes and deletes tasks.

use std::collections::{HashMap, HashSet};

use crate::domain::comment::{CommentDraft, CommentText};
use crate::domain::error::Invalid;
use crate::domain::event::{EventId, LeasePhase, NewEvent};
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::task::{Status, StatusUpdate, Task, TaskDraft, TaskKey, TaskPatch};
use crate::domain::text::Author;
use crate::store::Tx;

use super::change::{auto_start, save_ending, update_dependents};
use super::comments;
use super::conversation::delete_conversation;
use super::dependencies;
use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::leases::{report_once, require_any};
use super::lookup::{load, refuse_if_live};
use super::precondition::Precondition;
use super::projects::next_number;
use super::stamped::require_reached;
use super::{Service, ServiceError, Stamped};

/// The answer to a create.
#[derive(Debug, Clone)]
pub struct Created {
    pub task: Task,
    /// Whether an earlier request with the same key created the task.
    pub repeated: bool,
}

impl Service {
    /// # Errors
    /// [`ServiceError::Invalid`], [`ServiceError::KeyReused`], [`ServiceError::Store`]
    pub async fn create_task(
        &self,
        new: TaskDraft,
        key: Option<IdempotencyKey>,
    ) -> Result<Stamped<Created>, ServiceError> {
        let has_default = self.shared.executions.exec_default.is_some();
        self.write(move |tx| {
            let fingerprint = fingerprint("create", &new);
            let (task, repeated) = once(tx, key, &fingerprint, |tx| create(tx, new, has_default))?;
            Ok(Created { task, repeated })
        })
        .await
    }

    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn task(&self, id: TaskId, min_cursor: Option<EventId>) -> Result<Stamped<Task>, ServiceError> {
        let (found, cursor) = self.store.task(id).await?;
        require_reached(cursor, min_cursor)?;
        let allowed = &self.actor().projects;
        let value = found.filter(|task| allowed.allow(&task.project)).ok_or(ServiceError::NoTask(id))?;
        Ok(Stamped { value, cursor })
    }

    /// The keys of tasks, as far as the caller may see them and they are there.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn task_keys(&self, ids: HashSet<TaskId>) -> Result<HashMap<TaskId, TaskKey>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.read(None, move |view| {
            let mut keys = HashMap::new();
            for id in ids {
                keys.extend(view.task_key(id)?.map(|key| (id, key)));
            }
            Ok(keys)
        });
        Ok(found.await?.value)
    }

    /// Applies a patch. When it changes nothing, answers the task as it is.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::VersionMismatch`], [`ServiceError::Invalid`],
    /// [`ServiceError::Store`]
    pub async fn update_task(
        &self,
        id: TaskId,
        patch: TaskPatch,
        expected: Precondition,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<Task>, ServiceError> {
        let patch = patch.checked()?;
        let has_default = self.shared.executions.exec_default.is_some();
        self.write(move |tx| change(tx, id, patch, None, &expected, lease, has_default)).await
    }

    /// Applies a report about a task's progress.
    ///
    /// # Errors
    /// As [`Service::update_task`].
    pub async fn update_task_status(
        &self,
        id: TaskId,
        mut report: StatusUpdate,
        expected: Precondition,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<Task>, ServiceError> {
        let (comment, has_default) = (report.comment.take(), self.shared.executions.exec_default.is_some());
        let patch = report.into();
        self.write(move |tx| change(tx, id, patch, comment, &expected, lease, has_default)).await
    }

    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::VersionMismatch`], [`ServiceError::HasScript`]
    /// when the task has a script and the caller may not delete it, [`ServiceError::Live`] while an
    /// execution of the task is live, [`ServiceError::Store`]
    pub async fn delete_task(
        &self,
        id: TaskId,
        expected: Precondition,
        lease: Option<LeaseId>,
        may_delete_scripts: bool,
    ) -> Result<Stamped<()>, ServiceError> {
        self.write(move |tx| remove(tx, id, &expected, lease, may_delete_scripts)).await
    }
}

/// Applies a patch and adds a comment, under a lease or not.
pub(super) fn change(
    tx: &mut Tx<'_>,
    id: TaskId,
    patch: TaskPatch,
    comment: Option<CommentText>,
    expected: &Precondition,
    lease: Option<LeaseId>,
    has_default: bool,
) -> Result<Task, ServiceError> {
    let report = (patch, comment);
    match lease {
        Some(lease) => report_once(tx, lease, id, &report.clone(), |tx| {
            apply(tx, id, report, expected, true, has_default)
        }),
        None => apply(tx, id, report, expected, false, has_default),
    }
}

fn apply(
    tx: &mut Tx<'_>,
    id: TaskId,
    (patch, comment): (TaskPatch, Option<CommentText>),
    expected: &Precondition,
    by_holder: bool,
    has_default: bool,
) -> Result<Task, ServiceError> {
    let task = load(tx, id)?;
    expected.check(task.version)?;
    let next = task.edited(patch)?;
    if (next.auto_start, &next.script) != (task.auto_start, &task.script) {
        refuse_empty_start(&next, has_default)?;
    }
    if let Some(text) = comment {
        let holder = task.lease.as_ref().filter(|_| by_holder).map(|lease| Author::from(&lease.worker));
        comments::add(tx, id, CommentDraft { text, author: holder })?;
    }
    let ending = match (by_holder, next.status) {
        (false, _) => Some(LeasePhase::TakenAway),
        (true, Status::Todo) => Some(LeasePhase::Returned),
        (true, _) => None,
    };
    save_ending(tx, task, next, None, ending)
}

/// Deletes a task, under a lease or not.
pub(super) fn remove(
    tx: &mut Tx<'_>,
    id: TaskId,
    expected: &Precondition,
    lease: Option<LeaseId>,
    may_delete_scripts: bool,
) -> Result<(), ServiceError> {
    require_any(tx, lease, id)?;
    let task = load(tx, id)?;
    expected.check(task.version)?;
    if task.script.is_some() && !may_delete_scripts {
        return Err(ServiceError::HasScript);
    }
    refuse_if_live(tx, id)?;
    delete(tx, &task)
}

pub(super) fn create(tx: &mut Tx<'_>, new: TaskDraft, has_default: bool) -> Result<Task, ServiceError> {
    let number = next_number(tx, &new.project)?;
    let mut task = Task::create(TaskId::generate(), number, new, tx.now())?;
    refuse_empty_start(&task, has_default)?;
    dependencies::check(tx, &task, &[])?;
    task.ready = dependencies::is_ready(tx, &task)?;
    tx.insert_task(&task)?;
    tx.replace_blockers(task.id, &[], &task.blocked_by)?;
    tx.append(&NewEvent::task_created(&task))?;
    auto_start(tx, task)
}

/// Refuses a task that is to start by itself and has nothing to run.
fn refuse_empty_start(task: &Task, has_default: bool) -> Result<(), Invalid> {
    match task.auto_start && task.script.is_none() && !has_default {
        true => Err(Invalid::new("auto_start", "needs a `script`; set one as well")),
        false => Ok(()),
    }
}

fn delete(tx: &mut Tx<'_>, task: &Task) -> Result<(), ServiceError> {
    if let Some(lease) = &task.lease {
        tx.delete_lease(lease.id)?;
        tx.append(&NewEvent::lease(task, lease, LeasePhase::TakenAway))?;
    }
    delete_conversation(tx, task)?;
    tx.delete_agent_sessions(task.id)?;
    tx.replace_blockers(task.id, &task.blocked_by, &[])?;
    tx.delete_task(task.id)?;
    tx.append(&NewEvent::task_deleted(task))?;
    if !task.is_done() {
        update_dependents(tx, task.id)?;
    }
    Ok(tx.delete_dependents(task.id)?)
}
