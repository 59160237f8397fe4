//! Forgetting: old events, old idempotency keys and old executions, a little at a time so that writers never wait
//! long. What an execution left on the disk is the executor's, which removes it first.

use crate::domain::clock::Timestamp;

use super::{Service, ServiceError};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Idempotency keys are remembered this long.
const KEY_MS: i64 = DAY_MS;
/// Rows removed in one transaction: a few milliseconds of the writer's time.
const ROWS_MAX: u64 = 2000;

/// Executions forgotten in one transaction, between which their files are removed.
const EXECUTIONS_MAX: usize = 100;

/// An execution that has ended, and where the search for more goes on.
pub type EndedExecution = (Timestamp, i64);

impl Service {
    /// Some of the executions that ended more than so many days ago: when, and their numbers.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn outdated_executions(
        &self,
        days_max: u32,
        after: Option<EndedExecution>,
    ) -> Result<Vec<EndedExecution>, ServiceError> {
        let before = Timestamp::from_ms(Timestamp::now().ms() - i64::from(days_max) * DAY_MS);
        self.store.read(move |view| Ok(view.executions_ended_before(before, after, EXECUTIONS_MAX)?)).await
    }

    /// Forgets executions that have ended.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn forget_executions(&self, numbers: Vec<i64>) -> Result<(), ServiceError> {
        self.store
            .write(move |tx| {
                for number in numbers {
                    tx.delete_ended_execution(number)?;
                }
                Ok(())
            })
            .await
    }

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
                let audit = tx.forget_audit(events_before, ROWS_MAX)?;
                Ok(events >= ROWS_MAX || keys >= ROWS_MAX || audit >= ROWS_MAX)
            })
            .await
    }
}
