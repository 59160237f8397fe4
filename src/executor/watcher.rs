//! One execution's life as the hub sees it. The watcher claims and starts it, or finds it running;
//! waits for its end; and settles it.
//!
//! A shutdown stops a watcher without changing anything. The next hub finds the row and the files,
//! and continues from there.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::execution::{Execution, NamedArtifacts, Outcome};
use crate::domain::id::ExecutionId;
use crate::service::{Claimed, ServiceError};

use super::blocking::blocking;
use super::context::Context;
use super::contract::{PROTOCOL, Spec, Terms};
use super::directory::Directory;
use super::processes::{Mark, Process};
use super::session::{Ended, Session};
use super::verdict::{failed, named, verdict};
use super::{logs, processes, session, shim, tmux};

/// The pause between two attempts to write to a store that fails.
const STORE_PAUSE_MIN: Duration = Duration::from_millis(100);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The watcher gives up after this many attempts. The supervisor then starts over from the files.
const STORE_ATTEMPTS_MAX: u32 = 20;
/// The pause between two attempts to pass on a stop or to kill a shim, until it has ended.
const STOP_PAUSE: Duration = Duration::from_secs(2);
/// Time that a shim may need after the grace: for processes that survive KILL, and for the rest of
/// the output.
const SHIM_MARGIN: Duration = Duration::from_secs(15);
/// The pause between two searches for a shim whose lock is free.
const SHIM_PAUSE: Duration = Duration::from_millis(200);
/// The pause between two scans of the processes of an execution whose shim is not a child of this
/// hub.
const FAMILY_PAUSE: Duration = Duration::from_secs(2);
/// Ten minutes of attempts while the machine lacks a process, memory or a file.
const SHORTAGE_ATTEMPTS_MAX: u32 = 1200;
const SHORTAGE_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Watcher {
    context: Arc<Context>,
    id: ExecutionId,
    number: i64,
    directory: Directory,
    /// Cancelled when somebody has asked for the execution to stop.
    stop: CancellationToken,
    /// When the shim must have ended the execution, if the hub knows that.
    overdue: OnceLock<Instant>,
    /// Whether the hub killed the shim because it no longer reacted.
    has_hung: AtomicBool,
    /// The processes of an execution that this hub found running, as it last saw them. When
    /// somebody kills its shim, a process without the mark and outside the shim's session gets a
    /// parent that is not this hub. Only this list still finds it.
    family: Mutex<Vec<Process>>,
}

impl Watcher {
    pub fn new(context: Arc<Context>, execution: &Execution, stop: CancellationToken) -> Self {
        Self {
            directory: Directory::of(&context.settings.data_dir, execution.number),
            context,
            id: execution.id,
            number: execution.number,
            stop,
            overdue: OnceLock::new(),
            has_hung: AtomicBool::new(false),
            family: Mutex::default(),
        }
    }

    fn mark(&self) -> Mark {
        Mark { execution: self.id, data: self.context.data }
    }

    /// Starts a queued execution and watches it until its end.
    pub async fn launch(self) {
        let claimed = match self.context.service.claim_execution(self.id).await {
            Ok(claimed) => claimed,
            // It was stopped while it was queued.
            Err(ServiceError::Ended(_)) => return,
            Err(error @ ServiceError::NothingToRun) => {
                return self.settle(failed(&error), NamedArtifacts::default()).await;
            }
            Err(error) => {
                tracing::warn!(execution.id = %self.id, %error, "could not claim an execution; will try again");
                self.pause(STORE_PAUSE_MAX).await;
                return;
            }
        };
        match self.start(claimed).await {
            Ok(session) => {
                tracing::info!(execution.id = %self.id, execution.number = self.number, "execution started");
                if let Some(ended) = self.wait(session.ended()).await {
                    self.conclude(ended).await;
                }
            }
            Err(error) => {
                tracing::error!(execution.id = %self.id, %error, "could not start an execution");
                self.settle(failed(&error), NamedArtifacts::default()).await;
            }
        }
    }

    /// Continues an execution that an earlier hub started, or was about to start.
    pub async fn recover(self) {
        tracing::info!(execution.id = %self.id, execution.number = self.number, "execution found running");
        let terms = self.directory.terms();
        if let Some(Terms { protocol, .. }) = terms
            && protocol > PROTOCOL
        {
            tracing::warn!(execution.id = %self.id, protocol, "its shim is of a later version: only its end is waited for");
        }
        // No trustworthy source says how long it has run, so its time counts from now. An earlier
        // hub that wrote no terms may have had a longer default timeout than this hub. In that
        // case, if the request has no timeout either, only a stop can end a shim that hangs.
        let seconds = match terms {
            Some(terms) => Some(terms.timeout_seconds),
            None => {
                self.context.service.execution_request(self.id).await.ok().and_then(|it| it.timeout_seconds)
            }
        };
        if let Some(seconds) = seconds {
            self.expect_end(seconds);
        }
        self.conclude(Ended::Unseen).await;
    }

