//! Leases after the claim: renewing them, giving them back, reporting under them, and ending those that expire.
//!
//! A lease ends once. The row of `leases` is there as long as it is in force, so every step asks for the row first, in its
//! transaction. Who sends the last report again, because the answer was lost, gets the answer again for 24 hours.

use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::event::{ChangeReason, LeasePhase, NewEvent};
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::lease::{Lease, Progress};
use crate::domain::task::{Status, Task};
use crate::domain::text::Assignee;
use crate::store::{HeldLease, Tx, View};

use super::change::save_ending;
use super::idempotency::fingerprint;
use super::lease_end::{LeaseEnd, LeaseStart};
use super::lookup::load;
use super::{Service, ServiceError, Stamped};

/// Who has a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub lease: Lease,
    /// Without tokens all callers are one.
    pub is_caller: bool,
}

impl Service {
    /// A lease in force, with its present end.
    ///
    /// # Errors
    /// [`ServiceError::NoLease`], [`ServiceError::Store`]
    pub async fn lease(&self, id: LeaseId) -> Result<Stamped<Lease>, ServiceError> {
        self.read(None, move |view| Ok(in_force(view, id)?.ok_or(ServiceError::NoLease(id))?.lease)).await
    }

    /// The lease of a task in force, and whether the caller's token has claimed it.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn holder_of(&self, task: TaskId) -> Result<Option<Holder>, ServiceError> {
        let caller = self.actor().token.clone();
        let found = self.read(None, move |view| {
            load(view, task)?;
            let held = view.lease_of_task(task)?;
            Ok(held.map(|held| Holder { is_caller: held.actor == caller, lease: held.lease }))
        });
        Ok(found.await?.value)
    }

    /// The task that a worker of the caller's token holds: the last that it has claimed.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn held_by(&self, worker: Assignee) -> Result<Option<Task>, ServiceError> {
        let caller = self.actor().token.clone();
        let found = self.read(None, move |view| match view.lease_of_worker(&worker, caller.as_ref())? {
            Some(held) => Ok(view.task(held.task)?),
            None => Ok(None),
        });
        Ok(found.await?.value)
    }

    /// Lets a lease last for `seconds` from now, or for as long as it was given first. With `announce` or
    /// `progress` the task and the log tell it.
    ///
    /// # Errors
    /// [`ServiceError::LeaseLost`], [`ServiceError::Store`]
    pub async fn renew_lease(
        &self,
        id: LeaseId,
        seconds: Option<u32>,
        announce: bool,
        progress: Option<Progress>,
    ) -> Result<Stamped<Lease>, ServiceError> {
        let lease_starts = self.shared.lease_starts.clone();
        let held = self
            .write(move |tx| {
                let held = in_force(tx, id)?.ok_or(ServiceError::LeaseLost(id.to_string()))?;
                let seconds = seconds.or(held.confirmed_seconds).unwrap_or(held.seconds);
                let mut held = HeldLease { seconds, confirmed_seconds: None, ..held };
                let is_told = announce || progress.is_some();
                held.lease.progress = progress.or(held.lease.progress);
                let held = renew(tx, held)?;
                // Here, since the renewal is committed also when its caller has gone. Should it not be, `expire` finds that
                // out.
                let _ = lease_starts.send(LeaseStart::of(&held));
                if is_told {
                    let task = load(tx, held.task)?;
                    let next = Task { lease: Some(held.lease.clone()), ..task.clone() };
                    let task = save_ending(tx, task, next, None, None)?;
                    tx.append(&NewEvent::lease(&task, &held.lease, LeasePhase::Renewed))?;
                }
                Ok(held)
            })
            .await?;
        Ok(Stamped { value: held.value.lease, cursor: held.cursor })
    }

    /// Gives a task back: it is `todo` and nobody's again.
    ///
    /// # Errors
    /// [`ServiceError::LeaseLost`], [`ServiceError::Store`]
    pub async fn return_lease(&self, id: LeaseId) -> Result<Stamped<()>, ServiceError> {
        self.write(move |tx| {
            let held = in_force(tx, id)?.ok_or(ServiceError::LeaseLost(id.to_string()))?;
            let task = load(tx, held.task)?;
            let next = Task { status: Status::Todo, assignee: None, ..task.clone() };
            save_ending(tx, task, next, None, Some(LeasePhase::Returned))?;
            Ok(())
        })
        .await
    }

    /// Ends leases, unless they have ended or were renewed since their end was set. Somebody may have their tasks again, or,
    /// when this has happened too often, look at them. Answers those that have no end any more, although they are in force:
    /// the renewal that set this end was never committed.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub(super) async fn expire_leases(&self, ends: Vec<LeaseEnd>) -> Result<Vec<HeldLease>, ServiceError> {
        let expire_all = move |tx: &mut Tx<'_>| {
            let left = ends.into_iter().map(|end| expire(tx, end.lease, end.renewals));
            left.filter_map(Result::transpose).collect()
        };
        self.store.write(expire_all).await
    }

    /// Gives all leases in force a new end, after a time in which nobody could renew them.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub(super) async fn extend_all_leases(&self) -> Result<Vec<HeldLease>, ServiceError> {
        self.store.write(|tx| tx.leases()?.into_iter().map(|held| renew(tx, held)).collect()).await
    }

    /// Has the lease end when its time is over.
    pub(super) fn time(&self, held: &HeldLease) {
        // Nobody receives it any more when the hub ends; the next one starts all leases anew.
        let _ = self.shared.lease_starts.send(LeaseStart::of(held));
    }
}

