//! The store: the only module that knows SQL, and the only access to the disk for tasks and events.
//!
//! # Interface
//! [`Store::write`] runs a closure over a [`Tx`] inside one transaction. [`Reader::read`] runs a
//! closure over a [`View`], which shows one committed state. Neither exposes SQL, so another
//! database could take SQLite's place. The conformance suite (`tests/it/store/`) uses only these
//! types.
//!
//! # Update protocol
//! One thread owns the connection that writes. It takes the queued operations (at most
//! [`StoreConfig::batch_max`]) and runs each in a savepoint of one `BEGIN IMMEDIATE` transaction.
//! It commits with `synchronous=FULL`, hands the committed events to the sink in order, and only
//! then answers. So three things hold: an answer means that the change is durable, a failed
//! operation does not affect the others, and the sink gets exactly what was committed.
//!
//! # Crash recovery
//! SQLite's write-ahead log (WAL) restores the last commit. A row of its own holds the head of the
//! event log, and the transaction that writes the events also writes this row. So no crash causes a
//! gap or a repetition in `seq`.
//!
//! # Rejected
//! A lock around one connection: each caller would pay for its own fsync.
//!
//! An async SQL library: four to ten times slower here, and the batches would still need the same
//! code.
//!
//! # Time
//! Only `seq` gives the order. Times never go back along the log, unless somebody sets the system's
//! clock back by more than five seconds. Then the times follow the clock, and the table
//! `clock_steps` records the step. To find a time, the reader uses bisection between two steps.
//! Retention deletes by age only when two readings of the clock agree.
//!
//! # The write-ahead log
//! SQLite can restart the WAL only at a moment when nobody reads. The writer makes such a moment
//! when the WAL is larger than 16 MiB, or earlier when the disk has little room. It closes the gate
//! that every query passes (`gate.rs`), and empties the file. Long queries, such as searches and
//! snapshots, read in slices (`slices.rs`): they leave when the writer closes the gate.

mod agent_sessions;
mod audit;
mod checksum;
mod columns;
mod comments;
mod conditions;
mod damage;
mod dependencies;
mod events;
mod executions;
mod files;
mod gate;
mod idempotency;
mod identity;
mod integrity;
mod leases;
mod lock;
mod open;
mod open_error;
#[cfg(test)]
mod plans;
mod private;
mod projects;
mod questions;
mod reader;
mod reserve;
mod search;
mod single;
mod slices;
mod task_copy;
mod task_list;
mod task_rows;
mod tasks;
mod tokens;
mod tx;
mod writer;

pub use agent_sessions::KnownSession;
pub use comments::{CommentPage, CommentQuery};
pub use events::Age;
pub use executions::{ExecutionPage, ExecutionQuery};
pub use idempotency::Repetition;
pub use leases::{ClaimFilter, HeldLease};
pub use open::Opened;
pub use open_error::OpenError;
pub use questions::{QuestionPage, QuestionQuery};
pub use reader::{Reader, View};
pub use slices::{Slice, at_low_priority};
pub use task_copy::{Copied, TaskCopy};
pub use task_list::TaskList;
pub use tasks::TaskRows;
pub use tokens::{TokenBook, TokenError};
pub use tx::Tx;
pub use writer::WriterThread;

use std::sync::Arc;

use thiserror::Error;

use crate::config::StoreConfig;
use crate::domain::event::EventId;
use crate::domain::id::TaskId;
use crate::domain::task::Task;
use crate::domain::token::Actor;

/// Why the store could not do what the caller asked. With every variant, nothing was changed.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// SQLite has undone the transaction by itself.
    #[error("the disk is full or failing")]
    Full,
    /// The disk fails, or another process holds a lock. A later attempt may succeed.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Arc<rusqlite::Error>),
    #[error("a file of the data directory cannot be used")]
    File(#[source] Arc<std::io::Error>),
    /// Somebody has removed or replaced the database while the hub runs. What the hub wrote since
    /// then is lost.
    #[error("the database was removed or replaced while the hub was running")]
    Gone,
    /// Pages or rows of the database are damaged. The hub can still read what is whole.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("the store is shutting down")]
    Closed,
    #[error("the query took longer than a query may")]
    Late,
    #[error("nobody waits for the query any more")]
    Abandoned,
    #[error("the operation was aborted by a fault in it")]
    Aborted,
    #[error("the database failed")]
    Database(#[source] Arc<rusqlite::Error>),
    #[error("a stored row does not read: {0}")]
    Corrupt(String),
}

/// An error of the store's callers. It may contain an error of the store.
pub trait OfStore: From<StoreError> {
    fn of_store(&self) -> Option<&StoreError>;
}

impl OfStore for StoreError {
    fn of_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let Some(words) = checksum::damage(&error) {
            return Self::Damaged(words);
        }
        use rusqlite::ErrorCode;
        use rusqlite::ffi::{
            SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE,
        };
        // A write can fail for other reasons than ENOSPC: a quota (EDQUOT), a limit on file sizes
        // (EFBIG), a failing disk.
        let write_failed =
            [SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE];
        if error.sqlite_error().is_some_and(|error| write_failed.contains(&error.extended_code)) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked,
            ) => Self::Unreachable(Arc::new(error)),
            _ => Self::Database(Arc::new(error)),
        }
    }
}

