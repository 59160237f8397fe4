//! Tailers: one for each log that has watchers, however many, and none for the other logs.
//!
//! A tailer notifies the watchers of a log. It checks the log's size periodically, and the
//! execution's row whenever any execution has changed. When something has changed it notifies all
//! watchers; each watcher reads the log itself. A tailer starts with the first watcher and stops
//! with the last. An execution that has ended needs no tailer, because nothing about it changes any
//! more.
//!
//! Rejected: inotify. It reports every write, and a script can make a million writes a second. One
//! user has only 128 instances of it. A check of a size costs microseconds.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::data_dir::DataDir;
use crate::domain::execution::{Execution, ExecutionStatus};
use crate::domain::id::ExecutionId;
use crate::service::Service;

use super::blocking::blocking;
use super::directory::is_at;
use super::plain_file;

/// The pause between two checks of a log. It bounds how late output arrives.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// The period of checks of the row without a notification. It bounds the delay of the end if one is
/// missed.
const ROW_PERIOD: Duration = Duration::from_secs(5);

/// What a tailer knows about a log.
#[derive(Debug, Clone, Default)]
pub(super) struct LogState {
    /// The open log. All watchers share it, since they read by position. `None` until the execution
    /// has started.
    pub file: Option<Arc<File>>,
    /// The size at the last check. Its only use is to detect a change.
    size: u64,
    /// The execution, once it has ended. The log then holds everything that it wrote.
    pub end: Option<Arc<Execution>>,
}

/// All running tailers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tailers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Service,
    data_dir: DataDir,
    draining: CancellationToken,
    tasks: TaskTracker,
    tailed: Mutex<HashMap<ExecutionId, watch::Sender<LogState>>>,
}

impl Tailers {
    pub fn new(service: Service, data_dir: DataDir, draining: CancellationToken, tasks: TaskTracker) -> Self {
        Self(Arc::new(Shared { service, data_dir, draining, tasks, tailed: Mutex::default() }))
    }

    /// How many tailers run.
    pub fn count(&self) -> usize {
        self.tailed().len()
    }

    /// The state of the log of `execution`, kept up to date. Its tailer lives as long as a receiver
    /// exists.
    ///
    /// # Errors
    /// When the log exists and cannot be opened.
    pub async fn watch(&self, execution: Execution) -> io::Result<watch::Receiver<LogState>> {
        let mut tailer = Tailer {
            tailers: self.clone(),
            path: self.0.data_dir.join(&execution.log_file),
            state: watch::Sender::new(LogState::default()),
            execution,
        };
        tailer.look().await?;
        if tailer.execution.status.is_final() {
            tailer.end();
            return Ok(tailer.state.subscribe());
        }
        let mut tailed = self.tailed();
        if let Some(state) = tailed.get(&tailer.execution.id) {
            return Ok(state.subscribe());
        }
        let state = tailer.state.subscribe();
        tailed.insert(tailer.execution.id, tailer.state.clone());
        drop(tailed);
        self.0.tasks.spawn(tailer.run());
        Ok(state)
    }

    fn tailed(&self) -> MutexGuard<'_, HashMap<ExecutionId, watch::Sender<LogState>>> {
        // No code that holds the lock can panic.
        self.0.tailed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log that a shim has put back after somebody removed the open one, if it is at least as long
/// as the open one.
fn successor(open: &File, path: &Path) -> Option<Arc<File>> {
    if is_at(open, path) {
        return None;
    }
    let file = plain_file::open(path).ok()?;
    let is_complete = file.metadata().ok()?.len() >= open.metadata().ok()?.len();
    is_complete.then(|| Arc::new(file))
}

struct Tailer {
    tailers: Tailers,
    execution: Execution,
    path: PathBuf,
    state: watch::Sender<LogState>,
}

impl Tailer {
    async fn run(mut self) {
        let mut steps = self.tailers.0.service.steps();
        let draining = self.tailers.0.draining.clone();
        loop {
            // Armed before the check. The row is read before the log: what an execution wrote
            // before its end is then in the log.
            steps.borrow_and_update();
            let row = self.tailers.0.service.execution_of(self.execution.task_id, Some(self.execution.id));
            match row.await {
                Ok(execution) => self.execution = execution,
                Err(error) => {
                    tracing::warn!(execution.id = %self.execution.id, %error, "could not look for an execution; will try again")
                }
            }
            let row_due = Instant::now() + ROW_PERIOD;
            while Instant::now() < row_due {
                if let Err(error) = self.look().await {
                    tracing::warn!(execution.id = %self.execution.id, %error, "could not look at a log; will try again");
                }
                if self.execution.status.is_final() {
                    return self.end();
                }
                // All branches only observe, so they are cancel safe.
                tokio::select! {
                    () = sleep(LOOK_PAUSE) => {}
                    _ = steps.changed() => break,
                    () = self.state.closed() => if self.leave() { return },
                    // The watchers observe the draining themselves.
                    () = draining.cancelled() => return,
                }
            }
        }
    }

    /// Checks the log, and notifies the watchers when it has changed.
    async fn look(&mut self) -> io::Result<()> {
        // A file that lies there before the first start does not belong to this execution.
        if self.execution.status == ExecutionStatus::Queued && self.execution.attempt == 1 {
            return Ok(());
        }
        let (path, open) = (self.path.clone(), self.state.borrow().file.clone());
        let found = blocking(move || {
            let file = match open {
                Some(file) => successor(&file, &path).unwrap_or(file),
                None => match plain_file::open(&path) {
                    Ok(file) => Arc::new(file),
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                },
            };
            let size = file.metadata()?.len();
            Ok(Some((file, size)))
        });
        if let Some((file, size)) = found.await? {
            self.state.send_if_modified(|state| {
                let is_same = state.file.as_ref().is_some_and(|known| Arc::ptr_eq(known, &file));
                let is_news = !is_same || state.size != size;
                (state.file, state.size) = (Some(file), size);
                is_news
            });
        }
        Ok(())
    }

    fn end(&self) {
        self.state.send_modify(|state| state.end = Some(Arc::new(self.execution.clone())));
    }

    /// Removes the tailer, unless a new watcher has subscribed meanwhile. Returns whether it did.
    fn leave(&self) -> bool {
        let mut tailed = self.tailers.tailed();
        let is_alone = self.state.is_closed();
        if is_alone {
            tailed.remove(&self.execution.id);
        }
        is_alone
    }
}

impl Drop for Tailer {
    /// However the tailer ends, no watcher may wait for it. The entry of a successor stays.
    fn drop(&mut self) {
        let mut tailed = self.tailers.tailed();
        if tailed.get(&self.execution.id).is_some_and(|state| state.same_channel(&self.state)) {
            tailed.remove(&self.execution.id);
        }
    }
}
