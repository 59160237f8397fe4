//! The one loop that decides what has to be done: it looks at all live executions and makes the world match.
//!
//! Level-triggered: a wake-up carries no content, so none can be lost or come twice; a timer looks even when
//! nobody rings, and another when an attempt that had to wait is due. An execution has at most one watcher, from the claim to the settlement, and only this task
//! adds or removes one: removal comes before the next look, so that a row just settled is never taken for one
//! that nobody watches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Timestamp;
use crate::domain::execution::Execution;
use crate::domain::id::ExecutionId;
use crate::service::Todo;

use super::blocking::blocking;
use super::context::Context;
use super::directory;
use super::watcher::Watcher;

/// A look without being called: should a wake-up be missed, or a claim have failed, nothing waits longer.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

pub(super) struct Supervisor {
    context: Arc<Context>,
    watchers: JoinSet<()>,
    watched: HashMap<ExecutionId, Watched>,
    has_swept: bool,
    /// When attempts that wait for their time will be due, by a clock that nobody sets.
    waiting: HashMap<ExecutionId, Instant>,
}

struct Watched {
    task: Id,
    /// Tells the watcher to stop its execution.
    stop: CancellationToken,
}

impl Supervisor {
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            watchers: JoinSet::new(),
            watched: HashMap::new(),
            has_swept: false,
            waiting: HashMap::new(),
        }
    }

    pub async fn run(mut self) {
        let mut look = interval(LOOK_PERIOD);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next_due = self.waiting.values().min().copied();
            let due = async {
                match next_due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // All cancel-safe: a ring that is not taken is kept, and so is a watcher that has ended.
            tokio::select! {
                () = self.context.shutdown.cancelled() => break,
                () = self.context.service.work().notified() => {}
                Some(ended) = self.watchers.join_next_with_id() => self.forget(ended),
                _ = look.tick() => {}
                () = due => {}
            }
            self.look().await;
        }
        while let Some(ended) = self.watchers.join_next_with_id().await {
            self.forget(ended);
        }
    }

    async fn look(&mut self) {
        while let Some(ended) = self.watchers.try_join_next_with_id() {
            self.forget(ended);
        }
        let Todo { running, mut due, waiting } = match self.context.service.executions_to_do().await {
            Ok(todo) => todo,
            Err(error) => {
                tracing::warn!(%error, "could not look for executions; will try again");
                return;
            }
        };
        due.extend(self.overdue(waiting));
        self.sweep(&running).await;
        for execution in &running {
            match self.watched.get(&execution.id) {
                Some(watched) if execution.stop_requested => watched.stop.cancel(),
                Some(_) => {}
                None => self.watch(execution, Watcher::recover),
            }
        }
        for execution in &due {
            if self.watched.len() >= self.context.config.slots() {
                break;
            }
            if !self.watched.contains_key(&execution.id) {
                self.watch(execution, Watcher::launch);
            }
        }
    }

    /// Those that have waited long enough, whatever the clock says now. The wait of each is counted from the first look at
    /// it, so that a clock that is set back prolongs none.
    fn overdue(&mut self, waiting: Vec<Execution>) -> Vec<Execution> {
        let (now, clock) = (Instant::now(), Timestamp::now());
        let mut known = std::mem::take(&mut self.waiting);
        let mut overdue = Vec::new();
        for execution in waiting {
            let wait = Duration::from_millis(execution.wait_ms(clock));
            let at = known.remove(&execution.id).unwrap_or(now + wait).min(now + wait);
            match at <= now {
                true => overdue.push(execution),
                false => drop(self.waiting.insert(execution.id, at)),
            }
        }
        overdue
    }

    fn watch<F>(&mut self, execution: &Execution, life: fn(Watcher) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        if execution.stop_requested {
            stop.cancel();
        }
        let watcher = Watcher::new(Arc::clone(&self.context), execution, stop.clone());
        let task = self.watchers.spawn(life(watcher)).id();
        self.watched.insert(execution.id, Watched { task, stop });
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(%error, "a watcher failed; its execution will be looked for");
                error.id()
            }
        };
        self.watched.retain(|_, watched| watched.task != task);
    }

    /// Once, before anything is started: what an earlier hub could not clean up any more.
    async fn sweep(&mut self, running: &[Execution]) {
        if std::mem::replace(&mut self.has_swept, true) {
            return;
        }
        let numbers: HashSet<i64> = running.iter().map(|execution| execution.number).collect();
        let data_dir = self.context.settings.data_dir.clone();
        if let Err(error) = blocking(move || directory::sweep(&data_dir, &numbers)).await {
            tracing::warn!(%error, "could not clean up behind earlier executions");
        }
    }
}
