//! The store: the only room that knows SQL, and the only door to the disk for tasks and events.
//!
//! # Seam
//! [`Store::write`] runs a closure over a [`Tx`] inside one transaction; [`Reader::read`] runs one over a
//! [`View`], which sees one committed state. Neither shows SQL, so another database can stand behind
//! them; the conformance suite (`tests/it/store/`) is written against these types alone.
//!
//! # Update protocol
//! One thread owns the writing connection. It takes what is queued (at most
//! [`StoreConfig::batch_max`]), runs each operation in a savepoint of one `BEGIN IMMEDIATE` transaction,
//! commits with `synchronous=FULL`, hands the committed events to the sink in order, and only then answers.
//! So an answer means durable, a failed operation leaves its neighbours alone, and what reaches the sink is
//! exactly what was committed.
//!
//! # Crash recovery
//! SQLite's WAL restores the last commit. The log's head lives in a row of its own and is written in the
//! same transaction as the events, so `seq` has no gap and no repetition across any crash.
//!
//! # Rejected
//! A lock around one connection: every waiter would pay for its own fsync. An async SQL library: four to
//! ten times slower here, and the batch would still have to be built by hand.
//!
//! # Time
//! Order is `seq` alone. Timestamps run forwards along the log, unless the system's clock is set back by more than five
//! seconds. Then they follow it, the step is noted (`clock_steps`), and a time is found by bisection between two steps.
//! Retention deletes by age only by a clock that two looks have confirmed.
//!
//! # The write-ahead log
//! SQLite can start it over only at a moment when nobody reads. The writer makes one: beyond 16 MiB, or when the disk is
//! small, it takes the gate that every short query passes, empties the file and goes on. Snapshots do not pass the gate.

mod audit;
mod checksum;
mod columns;
mod damage;
mod events;
mod executions;
mod files;
mod idempotency;
mod identity;
mod integrity;
mod lock;
mod open;
mod open_error;
mod private;
mod reader;
mod reserve;
mod search;
mod tasks;
mod tokens;
mod writer;

pub use events::Age;
pub use executions::{ExecutionPage, ExecutionQuery};
pub use idempotency::Repetition;
pub use open::Opened;
pub use open_error::OpenError;
pub use reader::{Reader, View};
pub use tokens::{TokenBook, TokenError};
pub use writer::{Tx, WriterThread};

use thiserror::Error;

use crate::config::StoreConfig;
use crate::domain::token::Actor;

/// Why the store could not do as asked. Nothing was changed, whichever it is.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// SQLite has undone the transaction by itself.
    #[error("the disk is full or failing")]
    Full,
    /// The disk, or somebody else's lock, does not let it; later it may.
    #[error("the database cannot be reached")]
    Unreachable(#[source] std::sync::Arc<rusqlite::Error>),
    #[error("a file of the data directory cannot be used")]
    File(#[source] std::sync::Arc<std::io::Error>),
    /// Somebody has removed or replaced the database under the hub. What was written since is lost.
    #[error("the database was removed or replaced while the hub was running")]
    Gone,
    /// Pages of the database are damaged. What is whole can be read.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("the store is shutting down")]
    Closed,
    #[error("the operation was aborted by a fault in it")]
    Aborted,
    #[error("the database failed")]
    Database(#[source] std::sync::Arc<rusqlite::Error>),
    #[error("a stored row does not read: {0}")]
    Corrupt(String),
}

/// An error of those who use the store, with one of the store's own in it perhaps.
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
        // A write that fails for another reason than ENOSPC: a quota (EDQUOT), a limit on file sizes (EFBIG), a dying disk.
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
            ) => Self::Unreachable(std::sync::Arc::new(error)),
            _ => Self::Database(std::sync::Arc::new(error)),
        }
    }
}

/// The store as the service sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    reader: Reader,
    log_reader: Reader,
    token_reader: Reader,
    writer: writer::Writer,
    /// In whose name everything is written by this clone.
    actor: Actor,
}

impl Store {
    /// Opens the store in `dir`, creating what is missing, and refuses without touching anything when the
    /// directory is in use, not writable, or written by something else or by a newer TaskHub.
    ///
    /// # Errors
    /// [`OpenError`], each variant with a message for the operator.
    pub fn open(dir: &std::path::Path, config: &StoreConfig) -> Result<Opened, OpenError> {
        open::open(dir, config)
    }

    /// The first thing that is wrong with the database of `dir`, found out without touching anything there; also while a hub
    /// runs on it.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read.
    pub fn examine(dir: &std::path::Path) -> Result<Option<String>, OpenError> {
        open::examine(dir)
    }

    /// Whether the hub of `dir` asks for tokens, found out without touching anything there.
    pub fn has_tokens(dir: &std::path::Path) -> bool {
        tokens::has_tokens(dir)
    }

    /// In whose name everything is written.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The same store, in which everything is written in the name of `actor`.
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The read half for the stream, with connections of its own.
    pub fn log_reader(&self) -> &Reader {
        &self.log_reader
    }

    /// The read half for looking at the tokens: a connection that waits for no search and no stream.
    pub fn token_reader(&self) -> &Reader {
        &self.token_reader
    }

    /// Passes once everything that was written before is durable, and so shows that the writer is alive and that there is
    /// room for a change.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write::<_, StoreError, _>(|_| Ok(())).await?;
        match self.reader.is_on_full_disk() {
            true => Err(StoreError::Full),
            false => Ok(()),
        }
    }

    /// Runs `operation` in a transaction and answers once it is durable.
    ///
    /// # Errors
    /// Whatever `operation` refused with, or a [`StoreError`]; in both cases nothing was changed.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the operation: once queued it runs and, if it succeeds, commits.
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
        self.writer.write(signed).await
    }

    /// Runs `query` over one committed state.
    ///
    /// # Errors
    /// Whatever `query` refused with, or a [`StoreError`].
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
    {
        self.reader.read(query).await
    }

    /// Lets the writer finish what is queued and end. Later writes are refused.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}
