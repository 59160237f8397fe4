//! Adopts and reaps orphans. When a shim is killed, its script's processes become children of the
//! hub, so that the hub can still find them. If the hub is the first process of a container, it
//! also becomes the parent of all other orphans.
//!
//! A child that has ended stays a zombie until its parent waits for it. The runtime waits at once
//! for the children that it started. So a child that is a zombie in two scans, a second apart, is
//! an orphan, and this module waits for it.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::blocking::blocking;
use super::processes;

/// The pause between two scans. By then the runtime has waited for its own children.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes this process the parent of orphans among its descendants, and reaps those that end, until
/// `shutdown`.
pub(super) fn adopt(shutdown: CancellationToken, tracker: &TaskTracker) {
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::warn!(%error, "what a killed shim leaves may get out of sight");
    }
    match signal(SignalKind::child()) {
        Ok(ended) => drop(tracker.spawn(reap(ended, shutdown))),
        Err(error) => tracing::warn!(%error, "orphans that have ended will stay as zombies"),
    }
}

async fn reap(mut ended: Signal, shutdown: CancellationToken) {
    loop {
        // Both are cancel safe.
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ended.recv() => {}
        }
        let mut seen = HashSet::new();
        // Scan until there is no zombie that might be an orphan.
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PATIENCE) => {}
            }
            let before = std::mem::take(&mut seen);
            seen = blocking(move || Ok(reap_all(&before))).await.unwrap_or_default();
            if seen.is_empty() {
                break;
            }
        }
    }
}

/// Reaps the zombies that were also in the scan before. Returns those that are new in this scan.
fn reap_all(before: &HashSet<Pid>) -> HashSet<Pid> {
    let (old, new): (Vec<_>, Vec<_>) =
        processes::ended_children().unwrap_or_default().into_iter().partition(|child| before.contains(child));
    for child in old {
        // The runtime may have reaped it already.
        let _ = waitpid(Some(child), WaitOptions::NOHANG);
    }
    new.into_iter().collect()
}
