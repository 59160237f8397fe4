//! Fills the index from the table when the hub has started, and then keeps it close to the log.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::index::TaskIndex;
use crate::store::{StoreError, View};

use super::Service;

/// So many tasks are read in one transaction, in some 100 ms. Larger slices are quicker in all, because more tasks of a slice
/// share their words.
const SLICE_TASKS: usize = 5000;
/// Changes are gathered for this long, so that the follower is not woken by each commit. A reader that needs them sooner takes
/// them itself.
const GATHER: Duration = Duration::from_millis(20);

impl Service {
    /// Runs until `stop`.
    pub async fn follow_index(self, stop: CancellationToken) {
        // Cancel safe: a slice that has begun ends by itself.
        let filled = tokio::select! {
            () = stop.cancelled() => return,
            filled = self.fill_index() => filled,
        };
        if let Err(error) = filled {
            tracing::warn!(%error, "the index of tasks could not be filled; lists are read from the database");
            self.shared.index.discard();
        }
        loop {
            // All are cancel safe.
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.index.changed() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
            let index = self.shared.index.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || index.follow()).await {
                tracing::error!(%error, "the index of tasks has failed; lists are read from the database from now on");
                self.shared.index.discard();
            }
        }
    }

    async fn fill_index(&self) -> Result<(), StoreError> {
        loop {
            let index = self.shared.index.clone();
            let is_last = self.store.log_reader().read(move |view| fill_slice(view, &index));
            if is_last.await? {
                tracing::debug!(tasks = self.shared.index.count(), "the index of tasks is ready");
                return Ok(());
            }
        }
    }
}

/// Answers whether the table has no more tasks.
fn fill_slice(view: &View<'_>, index: &TaskIndex) -> Result<bool, StoreError> {
    // In this order: the transaction must not be older than the index. It begins with its first query.
    let mut slice = index.slice();
    let head = view.head()?.seq;
    let after = slice.begin_at(head).ok_or(StoreError::Closed)?;
    let mut is_sound = true;
    let count = view.visit_task_rows(after, SLICE_TASKS, |row| {
        is_sound = slice.add(row);
        is_sound
    })?;
    if !is_sound {
        return Err(StoreError::Corrupt("a task has a rank that does not exist".to_owned()));
    }
    if let Some(last) = slice.last() {
        view.visit_comments(after, last, |task, text| slice.add_comment(task, text))?;
    }
    let is_last = count < SLICE_TASKS;
    slice.end(is_last);
    Ok(is_last)
}
