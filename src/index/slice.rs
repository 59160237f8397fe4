//! Fills the index with the tasks of the table, one slice in one transaction.

use std::sync::RwLockWriteGuard;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use crate::domain::id::TaskId;
use crate::domain::task_row::TaskRow;

use super::state::State;
use super::texts::Gathered;
use super::{TaskIndex, translate};

/// The index while it takes a slice. Nobody else changes or reads it. When it is dropped before its end, nothing of the slice
/// counts, and the index has to be discarded.
#[derive(Debug)]
pub struct Slice<'a> {
    index: &'a TaskIndex,
    state: RwLockWriteGuard<'a, State>,
    of_tasks: Gathered,
    of_comments: Gathered,
    last: Option<u128>,
}

impl<'a> Slice<'a> {
    pub(super) fn new(index: &'a TaskIndex, state: RwLockWriteGuard<'a, State>) -> Self {
        Self { index, state, of_tasks: Gathered::default(), of_comments: Gathered::default(), last: None }
    }

    /// Brings the tasks that are in already up to `head`, the last event of the transaction. Answers after which task the slice
    /// begins, or `None` when the changes up to there do not come.
    pub fn begin_at(&mut self, head: u64) -> Option<TaskId> {
        let changes = self.index.shared.queue.take(head)?;
        self.state.apply(&changes, head);
        Some(TaskId::from_uuid(Uuid::from_u128(self.state.filled_until.unwrap_or(0))))
    }

    /// Adds a task. They come by id. `false` when the row is not one that a hub writes.
    pub fn add(&mut self, row: &TaskRow<'_>) -> bool {
        let Some((values, facets, text)) = translate::row(row) else {
            return false;
        };
        self.last = Some(values.id);
        self.state.contents.insert_gathering(values, &facets, text, &mut self.of_tasks);
        true
    }

    /// The last task that was added.
    pub fn last(&self) -> Option<TaskId> {
        self.last.map(|id| TaskId::from_uuid(Uuid::from_u128(id)))
    }

    /// Adds a comment on a task of this slice. They come by the id of the task.
    pub fn add_comment(&mut self, task: TaskId, text: &str) {
        self.state.contents.comment_gathering(task.uuid().as_u128(), text, &mut self.of_comments);
    }

    /// Ends the slice. When it `is_last`, no task comes after it, and the index answers from here on.
    pub fn end(mut self, is_last: bool) {
        self.state.contents.insert_gathered(self.of_tasks, self.of_comments);
        self.state.filled_until = match is_last {
            true => Some(u128::MAX),
            false => self.last.or(self.state.filled_until),
        };
        if is_last {
            self.state.contents.shrink();
            self.index.shared.is_ready.store(true, Ordering::Release);
        }
    }
}
