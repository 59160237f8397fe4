//! Creates, reads, changes and deletes tasks.

use crate::domain::event::{EventId, NewEvent};
use crate::domain::id::TaskId;
use crate::domain::page::{PageKey, TaskQuery};
use crate::domain::task::{StatusUpdate, Task, TaskDraft, TaskPatch};
use crate::store::Tx;

use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::lookup::{load, refuse_if_live};
use super::{Service, ServiceError};

/// The conditions of a change: `If-Match` and `If-None-Match` (RFC 9110, sections 13.1.1 and
/// 13.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The task must be at one of these versions.
    pub if_match: Option<Versions>,
    /// The task must be at none of these versions.
    pub if_none_match: Option<Versions>,
}

/// The versions that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// `*`: any version.
    Any,
    /// Empty when the header named only tags that are no versions.
    OneOf(Vec<i64>),
}

impl Versions {
    fn name(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

impl Precondition {
    fn check(&self, task: &Task) -> Result<(), ServiceError> {
        let version = task.version;
        let is_wanted = self.if_match.as_ref().is_none_or(|versions| versions.name(version));
        let is_unwanted = self.if_none_match.as_ref().is_some_and(|versions| versions.name(version));
        match is_wanted && !is_unwanted {
            true => Ok(()),
            false => Err(ServiceError::VersionMismatch { current: version }),
        }
    }
}

/// The answer to a create.
#[derive(Debug, Clone)]
pub struct Created {
    pub task: Task,
    /// Whether an earlier request with the same key created the task.
    pub repeated: bool,
}

/// A page of tasks. All come from one committed state.
#[derive(Debug, Clone)]
pub struct TaskPage {
    pub tasks: Vec<Task>,
    /// Where the next page starts, if there is one.
    pub next: Option<PageKey>,
    /// The last event that this page includes. A stream that starts here misses nothing and repeats
    /// nothing.
    pub cursor: EventId,
}

impl Service {
    /// # Errors
    /// [`ServiceError::Invalid`], [`ServiceError::KeyReused`], [`ServiceError::Store`]
    pub async fn create_task(
        &self,
        new: TaskDraft,
        key: Option<IdempotencyKey>,
    ) -> Result<Created, ServiceError> {
        self.store
            .write(move |tx| {
                let fingerprint = fingerprint("create", &new);
                let (task, repeated) = once(tx, key, &fingerprint, |tx| create(tx, new))?;
                Ok(Created { task, repeated })
            })
            .await
    }

    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn task(&self, id: TaskId) -> Result<Task, ServiceError> {
        self.store.read(move |view| load(view, id)).await
    }

    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn tasks(&self, query: TaskQuery) -> Result<TaskPage, ServiceError> {
        self.store
            .read(move |view| {
                let (tasks, next) = view.tasks(&query)?;
                Ok(TaskPage { tasks, next, cursor: view.head()? })
            })
            .await
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
    ) -> Result<Task, ServiceError> {
        let patch = patch.checked()?;
        self.store
            .write(move |tx| {
                let task = load(tx, id)?;
                expected.check(&task)?;
                update(tx, task, patch)
            })
            .await
    }

    /// Applies a report about a task's progress.
    ///
    /// # Errors
    /// As [`Service::update_task`].
    pub async fn update_task_status(
        &self,
        id: TaskId,
        report: StatusUpdate,
        expected: Precondition,
    ) -> Result<Task, ServiceError> {
        self.update_task(id, report.into(), expected).await
    }

    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::VersionMismatch`], [`ServiceError::HasScript`]
    /// when the task has a script and the caller may not delete it, [`ServiceError::Live`] while an
    /// execution of the task is live, [`ServiceError::Store`]
    pub async fn delete_task(
        &self,
        id: TaskId,
        expected: Precondition,
        may_delete_scripts: bool,
    ) -> Result<(), ServiceError> {
        self.store
            .write(move |tx| {
                let task = load(tx, id)?;
                expected.check(&task)?;
                if task.script.is_some() && !may_delete_scripts {
                    return Err(ServiceError::HasScript);
                }
                refuse_if_live(tx, id)?;
                tx.delete_task(id)?;
                tx.append(&NewEvent::task_deleted(&task))?;
                Ok(())
            })
            .await
    }
}

/// Writes the next version and its event. Writes neither when nothing would change.
pub(super) fn update(tx: &mut Tx<'_>, task: Task, patch: TaskPatch) -> Result<Task, ServiceError> {
    let Some((next, changed)) = task.patched(patch, tx.now())? else {
        return Ok(task);
    };
    tx.update_task(&next)?;
    tx.append(&NewEvent::task_updated(&task, &next, changed))?;
    Ok(next)
}

fn create(tx: &mut Tx<'_>, new: TaskDraft) -> Result<Task, ServiceError> {
    let task = Task::create(TaskId::generate(), new, tx.now())?;
    tx.insert_task(&task)?;
    tx.append(&NewEvent::task_created(&task))?;
    Ok(task)
}
