//! Ending in order: first everybody is asked, then, when the time is over, cut off.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The two steps of an end, and everything that must take them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Asked to end: streams say goodbye, requests are finished, nothing new is accepted.
    pub soft: CancellationToken,
    /// Out of time: connections are dropped.
    pub hard: CancellationToken,
    /// Every task that was spawned.
    pub tasks: TaskTracker,
}

impl Shutdown {
    /// Asks everybody, waits for at most `time_max`, then cuts off what is left.
    pub async fn drain(&self, time_max: Duration) {
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(time_max, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "cutting off what has not ended in time");
            self.hard.cancel();
            // Dropping a connection takes no time worth waiting longer for.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        }
    }
}

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Both are cancel safe.
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
