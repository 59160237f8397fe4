//! Claiming: a worker asks for a task, and gets one that is surely its own, or waits for one.
//!
//! All claims pass one dispatcher. It takes what has arrived, decides it in one transaction in the order of arrival, and
//! keeps those that got nothing and want to wait. A commit that makes a task ready wakes it. So the first to wait is the
//! first to get a task, a claim that waits costs nothing, and many claims cost one commit.
//!
//! Rejected: a transaction for each claim. Callers that wait would race for each task that becomes ready, and the luckiest
//! would win.

use std::collections::{HashSet, VecDeque};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::event::{LeasePhase, NewEvent};
use crate::domain::id::LeaseId;
use crate::domain::lease::Lease;
use crate::domain::task::{Status, Task};
use crate::domain::text::TokenName;
use crate::domain::token::Actor;
use crate::store::{ClaimFilter, HeldLease, StoreError, Tx};

use super::change::save_ending;
use super::claim_request::{BATCH_MAX, ClaimRequest, Claimant, ClaimedTask, Granted};
use super::leases::{end, renew};
use super::{Service, ServiceError, Stamped};

/// Claims that can wait, all together.
const WAITING_MAX: usize = 10_000;

impl Service {
    /// The most pressing ready task, which is the worker's from now on; `None` when there was none in time.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`], [`ServiceError::NoTask`], [`ServiceError::TooManyClaims`], [`ServiceError::Store`]
    ///
    /// # Cancel safety
    /// A claim whose caller has gone gets no task, unless that was just decided: then the worker gets it by asking again.
    pub async fn claim_task(
        &self,
        request: ClaimRequest,
    ) -> Result<Option<Stamped<ClaimedTask>>, ServiceError> {
        let request = request.checked()?;
        if let Some(task) = request.task_id {
            self.task(task, None).await?;
        }
        let until = Instant::now() + Duration::from_secs(request.wait_seconds.into());
        let (reply, answer) = oneshot::channel();
        let claimant = Claimant { request, actor: self.actor().clone(), until, reply };
        self.shared.claims.send(claimant).await.map_err(|_| StoreError::Closed)?;
        let granted = answer.await.map_err(|_| StoreError::Closed)??;
        Ok(granted.map(|Granted { task, cursor, again, .. }| Stamped {
            value: ClaimedTask { task, again },
            cursor,
        }))
    }
}

/// Decides claims, in the order in which they arrive.
#[derive(Debug)]
pub struct ClaimDispatcher {
    arriving: mpsc::Receiver<Claimant>,
    /// Those that got nothing so far, the first to come first.
    waiting: VecDeque<Claimant>,
    ready: watch::Receiver<u64>,
}

impl ClaimDispatcher {
    pub fn new(arriving: mpsc::Receiver<Claimant>, ready: watch::Receiver<u64>) -> Self {
        Self { arriving, waiting: VecDeque::new(), ready }
    }

    /// Runs until `shutdown`; then those that wait get nothing.
    pub async fn run(mut self, service: Service, shutdown: CancellationToken) {
        let mut arrived = Vec::with_capacity(BATCH_MAX);
        loop {
            // All are cancel safe.
            tokio::select! {
                () = shutdown.cancelled() => break,
                count = self.arriving.recv_many(&mut arrived, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    let fresh = arrived.drain(..).collect();
                    // Those who wait have seen what there is, unless something has become ready since. Then they are first.
                    if self.ready.has_changed().unwrap_or(false) {
                        self.dispatch_waiting(&service).await;
                    }
                    self.dispatch(&service, fresh).await;
                    self.refuse_beyond(WAITING_MAX);
                }
                Ok(()) = self.ready.changed() => self.dispatch_waiting(&service).await,
                () = next_end(&self.waiting) => self.drop_late(),
            }
        }
        self.arriving.close();
        while let Ok(claimant) = self.arriving.try_recv() {
            self.waiting.push_back(claimant);
        }
        self.waiting.drain(..).for_each(|claimant| claimant.answer(Ok(None)));
    }

    /// Gives those who wait what is ready, in order.
    async fn dispatch_waiting(&mut self, service: &Service) {
        self.ready.mark_unchanged();
        let waiting = std::mem::take(&mut self.waiting);
        self.dispatch(service, waiting).await;
    }

    /// Gives claimants what is ready, in order, and lets those go who do not want to wait longer.
    async fn dispatch(&mut self, service: &Service, mut left: VecDeque<Claimant>) {
        while !left.is_empty() {
            let mut batch: Vec<_> = left.drain(..left.len().min(BATCH_MAX)).collect();
            batch.retain(|claimant| !claimant.reply.is_closed());
            let wishes: Vec<_> = batch.iter().map(|it| (it.request.clone(), it.actor.clone())).collect();
            match service.store.write(move |tx| claim_all(tx, wishes)).await {
                Ok(granted) => {
                    for (claimant, granted) in batch.into_iter().zip(granted) {
                        match granted {
                            Some(granted) => {
                                service.time(&granted.held);
                                claimant.answer(Ok(Some(granted)));
                            }
                            None => self.waiting.push_back(claimant),
                        }
                    }
                }
                Err(error) => {
                    for claimant in batch {
                        claimant.answer(Err(error.clone().into()));
                    }
                }
            }
        }
        self.drop_late();
    }

