//! Detects when a vital part of the hub has ended. A vital thread or task may panic or end too
//! early. Then the hub must not run on and claim to be well: `/ready` reports the failure, and the
//! process ends with an error, so that its supervisor restarts it. No acknowledged write is lost by
//! that.
//!
//! Parts that can be restarted at once are not vital: the watcher of an execution, the reader of a
//! log, a connection.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Cheap to clone. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// Cancelled when the hub is shutting down.
    ending: CancellationToken,
    failed: CancellationToken,
    failure: Arc<OnceLock<&'static str>>,
}

/// Held by a part that must not end before the hub does. Dropping it earlier is a failure.
#[derive(Debug)]
pub struct Vital {
    name: &'static str,
    vitals: Vitals,
}

impl Vitals {
    /// `ending` is cancelled before any part ends in order.
    pub fn new(ending: CancellationToken) -> Self {
        Self { ending, ..Self::default() }
    }

    /// For a part that runs on its own thread.
    pub fn hold(&self, name: &'static str) -> Vital {
        Vital { name, vitals: self.clone() }
    }

    /// Spawns a task that must not end before the hub does.
    pub fn spawn(
        &self,
        tasks: &TaskTracker,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let vital = self.hold(name);
        tasks.spawn(async move {
            let _vital = vital;
            task.await;
        });
    }

    /// The name of the part that failed, if one has.
    pub fn failure(&self) -> Option<&'static str> {
        self.failure.get().copied()
    }

    /// Waits until a part has failed.
    pub async fn failed(&self) -> &'static str {
        self.failed.cancelled().await;
        self.failure().unwrap_or("something")
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if self.vitals.ending.is_cancelled() {
            return;
        }
        tracing::error!(part = self.name, "a part of the hub has ended by a fault");
        // Only the first failure counts: others may be its consequences.
        let _ = self.vitals.failure.set(self.name);
        self.vitals.failed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ends_too_early_is_told_whether_it_panicked_or_returned() {
        let tasks = TaskTracker::new();
        let vitals = Vitals::default();
        vitals.spawn(&tasks, "returned", async {});
        assert_eq!(vitals.failed().await, "returned");
        vitals.spawn(&tasks, "later", async {});
        let vitals = Vitals::default();
        vitals.spawn(&tasks, "panicked", async { panic!("on purpose") });
        assert_eq!(vitals.failed().await, "panicked");
        let vitals = Vitals::default();
        let vital = vitals.hold("a thread");
        assert!(
            std::thread::spawn(move || {
                let _vital = vital;
                panic!("on purpose");
            })
            .join()
            .is_err()
        );
        assert_eq!(vitals.failure(), Some("a thread"));
    }

    #[tokio::test]
    async fn what_ends_with_the_hub_is_no_failure() {
        let ending = CancellationToken::new();
        let vitals = Vitals::new(ending.clone());
        let vital = vitals.hold("a thread");
        ending.cancel();
        drop(vital);
        assert_eq!(vitals.failure(), None);
    }
}
