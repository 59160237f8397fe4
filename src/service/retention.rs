//! Forgetting: old events and old idempotency keys, a little at a time so that writers never wait long.

use crate::domain::clock::Timestamp;

use super::{Service, ServiceError};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Idempotency keys are remembered this long.
const KEY_MS: i64 = DAY_MS;
/// Rows removed in one transaction: a few milliseconds of the writer's time.
const ROWS_MAX: u64 = 2000;

impl Service {
    /// Removes some of what is past its time; events from seq `floor` on are kept whatever their age. Answers
    /// whether there may be more to remove.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn forget(&self, events_max: u64, days_max: u32, floor: u64) -> Result<bool, ServiceError> {
        self.store
            .write(move |tx| {
                let ago = |ms: i64| Timestamp::from_ms(tx.now().ms() - ms);
                let (events_before, keys_before) = (ago(i64::from(days_max) * DAY_MS), ago(KEY_MS));
                let events = tx.expire_events(events_max, events_before, floor, ROWS_MAX)?;
                let keys = tx.forget(keys_before, ROWS_MAX)?;
                Ok(events >= ROWS_MAX || keys >= ROWS_MAX)
            })
            .await
    }
}
