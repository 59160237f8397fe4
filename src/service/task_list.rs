//! Lists tasks: which ones, the index in memory says while it can, and the store otherwise. The rows are the store's.

use crate::domain::event::EventId;
use crate::domain::page::{PageKey, TaskQuery};
use crate::domain::task::Task;
use crate::index::{Picked, TaskIndex};
use crate::store::{TaskList, TaskRows, View};

use super::stamped::require_reached;
use super::{Service, ServiceError, Stamped};

/// A page of tasks. All come from one committed state.
#[derive(Debug, Clone)]
pub struct TaskPage {
    pub tasks: Vec<Task>,
    /// Where the next page starts, if there is one.
    pub next: Option<PageKey>,
}

impl From<TaskRows> for TaskPage {
    fn from((tasks, next): TaskRows) -> Self {
        Self { tasks, next }
    }
}

impl Service {
    /// # Errors
    /// [`ServiceError::NotThere`], [`ServiceError::Store`]
    pub async fn tasks(
        &self,
        query: TaskQuery,
        min_cursor: Option<EventId>,
    ) -> Result<Stamped<TaskPage>, ServiceError> {
        // The second attempt lets nobody else bring the index further.
        for exclusive in [false, true] {
            if !self.shared.index.knows(&query) {
                break;
            }
            let (index, query) = (self.shared.index.clone(), query.clone());
            let found = self.store.read(move |view| from_index(view, &index, exclusive, &query, min_cursor));
            if let Some(page) = found.await? {
                return Ok(page);
            }
        }
        let mut list = TaskList::new(query);
        self.read_in_slices(min_cursor, move |view, slice| Ok(list.go_on(view, slice)?.map(TaskPage::from)))
            .await
    }
}

/// `None` when the index cannot answer this time.
fn from_index(
    view: &View<'_>,
    index: &TaskIndex,
    exclusive: bool,
    query: &TaskQuery,
    min_cursor: Option<EventId>,
) -> Result<Option<Stamped<TaskPage>>, ServiceError> {
    // In this order: the transaction must not be older than the index. It begins with its first query.
    let pinned = index.pin(exclusive);
    let cursor = view.head()?;
    require_reached(cursor, min_cursor)?;
    let Picked::Ids(ids) = pinned.pick(cursor.seq, query, view.allowed()) else {
        return Ok(None);
    };
    let page = view.tasks_of(query, &ids)?;
    if page.is_none() {
        tracing::error!(
            "the index names a task that does not exist; lists are read from the database from now on"
        );
        index.discard();
    }
    Ok(page.map(|page| Stamped { value: page.into(), cursor }))
}
