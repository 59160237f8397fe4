//! What an agent reports of the task that it has claimed: done, with proof, or failed.
//!
//! The lease says which task it is. A report may be repeated: it changes nothing then, and answers the same again. A person
//! reports a status instead, and may always do so.

use poem_openapi::types::MaybeUndefined;
use serde::Serialize;

use crate::domain::comment::{CommentDraft, CommentText};
use crate::domain::error::Invalid;
use crate::domain::event::{ChangeReason, LeasePhase};
use crate::domain::id::LeaseId;
use crate::domain::lease::LeaseHandle;
use crate::domain::task::{Status, Task, TaskKey, TaskPatch};
use crate::domain::text::{Artifact, Author};
use crate::store::{Tx, View};

use super::change::save_ending;
use super::comments;
use super::idempotency::fingerprint;
use super::{Service, ServiceError, Stamped};

/// What a worker has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// What was done.
    pub summary: String,
    /// How one can tell that it is done.
    pub proof: String,
    /// Paths of what it has produced; they are added to those of the task.
    pub artifacts: Vec<Artifact>,
}

/// Why a worker gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureReport {
    pub reason: CommentText,
    /// Whether somebody else may try. It counts as an attempt; after `attempts_max` the task goes to `review` all the same.
    pub retry: bool,
}

impl Service {
    /// The task with this key.
    ///
    /// # Errors
    /// [`ServiceError::NoTaskOf`], [`ServiceError::Store`]
    pub async fn task_of(&self, key: TaskKey) -> Result<Stamped<Task>, ServiceError> {
        self.read(None, move |view| task_of(view, &key)).await
    }

    /// The id of the lease with this handle, and its task.
    ///
    /// # Errors
    /// [`ServiceError::LeaseLost`], [`ServiceError::Store`]
    pub async fn lease_of(&self, handle: LeaseHandle) -> Result<(LeaseId, Task), ServiceError> {
        let found = self.read(None, move |view| {
            held(view, &handle)?.ok_or_else(|| ServiceError::LeaseLost(handle.to_string()))
        });
        Ok(found.await?.value)
    }

    /// Ends the task as `done`, with a comment that holds the summary and the proof.
    ///
    /// # Errors
    /// [`ServiceError::LeaseLost`], [`ServiceError::QuestionsOpen`], [`ServiceError::Invalid`], [`ServiceError::Store`]
    pub async fn complete_task(
        &self,
        lease: LeaseHandle,
        report: Completion,
    ) -> Result<Stamped<Task>, ServiceError> {
        let comment = report.comment()?;
        self.write(move |tx| {
            report_once(tx, &lease, &report, |tx, task| complete(tx, task, &report, comment))
        })
        .await
    }

    /// Gives the task back, to be tried again or to be looked at, with the reason as a comment.
    ///
    /// # Errors
    /// [`ServiceError::LeaseLost`], [`ServiceError::Store`]
    pub async fn fail_task(
        &self,
        lease: LeaseHandle,
        report: FailureReport,
    ) -> Result<Stamped<Task>, ServiceError> {
        self.write(move |tx| report_once(tx, &lease, &report, |tx, task| fail(tx, task, report.clone())))
            .await
    }
}

impl Completion {
    fn comment(&self) -> Result<CommentText, Invalid> {
        let blank = |text: &str| text.trim().is_empty();
        if blank(&self.summary) {
            return Err(Invalid::new("summary", "must not be blank; say what you have done"));
        }
        if blank(&self.proof) {
            let words = "must not be blank; say what you have checked, how, and what came out";
            return Err(Invalid::new("proof", words));
        }
        let text = format!("{}\n\n**Proof:** {}", self.summary.trim(), self.proof.trim());
        text.parse().map_err(|words| Invalid::new("summary", format!("together with the proof: {words}")))
    }
}

fn complete(
    tx: &mut Tx<'_>,
    task: Task,
    report: &Completion,
    comment: CommentText,
) -> Result<Task, ServiceError> {
    if !task.waiting_for.is_empty() {
        return Err(ServiceError::QuestionsOpen(task.waiting_for.len()));
    }
    add_comment(tx, &task, comment)?;
    let artifacts = task.artifacts.iter().chain(&report.artifacts).cloned().collect();
    let patch = TaskPatch {
        status: MaybeUndefined::Value(Status::Done),
        artifacts: MaybeUndefined::Value(artifacts),
        ..TaskPatch::default()
    };
    let next = task.edited(patch)?;
    save_ending(tx, task, next, None, None)
}

fn fail(tx: &mut Tx<'_>, task: Task, report: FailureReport) -> Result<Task, ServiceError> {
    add_comment(tx, &task, report.reason)?;
    let attempts = task.attempts + i64::from(report.retry);
    let (status, reason, assignee) = match report.retry {
        true if attempts < task.attempts_max => (Status::Todo, None, None),
        true => (Status::Review, Some(ChangeReason::AttemptsExhausted), None),
        false => (Status::Review, None, task.assignee.clone()),
    };
    let next = Task { status, attempts, assignee, ..task.clone() };
    let ending = (status == Status::Todo).then_some(LeasePhase::Returned);
    save_ending(tx, task, next, reason, ending)
}

/// In the name of the worker, unless its token has one.
fn add_comment(tx: &mut Tx<'_>, task: &Task, text: CommentText) -> Result<(), ServiceError> {
    let author = task.lease.as_ref().map(|lease| Author::from(&lease.worker));
    comments::add(tx, task.id, CommentDraft { text, author })?;
    Ok(())
}

/// Does what a worker reports under its lease, or answers what the same report has answered before.
fn report_once(
    tx: &mut Tx<'_>,
    lease: &LeaseHandle,
    report: &impl Serialize,
    work: impl FnOnce(&mut Tx<'_>, Task) -> Result<Task, ServiceError>,
) -> Result<Task, ServiceError> {
    // No key of a client holds a line break.
    let key = format!("\nlease\n{lease}");
    let fingerprint = fingerprint("report", report);
    let Some((_, task)) = held(tx, lease)? else {
        let lost = || ServiceError::LeaseLost(lease.to_string());
        // A caller that may not see the task (any more) gets no earlier answer.
        task_of(tx, &lease.task).map_err(|error| match error {
            ServiceError::Store(error) => error.into(),
            _ => lost(),
        })?;
        let earlier = tx.repetition::<Task>(&key)?.filter(|it| it.fingerprint == fingerprint);
        return earlier.and_then(|it| it.answer).ok_or_else(lost);
    };
    let task = work(tx, task)?;
    tx.remember(&key, &fingerprint, &task)?;
    Ok(task)
}

/// The lease with this handle and its task, if it is in force and the caller may see the task.
fn held(view: &View<'_>, handle: &LeaseHandle) -> Result<Option<(LeaseId, Task)>, ServiceError> {
    let task = match task_of(view, &handle.task) {
        Ok(task) => task,
        Err(ServiceError::Store(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let is_named = |task: &Task| {
        task.lease.as_ref().filter(|lease| LeaseHandle::of(&task.key, lease) == *handle).map(|lease| lease.id)
    };
    Ok(is_named(&task).map(|id| (id, task)))
}

fn task_of(view: &View<'_>, key: &TaskKey) -> Result<Task, ServiceError> {
    let task = view.task_of(key)?.filter(|task| view.allowed().allow(&task.project));
    task.ok_or_else(|| ServiceError::NoTaskOf(key.clone()))
}
