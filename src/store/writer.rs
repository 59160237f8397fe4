//! Writing: one thread, one connection, many operations a commit.
//!
//! An operation runs in a savepoint of the batch's transaction. Its answer is held back until the commit,
//! and its events reach the sink after the commit and before the answer: a caller that was told "done" will find
//! the event in the ring.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::config::StoreConfig;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::event::{EventId, LogEnd, StoredEvent};
use crate::domain::token::Actor;

use super::damage::Damage;
use super::identity::{HighWaterMark, Presence};
use super::integrity::Check;
use super::lock::Locks;
use super::reader::{Shared, View};
use super::reserve::{self, Reserve};
use super::{OfStore, StoreError};

/// The write-ahead log is emptied when it has grown beyond this; SQLite itself does so whenever nobody reads.
const WAL_BYTES_MAX: u64 = 16 << 20;

/// On a small disk the log is emptied sooner: when it is larger than the room that is left, but not below this.
const WAL_BYTES_MIN: u64 = 256 << 10;

/// How long SQLite waits for a lock. Nobody else writes; a backup by other means may hold one for a moment.
pub(super) const BUSY_MS: u32 = 5000;

/// The sending half. Cheap to clone; bounded, so that writers wait rather than pile up.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Operation(Box<dyn Operation>),
    Close(oneshot::Sender<()>),
}

/// An operation of any result type, so that a batch can hold several.
trait Operation: Send {
    /// Runs it; `false` when it refused, so that its savepoint is rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers. `failure` says that the batch as a whole did not commit.
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
            // Refusals too: one may rest on what a neighbour did and nobody will ever see.
            (_, Some(failure)) => Err(failure.clone().into()),
            (Some(done), None) => done,
            // The operation panicked; dropping the reply tells the caller.
            (None, None) => return,
        };
        // A caller that has gone away needs no answer.
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

/// What belongs to the database and is no part of it.
#[derive(Debug)]
pub(super) struct Files {
    /// Held as long as anything may be written.
    pub _locks: Locks,
    /// How far the log was shown.
    pub mark: HighWaterMark,
    pub presence: Presence,
    pub check: Check,
    pub damage: Damage,
    pub reserve: Reserve,
}

impl Files {
    /// Why nothing may be written.
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

/// The receiving half, not yet running.
#[derive(Debug)]
pub struct WriterThread {
    conn: Connection,
    files: Files,
    shared: Arc<Shared>,
    operations: mpsc::Receiver<Message>,
    clock: Clock,
    batch_max: usize,
    /// The WAL's size at which it is to be emptied.
    wal_bytes_max: u64,
    /// The same while it is larger than the room that is left on the disk.
    crowded_wal_bytes_max: u64,
}

impl WriterThread {
    /// Starts the thread. `sink` receives the events of each commit, in order, before their writers are
    /// answered, and whether another commit is about to follow; it must not block.
    ///
    /// # Errors
    /// When the system has no thread to give.
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
                // What was queued before the close is still done; what comes after is refused.
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
        // The readers' connections cannot, and what was forgotten would lie about in it. One that reads still, or a
        // full disk, leaves it to the next hub.
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
            // Into a file that nobody will find again.
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
                    // Should this fail too, the next BEGIN will say so.
                    let _ = self.conn.execute_batch("ROLLBACK");
                }
                Some(error)
            }
        };
        for operation in batch.drain(..) {
            operation.answer(failure.as_ref());
        }
    }

    /// Empties the WAL once it has grown. SQLite can start it over only at a moment when nobody reads, and a
    /// steady stream of overlapping queries leaves no such moment: so they are made to wait for one.
    ///
    /// A long query is not waited for: the WAL grows by as much again before the next attempt.
    fn shorten_wal(&mut self) {
        let size = std::fs::metadata(&self.shared.wal_path).map_or(0, |file| file.len());
        let is_crowded = || reserve::room(&self.shared.wal_path).is_some_and(|room| size > room);
        if size < self.wal_bytes_max && !(size >= self.crowded_wal_bytes_max && is_crowded()) {
            return;
        }
        let _nobody_reads = self.shared.gate.write().unwrap_or_else(|poison| poison.into_inner());
        let is_empty = self.empty_wal().unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the write-ahead log could not be emptied; trying again");
            false
        });
        let left = if is_empty { 0 } else { size };
        (self.wal_bytes_max, self.crowded_wal_bytes_max) = (left + WAL_BYTES_MAX, left + WAL_BYTES_MIN);
    }

    /// Whether it worked: not while somebody reads.
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
        let mut tx = Tx {
            view: View::new(conn, self.shared.epoch),
            damage: &self.files.damage,
            end,
            last_at: Timestamp::from_ms(last_at),
            now: Timestamp::from_ms(last_at),
            actor: Actor::default(),
            events: Vec::new(),
            oldest: None,
        };
        for operation in batch {
            tx.now = self.clock.now().following(tx.last_at);
            tx.actor = Actor::default();
            let (end, last_at, events, oldest) = (tx.end, tx.last_at, tx.events.len(), tx.oldest);
            conn.prepare_cached("SAVEPOINT operation")?.execute(())?;
            let accepted = catch_unwind(AssertUnwindSafe(|| operation.run(&mut tx))).unwrap_or(false);
            // SQLite ends the transaction by itself when the disk is full or fails: nothing of it is left.
            if conn.is_autocommit() {
                return Err(StoreError::Full);
            }
            if !accepted {
                conn.prepare_cached("ROLLBACK TO operation")?.execute(())?;
                (tx.end, tx.last_at) = (end, last_at);
                tx.events.truncate(events);
                tx.oldest = oldest;
            }
            conn.prepare_cached("RELEASE operation")?.execute(())?;
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

/// What a batch has done.
struct Committed {
    events: Vec<StoredEvent>,
    /// The oldest event that is left, when some were removed.
    oldest: Option<u64>,
}

/// One operation's view of the transaction it runs in.
///
/// Reads go through [`View`] and see what the transaction has done so far.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
    damage: &'a Damage,
    /// With what was appended so far.
    pub(super) end: LogEnd,
    /// The time of the last event so far.
    pub(super) last_at: Timestamp,
    now: Timestamp,
    actor: Actor,
    pub(super) events: Vec<StoredEvent>,
    /// The oldest event that is left, when some were removed.
    pub(super) oldest: Option<u64>,
}

impl<'a> std::ops::Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Tx<'_> {
    /// The time of this operation: the clock's, and a little later while the clock catches up with the event before.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// In whose name this operation changes what it changes.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Makes the operation somebody's, from here on.
    pub fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// The id of the last event so far.
    pub fn head(&self) -> EventId {
        EventId::new(self.view.epoch, self.end.head)
    }
}