/// Ends a lease. Answers it when it had fewer renewals than its end had: it keeps its time, from now on.
fn expire(tx: &mut Tx<'_>, id: LeaseId, renewals: u32) -> Result<Option<HeldLease>, ServiceError> {
    let held = match tx.lease(id)? {
        Some(held) if held.renewals < renewals => return Ok(Some(held)),
        Some(held) if held.renewals == renewals => held,
        _ => return Ok(None),
    };
    let task = load(tx, held.task)?;
    let attempts = task.attempts + 1;
    let (status, reason) = match attempts < task.attempts_max {
        true => (Status::Todo, ChangeReason::LeaseExpired),
        false => (Status::Review, ChangeReason::AttemptsExhausted),
    };
    let next = Task { status, attempts, assignee: None, ..task.clone() };
    save_ending(tx, task, next, Some(reason), Some(LeasePhase::Expired))?;
    Ok(None)
}

/// The lease if it is in force, and the caller may see its task.
fn in_force(view: &View<'_>, id: LeaseId) -> Result<Option<HeldLease>, ServiceError> {
    let Some(held) = view.lease(id)? else {
        return Ok(None);
    };
    let task = view.task(held.task)?.filter(|task| view.allowed().allow(&task.project));
    Ok(task.map(|_| held))
}

/// Does what a worker reports under its lease. A report that ends the lease may be repeated: it changes nothing then, and
/// answers the same again.
///
/// # Errors
/// [`ServiceError::LeaseLost`] when the task is not held by the lease, what `work` refuses with, and
/// [`ServiceError::Store`]
pub(super) fn report_once(
    tx: &mut Tx<'_>,
    lease: LeaseId,
    id: TaskId,
    report: &impl Serialize,
    work: impl FnOnce(&mut Tx<'_>) -> Result<Task, ServiceError>,
) -> Result<Task, ServiceError> {
    // No key of a client holds a line break.
    let key = format!("\nlease\n{lease}");
    let fingerprint = fingerprint(&format!("report {id}"), report);
    if let Err(lost) = require(tx, lease, id) {
        // Who may not see the task, or not any more, gets no answer of earlier.
        let is_visible = tx.task(id)?.is_some_and(|task| tx.allowed().allow(&task.project));
        let earlier = tx.repetition::<Task>(&key)?.filter(|it| is_visible && it.fingerprint == fingerprint);
        return earlier.and_then(|it| it.answer).ok_or(lost);
    }
    let task = work(tx)?;
    if task.lease.is_none() {
        tx.remember(&key, &fingerprint, &task)?;
    }
    Ok(task)
}

/// Refuses a lease that the task is not held by.
///
/// # Errors
/// [`ServiceError::LeaseLost`], [`ServiceError::Store`]
pub(super) fn require(view: &View<'_>, lease: LeaseId, task: TaskId) -> Result<(), ServiceError> {
    match in_force(view, lease)? {
        Some(held) if held.task == task => Ok(()),
        _ => Err(ServiceError::LeaseLost(lease.to_string())),
    }
}

/// The same for a caller that may have named no lease.
pub(super) fn require_any(view: &View<'_>, lease: Option<LeaseId>, task: TaskId) -> Result<(), ServiceError> {
    match lease {
        Some(lease) => require(view, lease, task),
        None => Ok(()),
    }
}

/// Lets a lease last as long again, from now.
pub(super) fn renew(tx: &mut Tx<'_>, mut held: HeldLease) -> Result<HeldLease, ServiceError> {
    held.renewals += 1;
    held.lease.expires_at = end(tx.now(), held.seconds);
    tx.renew_lease(&held)?;
    Ok(held)
}

/// When a lease ends that lasts for `seconds` from now.
pub(super) fn end(now: Timestamp, seconds: u32) -> Timestamp {
    Timestamp::from_ms(now.ms() + i64::from(seconds) * 1000)
}
