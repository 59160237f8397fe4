//! Expires questions at their deadlines. It sleeps until the next deadline, and without any it only waits to be told of a
//! new question.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Timestamp};

use crate::store::StoreError;

use super::{Service, ServiceError};

/// The longest sleep while there is a deadline: the deadline is by the clock, and somebody may set the clock, or the
/// machine may sleep.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The pause after a failure, as of a full disk.
const RETRY: Duration = Duration::from_secs(5);

impl Service {
    /// Expires questions until `shutdown` is cancelled. `clock` is the one of the store.
    ///
    /// # Cancel safety
    /// A transaction that was begun still happens.
    pub async fn watch_deadlines(self, clock: Clock, shutdown: CancellationToken) {
        loop {
            let sleep = match self.expire_due(&clock).await {
                // The hub ends before it has begun.
                Err(ServiceError::Store(StoreError::Closed)) => return,
                Ok(next) => next.map(|at| time_until(at, &clock)),
                Err(error) => {
                    tracing::warn!(%error, "questions could not be expired; trying again later");
                    Some(RETRY)
                }
            };
            let woken = async {
                match sleep {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            // All are cancel safe. A notification that came since the read is kept.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.shared.signals.asked().notified() => {}
                () = woken => {}
            }
        }
    }

    /// Expires what is due, and answers the next deadline. Writes only when something is due.
    async fn expire_due(&self, clock: &Clock) -> Result<Option<Timestamp>, ServiceError> {
        loop {
            let next = self.store.read(|view| Ok::<_, ServiceError>(view.next_question_deadline()?)).await?;
            match next {
                Some(at) if at <= clock.now() => self.expire_questions().await?,
                next => return Ok(next),
            }
        }
    }
}

/// How long to sleep before this time.
fn time_until(at: Timestamp, clock: &Clock) -> Duration {
    let ms = at.ms_since(clock.now());
    // A timer may fire within the millisecond before.
    Duration::from_millis(ms.unsigned_abs() + 1).min(SLEEP_MAX)
}
