//! The index: which tasks a list has, and in which order, for every filter, sort and search, without reading their rows.
//!
//! It is in memory only. The table is the truth: a page is the ids from here, and the rows from the store.
//!
//! # Exact at a cursor
//! A page from the index equals the page that the store's own query answers in the same transaction. To reach this, a reader
//! keeps to an order ([`TaskIndex::pin`]):
//! 1. It takes the lock of the contents. From here on nobody brings the index further.
//! 2. It opens its transaction and reads the head of the log there. The contents hold committed changes only, so they are not
//!    ahead of it.
//! 3. It brings the index up to exactly this head, with the changes from the queue.
//! 4. It picks the ids, gives the lock back, and reads their rows in its transaction.
//!
//! When nothing has changed since the last time, the lock is a shared one. If a commit comes between 1 and 2, the reader changes
//! to the exclusive lock. Another reader may have been quicker there. Then the index is ahead, and the reader begins again with
//! the exclusive lock ([`Picked::Ahead`]).
//!
//! # What feeds it
//! The store's writer hands each commit to [`TaskIndex::committed`] before it answers its callers: the filters' fields of each
//! task before and after, and its texts when they have changed. That is a copy, and nothing is searched. A reader takes what it
//! needs from the queue, and the service's follower takes the rest soon after.
//!
//! # From the table
//! A hub starts with an empty index. The service fills it in slices of the table, by id. Each slice is one transaction, and
//! step 3 comes first. So the contents are exact at the head of the slice, for all tasks up to its last one, and changes of
//! tasks beyond are dropped: a later slice reads those rows. While there is more to read, the store answers the lists.
//!
//! # What it refuses
//! It knows no SQL and decides nothing about tasks. A filter by key is left to the store, which has an index for it. When a row
//! that the index names is not there, the index is wrong: it is discarded until the next start, and the store answers.
//!
//! # What it costs
//! Some 200 bytes for a task of 16 words, one of them in no other task; 600,000 such tasks take 125 MB, and 8 s of one core in
//! the background of the start. Filters and order of an update take 3 to 5 µs, and each word that comes or goes 2 µs, both
//! outside the writer. An empty hub has none of this.
//!
//! # Rejected
//! Indexes of SQLite: each costs 5 to 7 µs for every update, and a filter by two fields uses only one of them.
//!
//! FTS5: it is part of the transaction, so the writer pays for it, some 50 µs for a task of 26 words. It answers in the order of
//! its rows: any other order joins and sorts all that it has found (128 ms for 200,000 tasks).
//!
//! A set of ids for each value in a tree: several times the memory.

mod columns;
mod contents;
mod facets;
#[cfg(test)]
mod model;
mod names;
mod order;
mod pages;
mod postings;
mod queue;
mod slice;
mod state;
mod terms;
mod texts;
mod translate;

pub use slice::Slice;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::event::StoredEvent;
use crate::domain::id::TaskId;
use crate::domain::page::TaskQuery;
use crate::domain::words::Search;

use contents::Contents;
use queue::Queue;
use state::State;

/// The follower gives the lock back after so many changes, so that readers wait a millisecond at most.
const CHANGES_AT_ONCE: usize = 256;

/// The index over the tasks of one hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TaskIndex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    state: RwLock<State>,
    /// Whether lists may be answered from here.
    is_ready: AtomicBool,
}

/// What the index answers to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// The tasks of the page in its order, and one more if another page follows.
    Ids(Vec<TaskId>),
    /// The index has gone beyond the reader's transaction. Begin again, with an exclusive pin.
    Ahead,
    /// Ask the store.
    Unknown,
}

/// The index at rest. Take it before the transaction begins.
#[derive(Debug)]
pub struct Pinned<'a> {
    shared: &'a Shared,
    lock: Lock<'a>,
}

