//! Ends the hub in order: first asks every task to end, then, when the time is over, cuts off the
//! rest.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::vitals::Vitals;

/// The two steps of a shutdown, and the tasks that must follow them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Asked to end: streams say goodbye, requests finish, and the hub accepts nothing new.
    pub soft: CancellationToken,
    /// Out of time: connections are dropped.
    pub hard: CancellationToken,
    /// Every task that was spawned.
    pub tasks: TaskTracker,
    /// What must not end before `soft` is cancelled.
    pub vitals: Vitals,
}

impl Default for Shutdown {
    fn default() -> Self {
        let soft = CancellationToken::new();
        let vitals = Vitals::new(soft.clone());
        Self { soft, hard: CancellationToken::new(), tasks: TaskTracker::new(), vitals }
    }
}

impl Shutdown {
    /// Asks every task to end, waits for at most `time_max`, then cuts off the rest.
    pub async fn drain(&self, time_max: Duration) {
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(time_max, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "cutting off what has not ended in time");
            self.hard.cancel();
            // Dropping connections is quick, so a second is enough.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        }
    }
}

/// The signals that end the hub. They are caught from the creation of this value on.
///
/// SIGHUP says that the hub's terminal is gone. There is nothing to reload, because the hub follows
/// changes of tokens and certificates. So SIGHUP ends the hub in order, unless the hub was started
/// with SIGHUP ignored, as `nohup` does.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn catch() -> std::io::Result<Self> {
        let is_ignored = is_ignored(SignalKind::hangup());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if is_ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for the first signal.
    pub async fn first(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        // All are cancel safe.
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = hangup => "SIGHUP",
        }
    }

    /// Waits for a second signal. SIGHUP does not count: a closing terminal sends it twice, by the
    /// kernel and by its shell.
    pub async fn second(&mut self) -> &'static str {
        // Both are cancel safe.
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Whether this process was started with a signal ignored: `SigIgn` of proc_pid_status(5).
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw_value() - 1)) != 0
}
