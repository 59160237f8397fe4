//! What a shim leaves when it is killed: its script's processes get a new parent, and that is the hub, so that nothing of
//! them gets out of sight. Also what else loses its parent, when the hub is the first process of a container.
//!
//! Children that have ended stay as zombies until somebody waits for them. The runtime waits for those that it has
//! started, and does so at once. So what is a zombie in two looks a second apart is nobody's, and is waited for here.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::blocking::blocking;
use super::processes;

/// The runtime has waited for its own by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes this process the parent of what its descendants leave, and waits for those that end, until `shutdown`.
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
        // Until none is left that might be nobody's.
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

/// Waits for those that were there in the look before. Answers those that are there for the first time.
fn reap_all(before: &HashSet<Pid>) -> HashSet<Pid> {
    let (old, new): (Vec<_>, Vec<_>) =
        processes::ended_children().unwrap_or_default().into_iter().partition(|child| before.contains(child));
    for child in old {
        // Somebody else may have been faster.
        let _ = waitpid(Some(child), WaitOptions::NOHANG);
    }
    new.into_iter().collect()
}