#[derive(Debug)]
enum Lock<'a> {
    Shared(RwLockReadGuard<'a, State>),
    Exclusive(RwLockWriteGuard<'a, State>),
}

impl TaskIndex {
    /// An empty index behind a log that ends at `head`.
    pub fn new(head: u64) -> Self {
        let (queue, state) = (Queue::new(head), RwLock::new(State::new(head)));
        Self { shared: Arc::new(Shared { queue, state, is_ready: AtomicBool::new(false) }) }
    }

    /// Takes the events of a commit, in order. Does not block.
    pub fn committed(&self, events: &[StoredEvent]) {
        self.shared.queue.push(events);
    }

    /// Whether it answers lists.
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready.load(Ordering::Acquire)
    }

    /// Whether it can answer this query at all.
    pub fn knows(&self, query: &TaskQuery) -> bool {
        self.is_ready() && query.filter.keys.is_empty()
    }

    /// Keeps the index where it is. See the [module](self) for what has to follow.
    pub fn pin(&self, exclusive: bool) -> Pinned<'_> {
        let shared = &*self.shared;
        if !exclusive {
            let state = shared.read();
            if state.cursor == shared.queue.head() {
                return Pinned { shared, lock: Lock::Shared(state) };
            }
        }
        Pinned { shared, lock: Lock::Exclusive(shared.write()) }
    }

    /// Begins to fill the index with the next tasks of the table. Take it before the transaction begins.
    pub fn slice(&self) -> Slice<'_> {
        Slice::new(self, self.shared.write())
    }

    /// Answers once there are changes to [`follow`](Self::follow). For one caller.
    pub async fn changed(&self) {
        self.shared.queue.filled().await;
    }

    /// Brings the index up to date with what was committed.
    pub fn follow(&self) {
        loop {
            let mut state = self.shared.write();
            let (changes, until) = self.shared.queue.take_some(CHANGES_AT_ONCE);
            let is_last = changes.len() < CHANGES_AT_ONCE;
            state.apply(&changes, until);
            if is_last {
                return;
            }
        }
    }

    /// Gives the index up: it is wrong, or it cannot be filled. The store answers from here on.
    pub fn discard(&self) {
        self.shared.is_ready.store(false, Ordering::Release);
        self.shared.queue.close();
        self.shared.write().contents = Contents::default();
    }

    /// How many tasks are in it.
    pub fn count(&self) -> u64 {
        self.shared.read().contents.len()
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(|poison| poison.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Pinned<'_> {
    /// The page of a query at `head`, the last event of the transaction that has begun since.
    pub fn pick(self, head: u64, query: &TaskQuery, allowed: &AllowedProjects) -> Picked {
        let Self { shared, lock } = self;
        let state = match lock {
            Lock::Shared(state) if state.cursor == head => state,
            Lock::Shared(state) => {
                drop(state);
                match shared.at(shared.write(), head) {
                    Ok(state) => state,
                    Err(picked) => return picked,
                }
            }
            Lock::Exclusive(state) => match shared.at(state, head) {
                Ok(state) => state,
                Err(picked) => return picked,
            },
        };
        // It may have been discarded in the meantime.
        if !shared.is_ready.load(Ordering::Acquire) {
            return Picked::Unknown;
        }
        let filter = translate::filter(&query.filter, allowed);
        let search = query.text.as_deref().map(Search::new);
        let ids = state.contents.page(&filter, search.as_ref(), translate::page(query));
        Picked::Ids(ids.into_iter().map(|id| TaskId::from_uuid(uuid::Uuid::from_u128(id))).collect())
    }
}

impl Shared {
    /// Brings the contents up to `head`, and then lets others read them, too.
    fn at<'a>(
        &self,
        mut state: RwLockWriteGuard<'a, State>,
        head: u64,
    ) -> Result<RwLockReadGuard<'a, State>, Picked> {
        if state.cursor > head {
            return Err(Picked::Ahead);
        }
        if state.cursor < head {
            let changes = self.queue.take(head).ok_or(Picked::Unknown)?;
            state.apply(&changes, head);
        }
        Ok(RwLockWriteGuard::downgrade(state))
    }
}