    fn drop_late(&mut self) {
        let now = Instant::now();
        let (late, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|it| it.until <= now);
        self.waiting = waiting;
        let late: VecDeque<Claimant> = late;
        late.into_iter().for_each(|claimant| claimant.answer(Ok(None)));
    }

    fn refuse_beyond(&mut self, max: usize) {
        for claimant in self.waiting.drain(max.min(self.waiting.len())..) {
            claimant.answer(Err(ServiceError::TooManyClaims(max)));
        }
    }
}

/// Until the first of those who wait does so no longer.
async fn next_end(waiting: &VecDeque<Claimant>) {
    match waiting.iter().map(|claimant| claimant.until).min() {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn claim_all(
    tx: &mut Tx<'_>,
    wishes: Vec<(ClaimRequest, Actor)>,
) -> Result<Vec<Option<Granted>>, StoreError> {
    // A claim that found nothing tells that a later one with the same filter finds nothing in this transaction.
    let mut exhausted = HashSet::new();
    let claim = |(request, actor): (ClaimRequest, Actor)| {
        tx.act_as(actor);
        claim(tx, &request, &mut exhausted).map_err(|error| match error {
            ServiceError::Store(error) => error,
            other => StoreError::Corrupt(format!("a claim was refused: {other}")),
        })
    };
    wishes.into_iter().map(claim).collect()
}

/// The lease that the worker has already and would get back.
fn held_already(
    tx: &Tx<'_>,
    request: &ClaimRequest,
    actor: Option<&TokenName>,
) -> Result<Option<HeldLease>, StoreError> {
    match request.task_id {
        Some(task) => {
            let held = tx.lease_of_task(task)?;
            Ok(held.filter(|held| held.lease.worker == request.worker && held.actor.as_ref() == actor))
        }
        None => tx.lease_of_worker(&request.worker, actor),
    }
}

/// The task that the worker asks for by name, if it may begin and is assigned to this worker already. Such a task is not ready,
/// since nobody else may begin. So a claim that waits is not woken for it.
fn assigned(tx: &Tx<'_>, request: &ClaimRequest) -> Result<Option<Task>, ServiceError> {
    let Some(id) = request.task_id else {
        return Ok(None);
    };
    let Some(task) = tx.task(id)?.filter(|task| tx.allowed().allow(&task.project)) else {
        return Ok(None);
    };
    let fits = task.status == Status::Todo
        && task.assignee.as_ref() == Some(&request.worker)
        && request.filter().fits(&task)
        && !tx.any_unfinished(&task.blocked_by)?;
    let is_live = tx.latest_execution(id)?.is_some_and(|execution| !execution.status.is_final());
    Ok((fits && !is_live).then_some(task))
}

fn claim(
    tx: &mut Tx<'_>,
    request: &ClaimRequest,
    exhausted: &mut HashSet<(ClaimFilter, AllowedProjects)>,
) -> Result<Option<Granted>, ServiceError> {
    let actor = tx.actor().token.clone();
    if !request.another
        && let Some(held) = held_already(tx, request, actor.as_ref())?
        && let Some(task) = tx.task(held.task)?
    {
        // Who has renewed it once is there.
        let (seconds, confirmed_seconds) = match held.confirmed_seconds {
            Some(_) => request.first_seconds(),
            None => (request.lease_seconds, None),
        };
        let held = renew(tx, HeldLease { seconds, confirmed_seconds, ..held })?;
        let task = Task { lease: Some(held.lease.clone()), ..task };
        return Ok(Some(Granted { task, cursor: tx.head(), held, again: true }));
    }
    let filter = (request.filter(), tx.allowed().clone());
    let found = match assigned(tx, request)? {
        None if exhausted.contains(&filter) => None,
        None => tx.most_pressing_task(&filter.0)?,
        found => found,
    };
    let Some(task) = found else {
        exhausted.insert(filter);
        return Ok(None);
    };
    let (seconds, confirmed_seconds) = request.first_seconds();
    let lease = Lease {
        id: LeaseId::generate(),
        number: tx.next_lease_number(task.id)?,
        worker: request.worker.clone(),
        expires_at: end(tx.now(), seconds),
        progress: None,
    };
    let next = Task {
        status: Status::InProgress,
        assignee: Some(request.worker.clone()),
        lease: Some(lease.clone()),
        ..task.clone()
    };
    let task = save_ending(tx, task, next, None, None)?;
    let held = HeldLease { lease, task: task.id, actor, seconds, confirmed_seconds, renewals: 0 };
    tx.insert_lease(&held)?;
    tx.append(&NewEvent::lease(&task, &held.lease, LeasePhase::Claimed))?;
    Ok(Some(Granted { task, cursor: tx.head(), held, again: false }))
}
