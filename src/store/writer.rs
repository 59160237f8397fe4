//! Writing: one thread, one connection, many operations in a commit.
//!
//! Each operation runs in a savepoint of the batch's transaction. The writer answers only after the
//! commit, and hands the events to the sink between the commit and the answers. So a caller that
//! has its answer finds its event in the ring.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::config::StoreConfig;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::event::{LogEnd, StoredEvent};

use super::damage::Damage;
use super::identity::{HighWaterMark, Presence};
use super::integrity::Check;
use super::lock::Locks;
use super::reader::{Shared, View};
use super::reserve::{self, Reserve};
use super::tx::Tx;
use super::{OfStore, StoreError};

/// The writer empties the write-ahead log when it is larger than this. SQLite restarts the log
/// itself whenever nobody reads.
const WAL_BYTES_MAX: u64 = 16 << 20;

/// The writer empties the log sooner when the log is larger than the free room on the disk, but not
/// while it is smaller than this.
const WAL_BYTES_MIN: u64 = 256 << 10;

/// How much the write-ahead log grows before the writer tries again, when a query did not leave in time.
const WAL_BYTES_STEP: u64 = 4 << 20;

/// How long all changes wait at most for a query to leave, when the log is to be emptied.
const PATIENCE: Duration = Duration::from_millis(5);

/// From this size on the writer waits for [`PATIENCE_MAX`]: otherwise the log might fill the disk.
const WAL_BYTES_FAR: u64 = 48 << 20;
const PATIENCE_MAX: Duration = Duration::from_millis(500);

/// How long SQLite waits for a lock. `taskhub token` writes for a moment, and a backup program may
/// hold a lock for a moment.
pub(super) const BUSY_MS: u32 = 5000;

/// The sending half. Cheap to clone. The queue is bounded, so that callers wait when it is full.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Operation(Box<dyn Operation>),
    Close(oneshot::Sender<()>),
}

/// An operation with any type of result. So one batch can hold different operations.
trait Operation: Send {
    /// Runs the operation. `false` means that it refused, and the writer rolls its savepoint back.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller. `failure` is set when the whole batch did not commit.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

struct Pending<T, E, F> {
    operation: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Operation for Pending<T, E, F>
where
    T: Send,
    E: OfStore + Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(operation) = self.operation.take() else {
            return false;
        };
        let result = operation(tx);
        tx.damage.note_of(&result);
        let accepted = result.is_ok();
        self.result = Some(result);
        accepted
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let result = match (self.result, failure) {
            // This replaces refusals too: a refusal may depend on a change of the same batch, which
            // is now undone.
            (_, Some(failure)) => Err(failure.clone().into()),
            (Some(done), None) => done,
            // The operation panicked. The caller learns of it because `reply` is dropped.
            (None, None) => return,
        };
        // An error here means that the caller no longer waits.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        files: Files,
        shared: Arc<Shared>,
        config: &StoreConfig,
    ) -> (Self, WriterThread) {
        let (queue, operations) = mpsc::channel(config.queue_max);
        let thread = WriterThread {
            conn,
            files,
            shared,
            operations,
            clock: Clock::ahead_by(config.clock_ahead_ms.clone()),
            batch_max: config.batch_max,
            wal_bytes_max: WAL_BYTES_MAX,
            crowded_wal_bytes_max: WAL_BYTES_MIN,
        };
        (Self { queue }, thread)
    }

    pub(super) async fn write<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { operation: Some(operation), result: None, reply };
        self.queue.send(Message::Operation(Box::new(pending))).await.map_err(|_| StoreError::Closed)?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Aborted.into()),
        }
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// What the writer needs beside the database connection.
#[derive(Debug)]
pub(super) struct Files {
    /// Held as long as the writer can write.
    pub _locks: Locks,
    /// Records up to where the hub has shown the log.
    pub mark: HighWaterMark,
    pub presence: Presence,
    pub check: Check,
    pub damage: Damage,
    pub reserve: Reserve,
}

impl Files {
    /// Why the writer must not write now, if there is a reason.
    fn refusal(&mut self) -> Option<StoreError> {
        if self.presence.is_gone() {
            return Some(StoreError::Gone);
        }
        if self.reserve.is_missing() {
            return Some(StoreError::Full);
        }
        self.damage.words().map(|words| StoreError::Damaged(words.to_owned()))
    }
}

/// The receiving half. It does not run yet.
#[derive(Debug)]
pub struct WriterThread {
    conn: Connection,
    files: Files,
    shared: Arc<Shared>,
    operations: mpsc::Receiver<Message>,
    clock: Clock,
    batch_max: usize,
    /// The writer empties the WAL when it has reached this size.
    wal_bytes_max: u64,
    /// The same limit for a disk with less free room than the WAL takes.
    crowded_wal_bytes_max: u64,
}

