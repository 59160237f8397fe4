//! Removes what old executions left: their directories, then their logs, then their rows.
//!
//! In this order, a hub that dies in between finds the row again and continues; no file is left
//! without a row. This module skips an execution whose lock is held, whatever its row says.

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

/// Removes one page of executions. Returns where to continue, or `None` when there are no more.
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

/// Removes their files. Returns the numbers of the executions that have none left.
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

/// `false` when another process still holds its lock.
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