    async fn start(&self, claimed: Claimed) -> io::Result<Session> {
        let Claimed { execution, script, request, input } = claimed;
        let config = &self.context.config;
        let name = execution.session_name.clone();
        let timeout_seconds =
            request.timeout_seconds.unwrap_or(config.timeout_seconds).min(config.timeout_seconds_max);
        let spec = Spec {
            task_id: execution.task_id,
            execution_id: execution.id,
            session_name: execution.session_name,
            hub_url: self.context.settings.hub_url.clone(),
            env: request.env,
            cwd: request.cwd,
            roots: config.exec_root.clone(),
            log: self.context.settings.data_dir.real()?.join(&execution.log_file),
            log_bytes_max: config.log_bytes_max,
            timeout_seconds,
            grace_ms: config.grace_ms,
            open_files_max: self.context.settings.open_files_max,
            memory_bytes_max: [request.memory_bytes_max.or(config.memory_bytes), config.memory_bytes_max]
                .into_iter()
                .flatten()
                .min(),
            data: Some(self.context.data),
        };
        let directory = self.directory.clone();
        blocking(move || {
            // The log comes before the script, so that a client that is told of the start finds a
            // log.
            logs::create(&spec.log)?;
            let stdin = input.map(|task| serde_json::to_vec(&task)).transpose()?;
            directory.prepare(script.as_str(), stdin.as_deref(), &spec)
        })
        .await?;
        let program = &self.context.settings.shim_program;
        let mut attempt = 1;
        loop {
            let started =
                session::start(config.sessions, program, self.directory.clone(), &name, &self.mark()).await;
            let is_shortage = match &started {
                // If a shim started all the same, it has taken the specification.
                Ok(session) => session.lacked_something() && self.directory.is_untouched(),
                Err(error) => shim::is_shortage(error),
            };
            // The machine lacks a process or a file now. It will have some when others end.
            if !is_shortage
                || attempt == SHORTAGE_ATTEMPTS_MAX
                || !self.pause(SHORTAGE_PAUSE).await
                || self.stop.is_cancelled()
            {
                // The shim counts its timeout from its own start.
                self.expect_end(timeout_seconds);
                return started;
            }
            attempt += 1;
        }
    }

    fn expect_end(&self, timeout_seconds: u32) {
        let time_max = Duration::from_secs(timeout_seconds.into()) + self.patience();
        // Never set before: a watcher either starts an execution or recovers it.
        let _ = self.overdue.set(Instant::now() + time_max);
    }

