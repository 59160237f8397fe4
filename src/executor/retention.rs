//! What old executions have left behind: their directories, their logs, and at last their rows.
//!
//! In this order, so that a hub that dies in between finds the row again and goes on; nothing is left that nobody
//! knows of. An execution whose lock is held is passed over, whatever its row says.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::domain::clock::{ConfirmedClock, Timestamp};
use crate::service::{EndedExecution, ServiceError};

use super::blocking::blocking;
use super::context::Context;
use super::directory::Directory;
use super::logs;

/// Runs until the shutdown.
pub(super) async fn run(context: Arc<Context>) {
    let mut ticker = interval(Duration::from_millis(context.settings.retention.period_ms));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clock = ConfirmedClock::new(context.settings.retention.clock.clone());
    loop {
        // Both are cancel safe.
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            _ = ticker.tick() => {}
        }
        let Some(now) = clock.now() else {
            continue;
        };
        let mut after = None;
        while !context.shutdown.is_cancelled() {
            match forget_some(&context, now, after).await {
                Ok(Some(last)) => after = Some(last),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "old executions could not be removed; trying again later");
                    break;
                }
            }
        }
    }
}

/// Answers where to go on, or `None` when there is no more.
async fn forget_some(
    context: &Context,
    now: Timestamp,
    after: Option<EndedExecution>,
) -> Result<Option<EndedExecution>, ServiceError> {
    let days_max = context.settings.retention.days_max;
    let outdated = context.service.outdated_executions(days_max, now, after).await?;
    let Some(&last) = outdated.last() else {
        return Ok(None);
    };
    let data_dir = context.settings.data_dir.clone();
    let removed = blocking(move || Ok(remove_all(&data_dir, &outdated))).await.unwrap_or_default();
    context.service.forget_executions(removed).await?;
    Ok(Some(last))
}

/// The numbers of executions that have left nothing behind.
fn remove_all(data_dir: &Path, outdated: &[EndedExecution]) -> Vec<i64> {
    let is_removed = |number: &i64| match remove(data_dir, *number) {
        Ok(removed) => removed,
        Err(error) => {
            tracing::warn!(execution.number = number, %error, "could not remove what an execution has left");
            false
        }
    };
    outdated.iter().map(|(_, number)| *number).filter(is_removed).collect()
}

/// `false` when somebody still holds its lock.
fn remove(data_dir: &Path, number: i64) -> io::Result<bool> {
    let directory = Directory::of(data_dir, number);
    match directory.lock() {
        Ok(Some(_lock)) => fs::remove_dir_all(directory.path())?,
        Ok(None) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match fs::remove_file(logs::all(data_dir).join(format!("task-{number}.log"))) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(true),
    }
}
