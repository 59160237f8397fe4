//! Values with the place in the log at which they are true.

use crate::domain::event::EventId;
use crate::store::{Slice, Tx, View};

use super::{Service, ServiceError};

/// What a use case answers, and the last event that it reflects: a stream resumed here misses nothing and repeats nothing.
#[derive(Debug, Clone)]
pub struct Stamped<T> {
    pub value: T,
    pub cursor: EventId,
}

impl Service {
    /// Runs an operation in a transaction, in the name of the actor.
    ///
    /// # Errors
    /// Those of the operation, and [`ServiceError::Store`]
    pub(super) async fn write<T, F>(&self, operation: F) -> Result<Stamped<T>, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        self.store
            .write(move |tx| {
                let value = operation(tx)?;
                Ok(Stamped { value, cursor: tx.head() })
            })
            .await
    }

    /// Runs a query over one committed state, which has the event `min_cursor` in it.
    ///
    /// # Errors
    /// [`ServiceError::NotThere`] when the log has no such event, those of the query, and [`ServiceError::Store`]
    pub(super) async fn read<T, F>(
        &self,
        min_cursor: Option<EventId>,
        query: F,
    ) -> Result<Stamped<T>, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        self.store
            .read(move |view| Ok(Stamped { cursor: reached(view, min_cursor)?, value: query(view)? }))
            .await
    }

    /// Runs a query in slices (see `Reader::read_in_slices`). The cursor is that of the state in which it answers.
    ///
    /// # Errors
    /// As [`Service::read`].
    pub(super) async fn read_in_slices<T, F>(
        &self,
        min_cursor: Option<EventId>,
        mut query: F,
    ) -> Result<Stamped<T>, ServiceError>
    where
        T: Send + 'static,
        F: FnMut(&View<'_>, &Slice<'_>) -> Result<Option<T>, ServiceError> + Send + 'static,
    {
        self.store
            .read_in_slices(move |view, slice| {
                let cursor = reached(view, min_cursor)?;
                Ok(query(view, slice)?.map(|value| Stamped { value, cursor }))
            })
            .await
    }
}

/// The last event of this state, which has the event `min` in it.
fn reached(view: &View<'_>, min: Option<EventId>) -> Result<EventId, ServiceError> {
    let cursor = view.head()?;
    require_reached(cursor, min)?;
    Ok(cursor)
}

/// Refuses a state that ends with `cursor` and does not have the event `min` in it.
///
/// # Errors
/// [`ServiceError::NotThere`]
pub(super) fn require_reached(cursor: EventId, min: Option<EventId>) -> Result<(), ServiceError> {
    // There is one hub, so what was committed is in every state that is read later.
    match min.filter(|min| min.epoch != cursor.epoch || min.seq > cursor.seq) {
        Some(min) => Err(ServiceError::NotThere(min)),
        None => Ok(()),
    }
}
