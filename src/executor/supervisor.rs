//! The one loop that decides what the hub has to do: it reads all live executions, and starts,
//! recovers or stops what they require.
//!
//! Level-triggered: a wake-up carries no content, so losing one or getting it twice does no harm. A
//! timer starts a look even without a wake-up, and a second one when the wait of a delayed attempt
//! ends. An execution has at most one watcher, from the claim to the settlement, and only this task
//! adds or removes one. It removes a watcher that has ended before the next look. So it never takes
//! a row that was just settled for one without a watcher.

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

/// The period of looks without a wake-up. It bounds the delay when a wake-up is missed or a claim
/// fails.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

pub(super) struct Supervisor {
    context: Arc<Context>,
    watchers: JoinSet<()>,
    watched: HashMap<ExecutionId, Watched>,
    has_swept: bool,
    /// When the wait of each delayed attempt ends, by the monotonic clock.
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
            // All branches are cancel safe: a wake-up that is not taken stays, and so does a
            // watcher that has ended.
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

    /// The executions that have waited long enough. Each wait counts from the first look at it, by
    /// the monotonic clock, so that setting the wall clock back prolongs no wait.
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

    /// Cleans up once, before anything starts, what an earlier hub could not clean up.
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
