//! The changes that were committed and are not in the index yet, in the order of the log.
//!
//! The store's writer puts them here between its commit and its answers. So a caller that has its answer finds its change in the
//! queue at the latest. The writer only copies; a reader or the follower does the work.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::domain::clock::Timestamp;
use crate::domain::event::{EventKind, StoredEvent, TaskMeta, TextChange};

/// A reader that sees a commit waits at most this long for its changes. The writer hands them over right after the commit, so
/// this long means that the writer has ended.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What one event changes.
#[derive(Debug)]
pub(super) struct Change {
    pub seq: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    pub task: TaskMeta,
    pub text: Option<Arc<TextChange>>,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the readers that wait for a commit.
    arrived: Condvar,
    /// Wakes the follower when there is something again.
    filled: Notify,
}

#[derive(Debug)]
struct State {
    changes: VecDeque<Change>,
    /// The last event that was committed, also when it changes nothing here.
    head: u64,
    waiting: usize,
    is_closed: bool,
}

impl Queue {
    /// Behind a log that ends at `head`.
    pub(super) fn new(head: u64) -> Self {
        let state = State { changes: VecDeque::new(), head, waiting: 0, is_closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), filled: Notify::new() }
    }

    pub(super) fn push(&self, events: &[StoredEvent]) {
        let Some(last) = events.last() else {
            return;
        };
        let mut state = self.state();
        let was_empty = state.changes.is_empty();
        if !state.is_closed {
            state.changes.extend(events.iter().filter_map(change));
        }
        state.head = last.seq;
        let (is_filled, waiting) = (was_empty && !state.changes.is_empty(), state.waiting);
        drop(state);
        if waiting > 0 {
            self.arrived.notify_all();
        }
        if is_filled {
            self.filled.notify_one();
        }
    }

    /// The last event that was committed.
    pub(super) fn head(&self) -> u64 {
        self.state().head
    }

    /// Takes the changes up to `until`, and waits until that event has arrived. `None` when it does not come.
    pub(super) fn take(&self, until: u64) -> Option<Vec<Change>> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut state = self.state();
        while state.head < until {
            let left = deadline.checked_duration_since(Instant::now())?;
            state.waiting += 1;
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(|poison| poison.into_inner()).0;
            state.waiting -= 1;
        }
        let count = state.changes.partition_point(|change| change.seq <= until);
        Some(state.changes.drain(..count).collect())
    }

    /// Takes at most `count` changes. Answers the last event that they bring the index up to.
    pub(super) fn take_some(&self, count: usize) -> (Vec<Change>, u64) {
        let mut state = self.state();
        let count = count.min(state.changes.len());
        let taken: Vec<_> = state.changes.drain(..count).collect();
        let until = match (taken.last(), state.changes.is_empty()) {
            (Some(last), false) => last.seq,
            _ => state.head,
        };
        (taken, until)
    }

    /// Keeps nothing from here on.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.changes = VecDeque::new();
    }

    /// Answers once there is something to take. For one follower.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

fn change(event: &StoredEvent) -> Option<Change> {
    let matters = matches!(
        event.meta.kind,
        EventKind::TaskCreated | EventKind::TaskUpdated | EventKind::TaskDeleted | EventKind::CommentAdded
    );
    let task = event.meta.task().filter(|_| matters)?.clone();
    let text = event.text.clone();
    Some(Change { seq: event.seq, at: event.at, kind: event.meta.kind, task, text })
}