impl WriterThread {
    /// Starts the thread. `sink` gets the events of each commit, in order, before the writer
    /// answers the callers. Its second argument says whether another commit is about to follow.
    /// `sink` must not block.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        self,
        sink: impl FnMut(Vec<StoredEvent>, bool) + Send + 'static,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("store-writer".into()).spawn(move || self.run(sink))
    }

    fn run(mut self, mut sink: impl FnMut(Vec<StoredEvent>, bool)) {
        let mut batch = Vec::with_capacity(self.batch_max);
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = self.operations.blocking_recv() else {
                break;
            };
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Operation(operation) => batch.push(operation),
                    Message::Close(done) => {
                        self.operations.close();
                        closing = Some(done);
                    }
                }
                // The writer still does what was queued before the close, and refuses what comes
                // after.
                if batch.len() < self.batch_max {
                    next = self.operations.try_recv().ok();
                }
            }
            self.commit(&mut batch, &mut sink);
            self.shorten_wal();
        }
        while let Some(message) = self.operations.blocking_recv() {
            if let Message::Operation(operation) = message {
                batch.push(operation);
            }
            self.commit(&mut batch, &mut sink);
        }
        self.files.check.stop();
        // The readers' connections cannot do this, and the WAL would keep data that the hub has
        // deleted. While a reader is busy or the disk is full this fails, and the next hub does it.
        let _ = self.empty_wal();
        drop(self.conn);
        drop(self.files);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    fn commit(&mut self, batch: &mut Vec<Box<dyn Operation>>, sink: &mut impl FnMut(Vec<StoredEvent>, bool)) {
        if batch.is_empty() {
            return;
        }
        let committed = match self.files.refusal() {
            None => self.transact(batch),
            Some(refusal) => Err(refusal),
        };
        let failure = match committed {
            // The commit went into a file that nobody will find again.
            Ok(_) if self.files.presence.is_gone() => Some(StoreError::Gone),
            Ok(Committed { events, oldest }) => {
                if let Some(oldest) = oldest {
                    self.shared.oldest.store(oldest, Release);
                }
                if let Some(last) = events.last() {
                    self.files.mark.raise(last.seq);
                    sink(events, !self.operations.is_empty());
                }
                None
            }
            Err(error) => {
                if let StoreError::Damaged(words) = &error {
                    self.files.damage.note(words);
                }
                tracing::error!(error = %error, operations = batch.len(), "a batch of writes was not committed");
                if !self.conn.is_autocommit() {
                    // If this fails too, the next BEGIN reports it.
                    let _ = self.conn.execute_batch("ROLLBACK");
                }
                Some(error)
            }
        };
        for operation in batch.drain(..) {
            operation.answer(failure.as_ref());
        }
    }

    /// Empties the WAL when it has grown. SQLite can restart it only at a moment when nobody reads,
    /// and many overlapping queries leave no such moment. So this closes the gate, and queries
    /// wait.
    ///
    /// It does not wait long for a query that stays. Then the WAL grows a little more before the
    /// next attempt.
    fn shorten_wal(&mut self) {
        let size = std::fs::metadata(&self.shared.wal_path).map_or(0, |file| file.len());
        let is_crowded = || reserve::room(&self.shared.wal_path).is_some_and(|room| size > room);
        if size < self.wal_bytes_max && !(size >= self.crowded_wal_bytes_max && is_crowded()) {
            return;
        }
        let patience = if size < WAL_BYTES_FAR { PATIENCE } else { PATIENCE_MAX };
        let Some(_nobody_reads) = self.shared.gate.close(patience) else {
            (self.wal_bytes_max, self.crowded_wal_bytes_max) = (size + WAL_BYTES_STEP, size + WAL_BYTES_MIN);
            return;
        };
        let is_empty = self.empty_wal().unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the write-ahead log could not be emptied; trying again");
            false
        });
        let left = if is_empty { 0 } else { size };
        (self.wal_bytes_max, self.crowded_wal_bytes_max) = (left + WAL_BYTES_MAX, left + WAL_BYTES_MIN);
    }

    /// Answers whether the WAL is empty now. It cannot be emptied while somebody reads.
    fn empty_wal(&self) -> rusqlite::Result<bool> {
        self.conn.pragma_update(None, "busy_timeout", 0)?;
        let blocked = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0));
        self.conn.pragma_update(None, "busy_timeout", BUSY_MS)?;
        Ok(blocked? == 0)
    }

    fn transact(&self, batch: &mut [Box<dyn Operation>]) -> Result<Committed, StoreError> {
        let conn = &self.conn;
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        let (end, last_at) =
            conn.prepare_cached("SELECT head, bytes, last_at FROM log")?.query_row((), |row| {
                let (head, bytes) =
                    (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
                Ok((LogEnd { head, bytes }, row.get::<_, i64>(2)?))
            })?;
        let last_at = Timestamp::from_ms(last_at);
        let mut tx = Tx::new(View::new(conn, self.shared.epoch), &self.files.damage, end, last_at);
        for operation in batch {
            tx.begin(&self.clock);
            let run = |tx: &mut Tx<'_>| catch_unwind(AssertUnwindSafe(|| operation.run(tx))).unwrap_or(false);
            tx.step(run)?;
        }
        let Tx { end, last_at, events, oldest, .. } = tx;
        if !events.is_empty() {
            conn.prepare_cached("UPDATE log SET head = ?1, bytes = ?2, last_at = ?3")?.execute((
                end.head as i64,
                end.bytes as i64,
                last_at.ms(),
            ))?;
        }
        conn.prepare_cached("COMMIT")?.execute(())?;
        Ok(Committed { events, oldest })
    }
}

/// What a batch has changed.
struct Committed {
    events: Vec<StoredEvent>,
    /// The oldest event that is left, if the batch removed some.
    oldest: Option<u64>,
}
