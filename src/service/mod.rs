//! The use cases. Everything that the hub writes goes through them.
//!
//! Each use case is one transaction: it loads, lets the domain decide, writes the row, appends the
//! event and commits. Nothing here publishes events. The store hands committed events to the
//! streams.

mod error;
mod executions;
mod idempotency;
mod lookup;
mod retention;
mod settlement;
mod tasks;

pub use error::ServiceError;
pub use executions::{Claimed, Todo};
pub use idempotency::IdempotencyKey;
pub use retention::EndedExecution;
pub use tasks::{Created, Precondition, TaskPage, Versions};

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::config::ExecutorConfig;
use crate::domain::event::{AnnouncementData, EventId, NewEvent};
use crate::domain::token::{Actor, AuditAction};
use crate::store::{Store, StoreError};

/// The use cases over one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    store: Store,
    /// What executions may ask for, and how many may run at once.
    executions: Arc<ExecutorConfig>,
    work: Arc<Notify>,
    /// Grows by one whenever executions have started or ended.
    steps: watch::Sender<u64>,
}

impl Service {
    pub fn new(store: Store, executions: &ExecutorConfig) -> Self {
        let executions = Arc::new(executions.clone());
        Self { store, executions, work: Arc::new(Notify::new()), steps: watch::Sender::new(0) }
    }

    /// The same use cases in the name of `actor`.
    pub fn by(&self, actor: Actor) -> Self {
        Self { store: self.store.acting_as(actor), ..self.clone() }
    }

    /// In whose name these use cases act.
    pub fn actor(&self) -> &Actor {
        self.store.actor()
    }

    /// Writes an entry of the audit log to the program's log too, after its commit.
    fn log_audit(&self, action: AuditAction, subject: &str, detail: &str) {
        let Actor { token, address } = self.actor();
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
        &self.work
    }

    /// Changes after any execution has started or ended. It supports any number of listeners. They
    /// read the rows to learn which execution it was.
    pub fn steps(&self) -> watch::Receiver<u64> {
        self.steps.subscribe()
    }

    fn stepped(&self) {
        self.steps.send_modify(|count| *count += 1);
    }

    /// Checks whether the store can write now. The check passes through the writer.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn ping(&self) -> Result<(), ServiceError> {
        Ok(self.store.ping().await?)
    }

    /// Announces something to all streams.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn announce(
        &self,
        data: AnnouncementData,
        key: Option<IdempotencyKey>,
    ) -> Result<EventId, ServiceError> {
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
