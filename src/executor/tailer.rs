//! Tailers: one for each log that is watched, whatever the number of its watchers, and none for the others.
//!
//! A tailer is a doorbell. It looks at the log's size now and then, and at the execution's row when any execution has
//! made a step, and rings everybody when something has changed; what is in the log each watcher reads for itself. It
//! comes with the first watcher and leaves with the last. An execution that has ended needs none: nothing about
//! it will change.
//!
//! Rejected: inotify. It reports every write, and a script makes a million a second, and a user has
//! only 128 instances of it; a look at a size costs microseconds.

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

/// Between two looks at a log that is watched: so late may output arrive.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A look at the row without being told of a step: should one be missed, nobody waits longer for the end.
const ROW_PERIOD: Duration = Duration::from_secs(5);

/// What is known of a log.
#[derive(Debug, Clone, Default)]
pub(super) struct LogState {
    /// The log itself, for all watchers: they read by position. `None` until the execution has started.
    pub file: Option<Arc<File>>,
    /// When it was last looked at. Only good for seeing that something has changed.
    size: u64,
    /// The execution once it has ended. Everything that it wrote was in the log before.
    pub end: Option<Arc<Execution>>,
}

/// The tailers that there are. Cheap to clone.
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

    /// How many there are.
    pub fn count(&self) -> usize {
        self.tailed().len()
    }

    /// What is known of the log of `execution` from now on. Its tailer lives as long as somebody holds the answer.
    ///
    /// # Errors
    /// When the log is there and cannot be opened.
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
        // Nobody can panic while holding it.
        self.0.tailed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log that a shim has put back after somebody removed it, once it is as long as the one that is open.
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
            // Armed before looking, and the row before the log: what an execution wrote before its end is then there.
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
                // All are cancel safe: they only observe.
                tokio::select! {
                    () = sleep(LOOK_PAUSE) => {}
                    _ = steps.changed() => break,
                    () = self.state.closed() => if self.leave() { return },
                    // Its watchers see that for themselves.
                    () = draining.cancelled() => return,
                }
            }
        }
    }

    /// Looks at the log, and rings when it has changed.
    async fn look(&mut self) -> io::Result<()> {
        // What lies there before the first start is not of this execution.
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

    /// Leaves unless somebody has come meanwhile.
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
    /// However it ends, nobody shall wait for a ring of it. A successor's place is left alone.
    fn drop(&mut self) {
        let mut tailed = self.tailers.tailed();
        if tailed.get(&self.execution.id).is_some_and(|state| state.same_channel(&self.state)) {
            tailed.remove(&self.execution.id);
        }
    }
}
