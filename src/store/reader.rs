//! Reading: a few read-only connections, each query over one committed state.
//!
//! No read transaction outlives its closure, and closures return owned pages: an open cursor would keep
//! SQLite from checkpointing and let the WAL grow without bound.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::domain::event::{Epoch, EventId};

use super::StoreError;

/// The read half of the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    epoch: Epoch,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// One committed state of the store.
#[derive(Debug)]
pub struct Snapshot<'a> {
    pub(super) conn: &'a Connection,
    pub(super) epoch: Epoch,
}

impl Reader {
    pub(super) fn new(path: PathBuf, epoch: Epoch, connections: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                path,
                epoch,
                idle: Mutex::new(Vec::new()),
                permits: Arc::new(Semaphore::new(connections)),
            }),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Runs `query` over one committed state, on a thread that may block.
    ///
    /// # Errors
    /// Whatever `query` refused with, or a [`StoreError`].
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
    {
        let permit = self.shared.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let shared = self.shared.clone();
        let work = move || {
            let _permit = permit;
            shared.run(query)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(join) => match join.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Closed.into()),
            },
        }
    }
}

impl Shared {
    fn run<T, E: From<StoreError>>(&self, query: impl FnOnce(&Snapshot<'_>) -> Result<T, E>) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => self.connect().map_err(StoreError::from)?,
        };
        let tx = conn.transaction().map_err(StoreError::from)?;
        let result = query(&Snapshot::new(&tx, self.epoch));
        tx.finish().map_err(StoreError::from)?;
        self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).push(conn);
        result
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.pragma_update(None, "busy_timeout", 5000)?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(conn)
    }
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(conn: &'a Connection, epoch: Epoch) -> Self {
        Self { conn, epoch }
    }

    /// The id of the last event of this state; its seq is 0 when there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn head(&self) -> Result<EventId, StoreError> {
        let seq: i64 = self.conn.prepare_cached("SELECT head FROM log")?.query_row((), |row| row.get(0))?;
        Ok(EventId::new(self.epoch, seq.unsigned_abs()))
    }
}
