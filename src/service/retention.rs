//! Retention: removes old events, old idempotency keys, old audit entries and old executions. It
//! removes a few rows at a time, so that writers never wait long. The executor removes an
//! execution's files before this module removes its row.

use crate::domain::clock::Timestamp;
use crate::store::Age;

use super::{Service, ServiceError};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long the hub remembers an idempotency key.
const KEY_MS: i64 = DAY_MS;
/// Most rows that one transaction removes of each kind. It takes a few milliseconds of the writer's
/// time.
const ROWS_MAX: u64 = 2000;

/// Most executions that one transaction removes. The executor removes their files before.
const EXECUTIONS_MAX: usize = 100;

/// When an execution ended, and its number. The search for more goes on after it.
pub type EndedExecution = (Timestamp, i64);

impl Service {
    /// Some of the executions that ended more than `days_max` days before `now`, the oldest end
    /// first.
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

    /// Removes the rows of executions that have ended.
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

    /// Removes some of what is too old. Keeps all events from the seq `floor` on, whatever their
    /// age. The writer calls `floor` at the last moment, because a stream may have begun to send an
    /// event meanwhile.
    ///
    /// `now` must be a time that [`ConfirmedClock`](crate::domain::clock::ConfirmedClock) gave.
    /// Without it nothing is removed by age. Answers whether there may be more to remove.
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