    /// How long a shim may take to end its script, once it has to.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.context.config.grace_ms) + SHIM_MARGIN
    }

    /// Waits for an end. Meanwhile it passes on a stop and kills a shim that hangs. `None` when the
    /// hub shuts down first.
    async fn wait<F: Future>(&self, end: F) -> Option<F::Output> {
        tokio::select! {
            end = end => Some(end),
            never = self.pass_on_stop() => match never {},
            never = self.end_when_hung() => match never {},
            () = self.context.shutdown.cancelled() => None,
        }
    }

    async fn pass_on_stop(&self) -> Infallible {
        self.stop.cancelled().await;
        loop {
            let (directory, mark) = (self.directory.clone(), self.mark());
            if let Err(error) = blocking(move || session::ask_to_stop(&directory, &mark)).await {
                tracing::warn!(execution.id = %self.id, %error, "could not pass on a stop; will try again");
            }
            sleep(STOP_PAUSE).await;
        }
    }

    /// Kills a shim that obeys neither its deadline nor a stop. Somebody may have suspended it
    /// (SIGSTOP), and it would hold its slot for ever.
    async fn end_when_hung(&self) -> Infallible {
        let overdue = async {
            match self.overdue.get() {
                Some(at) => tokio::time::sleep_until(*at).await,
                None => std::future::pending().await,
            }
        };
        let unheard = async {
            self.stop.cancelled().await;
            sleep(self.patience()).await;
        };
        // Both branches only wait.
        tokio::select! {
            () = overdue => {}
            () = unheard => {}
        }
        tracing::error!(execution.id = %self.id, "a shim does not react, and is killed");
        self.has_hung.store(true, Relaxed);
        loop {
            let (directory, mark) = (self.directory.clone(), self.mark());
            if let Err(error) = blocking(move || session::kill(&directory, &mark)).await {
                tracing::warn!(execution.id = %self.id, %error, "could not kill a shim; will try again");
            }
            sleep(STOP_PAUSE).await;
        }
    }

    /// Records which processes the execution has, as long as its shim runs.
    async fn note_family(&self) -> Infallible {
        let mark = self.mark();
        let shims = blocking(move || processes::shims(&mark)).await.unwrap_or_default();
        loop {
            for shim in &shims {
                let (context, shim) = (self.context.clone(), *shim);
                let look = move || match shim.is_running() {
                    true => context.processes.descendants(shim.pid, FAMILY_PAUSE / 2),
                    // An empty answer keeps the last list.
                    false => Ok(Vec::new()),
                };
                match blocking(look).await {
                    Ok(family) if family.is_empty() => {}
                    Ok(family) => *self.family.lock().unwrap_or_else(PoisonError::into_inner) = family,
                    Err(error) => {
                        tracing::warn!(execution.id = %self.id, %error, "could not look at its processes");
                    }
                }
            }
            sleep(FAMILY_PAUSE).await;
        }
    }

    /// Waits until no shim of this execution is alive, even if its lock is free: somebody may have
    /// removed the lock file. An execution with a living shim is never `lost`.
    async fn shimless(&self) -> io::Result<()> {
        loop {
            let (directory, mark) = (self.directory.clone(), self.mark());
            let is_over =
                blocking(move || Ok(directory.read_exit().is_ok() || processes::shims(&mark)?.is_empty()));
            if is_over.await? {
                return Ok(());
            }
            sleep(SHIM_PAUSE).await;
        }
    }

    /// Waits until the shim is gone, finds out how the execution ended, and settles it.
    async fn conclude(&self, ended: Ended) {
        let gone = async {
            // Both branches only observe.
            tokio::select! {
                gone = session::gone(&self.directory) => gone,
                never = self.note_family(), if !matches!(ended, Ended::Process(_)) => match never {},
            }
        };
        let Some(lock) = self.wait(gone).await else {
            return;
        };
        let lock = match lock {
            // Something that is not a lock lies in its place.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
            lock => lock,
        };
        match self.wait(self.shimless()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(execution.id = %self.id, %error, "could not look for a shim"),
            None => return,
        }
        let (directory, id, mark) = (self.directory.clone(), self.id, self.mark());
        let ended = if self.has_hung.load(Relaxed) { Ended::Hung } else { ended };
        let adopts = self.context.config.adopts_orphans;
        let family = std::mem::take(&mut *self.family.lock().unwrap_or_else(PoisonError::into_inner));
        // The lock is held until the execution is settled and cleaned up: a late shim must not
        // start anything.
        let judged = match lock {
            Ok(lock) => {
                blocking(move || {
                    Ok((verdict(&directory, &mark, ended, adopts, &family)?, named(&directory, id), lock))
                })
                .await
            }
            Err(error) => Err(error),
        };
        match judged {
            Ok((outcome, named, _lock)) => self.settle(outcome, named).await,
            Err(error) => {
                tracing::error!(execution.id = %self.id, %error, "could not read what became of an execution; will try again");
                self.pause(STORE_PAUSE_MAX).await;
            }
        }
    }

    /// Records the outcome, retries while the store fails, and cleans up.
    async fn settle(&self, outcome: Outcome, named: NamedArtifacts) {
        let mut pause = STORE_PAUSE_MIN;
        for _ in 0..STORE_ATTEMPTS_MAX {
            let settled = self.context.service.settle_execution(self.id, outcome.clone(), named.clone());
            match settled.await {
                Ok(execution) => {
                    tracing::info!(
                        execution.id = %self.id,
                        execution.status = %execution.status,
                        duration_ms = execution.duration_ms(),
                        "execution ended"
                    );
                    return self.clean().await;
                }
                Err(ServiceError::Ended(_)) => return self.clean().await,
                Err(error) => {
                    tracing::warn!(execution.id = %self.id, %error, "could not record how an execution ended; will try again");
                }
            }
            if !self.pause(pause).await {
                return;
            }
            pause = (pause * 2).min(STORE_PAUSE_MAX);
        }
    }

    async fn clean(&self) {
        tmux::end(&self.directory).await;
        let directory = self.directory.clone();
        if let Err(error) = blocking(move || directory.clean()).await {
            tracing::warn!(execution.id = %self.id, %error, "could not clean up behind an execution");
        }
    }

    /// `false` when the hub shuts down meanwhile.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => true,
            () = self.context.shutdown.cancelled() => false,
        }
    }
}
