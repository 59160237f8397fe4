//! Queries that look at many rows: they give their transaction back every few milliseconds and go on where they were.
//!
//! A long transaction keeps SQLite from restarting the WAL, and a long query takes the processor from the writer. So a
//! query runs its first slice as every other query does. If it needs more, it goes on in a thread of its own that has a low
//! priority: there it uses the time that nobody else wants. Few such threads run at once. A query has a
//! deadline, and it ends soon after its caller has gone.
//!
//! Rejected: a progress handler of SQLite that interrupts a query. An interrupted query cannot go on where it was.

use std::cell::Cell;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout_at;

use super::gate::Gate;
use super::reader::{Pool, Reader, Shared, View, blocking};
use super::{OfStore, StoreError};

/// How long the first slice lasts. Most queries need no second one. It has the priority of all other work, so it is short.
const FIRST_SLICE: Duration = Duration::from_millis(10);
/// The niceness of a query that goes on: it gets a tenth of a processor that others want too.
const NICENESS: i32 = 10;
/// Rows between two looks at the clock: a look costs as much as a tenth of a row.
const ROWS_UNCHECKED: u32 = 16;

/// The time that a part of a long query has.
#[derive(Debug)]
pub struct Slice<'a> {
    gate: &'a Gate,
    ends: Instant,
    waiting: &'a Weak<()>,
    rows: Cell<u32>,
}

impl Slice<'_> {
    /// Whether the query is to give its transaction back. To ask after each row is cheap.
    pub fn is_over(&self) -> bool {
        let rows = self.rows.get() + 1;
        self.rows.set(rows);
        self.gate.is_closed()
            || rows.is_multiple_of(ROWS_UNCHECKED)
                && (Instant::now() >= self.ends || self.waiting.strong_count() == 0)
    }
}

/// A query in slices, beside what decides when it ends.
struct Job<F> {
    query: F,
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    deadline: Option<Instant>,
    waiting: Weak<()>,
}

impl<T, E, F> Job<F>
where
    E: OfStore,
    F: FnMut(&View<'_>, &Slice<'_>) -> Result<Option<T>, E>,
{
    fn slice(&mut self, time_max: Duration) -> Result<Option<T>, E> {
        let Self { query, shared, pool, deadline, waiting } = self;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(StoreError::Late.into());
        }
        if waiting.strong_count() == 0 {
            return Err(StoreError::Abandoned.into());
        }
        let _entered = shared.gate.enter();
        let ends = Instant::now() + time_max.min(shared.slice_time_max);
        let slice = Slice { gate: &shared.gate, ends, waiting, rows: Cell::new(0) };
        pool.run(shared, |view| query(view, &slice))
    }

    fn finish(&mut self) -> Result<T, E> {
        loop {
            if let Some(done) = self.slice(Duration::MAX)? {
                return Ok(done);
            }
        }
    }
}

impl Reader {
    /// Runs `query` again and again, each time over a newer committed state, until it answers `Some`. It is to end when the
    /// slice is over, and must get somewhere in each slice.
    ///
    /// # Errors
    /// The error of `query`, [`StoreError::Late`] when it takes longer than `time_max`, or another [`StoreError`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the query soon.
    pub async fn read_in_slices<T, E, F>(&self, time_max: Option<Duration>, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: OfStore + Send + 'static,
        F: FnMut(&View<'_>, &Slice<'_>) -> Result<Option<T>, E> + Send + 'static,
    {
        let (shared, pool) = (self.shared.clone(), self.pool.clone());
        let interest = Arc::new(());
        let deadline = time_max.map(|time| Instant::now() + time);
        let mut job = Job { query, shared, pool, deadline, waiting: Arc::downgrade(&interest) };

        let permit = turn(&self.pool.permits, deadline).await?;
        let first = move || {
            let _permit = permit;
            (job.slice(FIRST_SLICE), job)
        };
        let (done, mut job) = blocking(first).await?;
        if let Some(done) = done? {
            return Ok(done);
        }
        let turn = turn(&self.pool.long_turns, deadline).await?;
        let rest = move || {
            let _turn = turn;
            job.finish()
        };
        let result = at_low_priority(rest).await?;
        drop(interest);
        result
    }

    /// How long a query may take that a client waits for.
    pub(super) fn query_time_max(&self) -> Duration {
        self.shared.query_time_max
    }
}

async fn turn(turns: &Arc<Semaphore>, deadline: Option<Instant>) -> Result<OwnedSemaphorePermit, StoreError> {
    let turn = turns.clone().acquire_owned();
    let turn = match deadline {
        Some(deadline) => timeout_at(deadline.into(), turn).await.map_err(|_| StoreError::Late)?,
        None => turn.await,
    };
    turn.map_err(|_| StoreError::Closed)
}

/// Runs `work` on a thread of its own, which gets only the time that others leave.
///
/// # Errors
/// [`StoreError::File`] when the system gives no thread, [`StoreError::Aborted`] when `work` panics.
pub async fn at_low_priority<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let work = move || {
        // Without the lower priority the work is as right, and only takes more from others.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        // An error here means that the caller no longer waits.
        let _ = reply.send(work());
    };
    let thread = std::thread::Builder::new().name("store-query".into()).spawn(work);
    thread.map_err(|error| StoreError::File(Arc::new(error)))?;
    answer.await.map_err(|_| StoreError::Aborted)
}
