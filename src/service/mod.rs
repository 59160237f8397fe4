//! The use cases. Everything that the hub writes goes through them.
//!
//! Each use case is one transaction: it loads, lets the domain decide, writes the row, appends the
//! event and commits. Nothing here publishes events. The store hands committed events to the
//! streams.

mod agent_sessions;
mod batch;
mod change;
mod claim_request;
mod claims;
mod comments;
mod conversation;
mod deadlines;
mod dependencies;
mod error;
mod executions;
mod idempotency;
mod index_follower;
mod lease_end;
mod lease_timer;
mod leases;
mod lookup;
mod plan;
mod precondition;
mod projects;
mod questions;
mod queue;
mod reports;
mod retention;
mod settlement;
mod signals;
mod stamped;
mod task_list;
mod tasks;
mod why;

pub use batch::{BatchRefused, Done};
pub use claim_request::{ClaimRequest, Claimant, ClaimedTask};
pub use claims::ClaimDispatcher;
pub use error::ServiceError;
pub use executions::{Claimed, Todo};
pub use idempotency::IdempotencyKey;
pub use lease_timer::LeaseTimer;
pub use leases::Holder;
pub use plan::{PlanRequest, PlannedTask};
pub use precondition::{Precondition, Versions};
pub use questions::Asked;
pub use reports::{Completion, FailureReport};
pub use retention::EndedExecution;
pub use signals::Signals;
pub use stamped::Stamped;
pub use task_list::TaskPage;
pub use tasks::Created;
pub use why::Why;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};

use crate::config::ExecutorConfig;
use crate::domain::event::{AnnouncementData, EventId, NewEvent};
use crate::domain::token::{Actor, AuditAction};
use crate::index::TaskIndex;
use crate::store::{Store, StoreError};

use claim_request::BATCH_MAX;
use lease_end::LeaseStart;

/// What the work beside the use cases waits for.
#[derive(Debug)]
pub struct Background {
    pub claims: mpsc::Receiver<Claimant>,
    pub lease_starts: mpsc::UnboundedReceiver<LeaseStart>,
}

/// The use cases over one store. Cheap to clone: each request has a clone.
#[derive(Debug, Clone)]
pub struct Service {
    store: Store,
    shared: Arc<Shared>,
}

/// What the use cases have besides the store.
#[derive(Debug)]
struct Shared {
    /// Answers which tasks a list has.
    index: TaskIndex,
    /// What executions may ask for, and how many may run at once.
    executions: Arc<ExecutorConfig>,
    signals: Signals,
    claims: mpsc::Sender<Claimant>,
    lease_starts: mpsc::UnboundedSender<LeaseStart>,
    /// Grows by one whenever executions have started or ended.
    steps: watch::Sender<u64>,
}

impl Service {
    /// With the background work that it needs to be run.
    pub fn new(
        store: Store,
        index: TaskIndex,
        executions: &ExecutorConfig,
        signals: Signals,
    ) -> (Self, Background) {
        let executions = Arc::new(executions.clone());
        let (claims, arriving) = mpsc::channel(BATCH_MAX);
        let (lease_starts, starts) = mpsc::unbounded_channel();
        let steps = watch::Sender::new(0);
        let shared = Shared { index, executions, signals, claims, lease_starts, steps };
        (Self { store, shared: Arc::new(shared) }, Background { claims: arriving, lease_starts: starts })
    }

    /// The same use cases in the name of `actor`.
    pub fn by(&self, actor: Actor) -> Self {
        Self { store: self.store.acting_as(actor), shared: self.shared.clone() }
    }

    /// In whose name these use cases act.
    pub fn actor(&self) -> &Actor {
        self.store.actor()
    }

    /// Refuses a caller that is bound to projects, for what concerns the whole hub.
    ///
    /// # Errors
    /// [`ServiceError::BeyondProjects`]
    pub fn refuse_bound(&self) -> Result<(), ServiceError> {
        match self.actor().projects.is_bound() {
            true => Err(ServiceError::BeyondProjects),
            false => Ok(()),
        }
    }

    /// Writes an entry of the audit log to the program's log too, after its commit.
    fn log_audit(&self, action: AuditAction, subject: &str, detail: &str) {
        let Actor { token, address, .. } = self.actor();
        tracing::info!(
            target: "taskhub::audit",
            actor = token.as_ref().map(tracing::field::display),
            address = address.map(tracing::field::display),
            subject,
            detail,
            "{action}"
        );
    }

    /// Notifies when an execution was queued or asked to stop. It supports one listener. A
    /// notification that comes before it listens is kept.
    pub fn work(&self) -> &Notify {
        self.shared.signals.work()
    }

    /// Changes after any execution has started or ended. It supports any number of listeners. They
    /// read the rows to learn which execution it was.
    pub fn steps(&self) -> watch::Receiver<u64> {
        self.shared.steps.subscribe()
    }

    fn stepped(&self) {
        self.shared.steps.send_modify(|count| *count += 1);
    }

    /// Checks whether the store can write now. The check passes through the writer.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn ping(&self) -> Result<(), ServiceError> {
        Ok(self.store.ping().await?)
    }

    /// Announces something to all streams. A caller that is bound to projects may not: everybody reads it.
    ///
    /// # Errors
    /// [`ServiceError::BeyondProjects`], [`ServiceError::Store`]
    pub async fn announce(
        &self,
        data: AnnouncementData,
        key: Option<IdempotencyKey>,
    ) -> Result<EventId, ServiceError> {
        self.refuse_bound()?;
        self.store
            .write(move |tx| {
                let fingerprint = idempotency::fingerprint("announce", &data);
                let announced = idempotency::once(tx, key, &fingerprint, |tx| {
                    Ok(tx.append(&NewEvent::announcement(data))?.to_string())
                });
                let (id, _) = announced?;
                id.parse()
                    .map_err(|error| StoreError::Corrupt(format!("id of an announcement: {error}")).into())
            })
            .await
    }
}
