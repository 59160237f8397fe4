//! Values with the place in the log at which they are true.

use crate::domain::event::EventId;
use crate::store::{Tx, View};

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
            .read(move |view| {
                let cursor = view.head()?;
                // There is one hub, so what was committed is in every state that is read later.
                if let Some(min) = min_cursor.filter(|min| min.epoch != cursor.epoch || min.seq > cursor.seq)
                {
                    return Err(ServiceError::NotThere(min));
                }
                Ok(Stamped { value: query(view)?, cursor })
            })
            .await
    }
}
