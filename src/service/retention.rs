//! Forgetting: old events, old idempotency keys and old executions, a little at a time so that writers never wait
//! long. What an execution left on the disk is the executor's, which removes it first.

use crate::domain::clock::Timestamp;
use crate::store::Age;

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
    /// Some of the executions that ended more than so many days before `now`: when, and their numbers.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn outdated_executions(
        &self,
        days_max: u32,
        now: Timestamp,
        after: Option<EndedExecution>,
    ) -> Result<Vec<EndedExecution>, ServiceError> {
        let before = Timestamp::from_ms(now.ms() - i64::from(days_max) * DAY_MS);
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

    /// Removes some of what is past its time; events from seq `floor` on are kept whatever their age. It is asked for at the
    /// last moment: a client may be sent a part of an event meanwhile. Without `now`, which is a time that the clock has confirmed, nothing goes by its age. Answers whether there may be more to remove.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn forget(
        &self,
        events_max: u64,
        days_max: u32,
        now: Option<Timestamp>,
        floor: impl FnOnce() -> u64 + Send + 'static,
    ) -> Result<bool, ServiceError> {
        self.store
            .write(move |tx| {
                let ago = |now: Timestamp, ms: i64| Timestamp::from_ms(now.ms() - ms);
                let age = now.map(|now| Age { before: ago(now, i64::from(days_max) * DAY_MS), now });
                let events = tx.expire_events(events_max, age, floor(), ROWS_MAX)?;
                let Some(age) = age else {
                    return Ok(events >= ROWS_MAX);
                };
                let keys = tx.forget(ago(age.now, KEY_MS), ROWS_MAX)?;
                let audit = tx.forget_audit(age.before, ROWS_MAX)?;
                Ok(events >= ROWS_MAX || keys >= ROWS_MAX || audit >= ROWS_MAX)
            })
            .await
    }
}
