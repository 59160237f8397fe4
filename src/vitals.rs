//! Whether everything that the hub cannot do without is at work. A thread or a task that panics, or ends before it
//! should, must not leave half a hub behind that still says that it is well: `/ready` tells, and the process ends with an
//! error, so that whatever supervises it starts it anew. Nothing that was acknowledged is lost by that.
//!
//! What can be done again on the spot is not counted here: the watcher of an execution, the reader of a log, a
//! connection.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// Cancelled when all of it is to end.
    ending: CancellationToken,
    failed: CancellationToken,
    failure: Arc<OnceLock<&'static str>>,
}

/// Something that must not end before the hub does. To be held by it.
#[derive(Debug)]
pub struct Vital {
    name: &'static str,
    vitals: Vitals,
}

impl Vitals {
    /// `ending` is cancelled before anything ends in order.
    pub fn new(ending: CancellationToken) -> Self {
        Self { ending, ..Self::default() }
    }

    /// For what runs on a thread of its own.
    pub fn hold(&self, name: &'static str) -> Vital {
        Vital { name, vitals: self.clone() }
    }

    /// Spawns what must not end before the hub does.
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

    /// What has ended, if anything has.
    pub fn failure(&self) -> Option<&'static str> {
        self.failure.get().copied()
    }

    /// Waits until something has ended.
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
        // The first one counts: it may have taken others along.
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
