//! Reading: a few read-only connections. Each query sees one committed state.
//!
//! No read transaction lives longer than its closure, and closures return pages that they own. An
//! open cursor would keep SQLite from checkpointing, and the WAL would grow without bound. Queries that
//! look at many rows run in slices (`slices.rs`). The streams have connections of their own.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::config::StoreConfig;
use crate::data_dir::DataDir;
use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::event::{Epoch, EventId};

use super::damage::Damage;
use super::files::database_file;
use super::gate::Gate;
use super::{OfStore, StoreError, checksum, reserve, search};

/// How many queries of one reader go on after their first slice at once. The others wait.
const LONG_MAX: usize = 2;

/// The read half of the store. Cheap to clone. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
}

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) idle: Mutex<Vec<Connection>>,
    pub(super) permits: Arc<Semaphore>,
    /// Permits of queries that go on after their first slice.
    pub(super) long_turns: Arc<Semaphore>,
}

/// The state that the readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) wal_path: PathBuf,
    pub(super) damage: Damage,
    /// The open directory that both paths go through.
    directory: DataDir,
    pub(super) epoch: Epoch,
    /// The seq of the oldest event in the log. So opening a stream needs no query.
    pub(super) oldest: AtomicU64,
    /// Every query is inside while it has a transaction. The writer closes it to restart the WAL.
    pub(super) gate: Gate,
    /// After this time a query ends with an error.
    pub(super) query_time_max: Duration,
    /// A query that looks at many rows gives its transaction back after this time. Shorter ones cost more, longer ones let
    /// the WAL grow.
    pub(super) slice_time_max: Duration,
}

/// One committed state of the store.
#[derive(Debug)]
pub struct View<'a> {
    pub(super) conn: &'a Connection,
    pub(super) epoch: Epoch,
    /// What the caller may see. Lists hold nothing else. A query for a row by its id shows every row: its caller decides.
    pub(super) allowed: AllowedProjects,
}

impl Shared {
    pub(super) fn new(directory: DataDir, epoch: Epoch, oldest: u64, config: &StoreConfig) -> Self {
        let path = database_file(&directory);
        let mut wal_path = path.clone().into_os_string();
        wal_path.push("-wal");
        Self {
            path,
            wal_path: wal_path.into(),
            damage: Damage::default(),
            directory,
            epoch,
            oldest: AtomicU64::new(oldest),
            gate: Gate::default(),
            query_time_max: Duration::from_millis(config.query_ms_max),
            slice_time_max: Duration::from_millis(config.slice_ms_max),
        }
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, connections: usize) -> Self {
        let (permits, long_turns) = (Semaphore::new(connections), Semaphore::new(LONG_MAX));
        let (permits, long_turns) = (Arc::new(permits), Arc::new(long_turns));
        Self { shared, pool: Arc::new(Pool { idle: Mutex::default(), permits, long_turns }) }
    }

    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// The seq of the oldest event in the log. When the log is empty, the seq after the head.
    pub fn oldest(&self) -> u64 {
        self.shared.oldest.load(Acquire)
    }

    /// Raises the shared oldest seq to one that a query has read. The writer raises it too, but a
    /// moment after its commit.
    pub fn saw_oldest(&self, seq: u64) {
        self.shared.oldest.fetch_max(seq, AcqRel);
    }

    /// Whether the disk of the database has too little room left.
    pub(super) fn is_on_full_disk(&self) -> bool {
        reserve::is_needed(&self.shared.directory)
    }

    /// Runs `query` over one committed state, on a thread that may block.
    ///
    /// # Errors
    /// The error of `query`, or a [`StoreError`].
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
    {
        let permit = self.pool.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (shared, pool) = (self.shared.clone(), self.pool.clone());
        let work = move || {
            let _permit = permit;
            let _entered = shared.gate.enter();
            pool.run(&shared, query)
        };
        blocking(work).await?
    }
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(join) => match join.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closed),
        },
    }
}

impl Pool {
    pub(super) fn run<T, E: OfStore>(
        &self,
        shared: &Shared,
        query: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => connect(&shared.path).map_err(StoreError::from)?,
        };
        let tx = conn.transaction().map_err(StoreError::from)?;
        let result = query(&View::new(&tx, shared.epoch));
        shared.damage.note_of(&result);
        tx.finish().map_err(StoreError::from)?;
        self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).push(conn);
        result
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.pragma_update(None, "busy_timeout", 5000)?;
    search::register(&conn)?;
    checksum::register(&conn)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

impl<'a> View<'a> {
    pub(super) fn new(conn: &'a Connection, epoch: Epoch) -> Self {
        Self { conn, epoch, allowed: AllowedProjects::default() }
    }

    /// The projects that the caller of this query may see.
    pub fn allowed(&self) -> &AllowedProjects {
        &self.allowed
    }

    /// The id of the last event in this state. Its seq is 0 when there is no event.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn head(&self) -> Result<EventId, StoreError> {
        let seq: i64 = self.conn.prepare_cached("SELECT head FROM log")?.query_row((), |row| row.get(0))?;
        Ok(EventId::new(self.epoch, seq.unsigned_abs()))
    }
}