/// The store as the service uses it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    access: Arc<Access>,
    /// This clone writes everything in the name of this actor.
    actor: Actor,
}

/// The ways to the database, which all clones share: each request has a clone.
#[derive(Debug)]
struct Access {
    reader: Reader,
    single_reader: single::SingleReader,
    log_reader: Reader,
    token_reader: Reader,
    writer: writer::Writer,
}

impl Store {
    /// Opens the store in `dir` and makes what is missing. Refuses when the directory is in use or
    /// not writable, or when something else or a newer TaskHub wrote it. A refusal changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], each variant with a message for the operator.
    pub fn open(dir: &std::path::Path, config: &StoreConfig) -> Result<Opened, OpenError> {
        open::open(dir, config)
    }

    /// The first thing that is wrong with the database of `dir`. Changes nothing there, and also
    /// works while a hub runs on it.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read.
    pub fn examine(dir: &std::path::Path) -> Result<Option<String>, OpenError> {
        open::examine(dir)
    }

    /// Whether the hub of `dir` asks for tokens. Changes nothing there.
    pub fn has_tokens(dir: &std::path::Path) -> bool {
        tokens::has_tokens(dir)
    }

    /// In whose name this store writes.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The same store, writing in the name of `actor`.
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { access: self.access.clone(), actor }
    }

    /// The reader for streams. It has connections of its own.
    pub fn log_reader(&self) -> &Reader {
        &self.access.log_reader
    }

    /// The reader for the tokens. It has a connection of its own, so it waits for no search and no
    /// stream.
    pub fn token_reader(&self) -> &Reader {
        &self.access.token_reader
    }

    /// Answers when everything written before is durable. Success shows that the writer is alive
    /// and that the disk has room for a change.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write::<_, StoreError, _>(|_| Ok(())).await?;
        match self.access.reader.is_on_full_disk() {
            true => Err(StoreError::Full),
            false => Ok(()),
        }
    }

    /// Runs `operation` in a transaction, and answers when the change is durable.
    ///
    /// # Errors
    /// The error of `operation`, or a [`StoreError`]. In both cases nothing was changed.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the operation. Once queued it runs, and it commits if it
    /// succeeds.
    pub async fn write<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let actor = self.actor.clone();
        let signed = move |tx: &mut Tx<'_>| {
            tx.act_as(actor);
            operation(tx)
        };
        self.access.writer.write(signed).await
    }

    /// Runs `query` over one committed state, for the actor.
    ///
    /// # Errors
    /// The error of `query`, or a [`StoreError`].
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
    {
        let allowed = self.actor.projects.clone();
        self.access.reader.read(move |view| query(&View { allowed, ..*view })).await
    }

    /// A task, and the last event of the state in which it was read. Shows every task: its caller decides.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn task(&self, id: TaskId) -> Result<(Option<Task>, EventId), StoreError> {
        self.access.single_reader.task(id).await
    }

    /// Runs `query` in slices, for the actor, until the deadline of queries. See [`Reader::read_in_slices`].
    ///
    /// # Errors
    /// As [`Reader::read_in_slices`].
    pub async fn read_in_slices<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnMut(&View<'_>, &Slice<'_>) -> Result<Option<T>, E> + Send + 'static,
    {
        let allowed = self.actor.projects.clone();
        let bound = move |view: &View<'_>, slice: &Slice<'_>| {
            query(&View { allowed: allowed.clone(), ..*view }, slice)
        };
        self.access.reader.read_in_slices(Some(self.access.reader.query_time_max()), bound).await
    }

    /// Lets the writer finish the queued operations and end. The store refuses later writes.
    pub async fn close(&self) {
        self.access.writer.close().await;
    }
}
