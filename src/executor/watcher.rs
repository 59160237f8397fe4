//! One execution's life as the hub sees it: claimed, started or found again, waited for, settled.
//!
//! A watcher that is cut short by a shutdown leaves everything as it is; the next hub finds the row and the
//! files and goes on from there.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::execution::{End, Execution, NamedArtifacts, Outcome};
use crate::domain::id::ExecutionId;
use crate::service::{Claimed, ServiceError};

use super::contract::Spec;
use super::directory::Directory;
use super::session::{Ended, Session};
use super::{Context, artifacts, blocking, logs, processes, session, tmux};

/// Between two attempts to write to a store that fails.
const STORE_PAUSE_MIN: Duration = Duration::from_millis(100);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// After so many the watcher gives up; the supervisor then starts over from the files.
const STORE_ATTEMPTS_MAX: u32 = 20;
/// A stop is told again this often, until it has worked.
const STOP_PAUSE: Duration = Duration::from_secs(2);
/// Processes of a lost execution are looked for and killed until none is found, at most so often.
const KILL_ROUNDS_MAX: u32 = 50;
const KILL_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Watcher {
    context: Arc<Context>,
    id: ExecutionId,
    number: i64,
    directory: Directory,
    /// Cancelled when somebody has asked for the execution to stop.
    stop: CancellationToken,
}

impl Watcher {
    pub fn new(context: Arc<Context>, execution: &Execution, stop: CancellationToken) -> Self {
        Self {
            directory: Directory::of(&context.settings.data_dir, execution.number),
            context,
            id: execution.id,
            number: execution.number,
            stop,
        }
    }

    /// Starts a queued execution and sees it through.
    pub async fn launch(self) {
        let claimed = match self.context.service.claim_execution(self.id).await {
            Ok(claimed) => claimed,
            // Stopped while it was queued.
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

    /// Finds an execution again that an earlier hub started, or was about to.
    pub async fn recover(self) {
        tracing::info!(execution.id = %self.id, execution.number = self.number, "execution found running");
        self.conclude(Ended::Unseen).await;
    }

    async fn start(&self, claimed: Claimed) -> io::Result<Session> {
        let Claimed { execution, script, request, input } = claimed;
        let config = &self.context.config;
        let name = execution.session_name.clone();
        let spec = Spec {
            task_id: execution.task_id,
            execution_id: execution.id,
            session_name: execution.session_name,
            hub_url: self.context.settings.hub_url.clone(),
            env: request.env,
            cwd: request.cwd,
            roots: config.exec_root.clone(),
            log: self.context.settings.data_dir.join(&execution.log_file),
            log_bytes_max: config.log_bytes_max,
            timeout_seconds: request
                .timeout_seconds
                .unwrap_or(config.timeout_seconds)
                .min(config.timeout_seconds_max),
            grace_ms: config.grace_ms,
            open_files_max: self.context.settings.open_files_max,
            memory_bytes_max: [request.memory_bytes_max.or(config.memory_bytes), config.memory_bytes_max]
                .into_iter()
                .flatten()
                .min(),
        };
        let directory = self.directory.clone();
        blocking(move || {
            // Before the script, so that whoever heard of the start finds a log.
            logs::create(&spec.log)?;
            let stdin = input.map(|task| serde_json::to_vec(&task)).transpose()?;
            directory.prepare(script.as_str(), stdin.as_deref(), &spec)
        })
        .await?;
        let program = &self.context.settings.shim_program;
        session::start(config.sessions, program, self.directory.clone(), &name).await
    }

    /// Waits for an end, passing on a stop meanwhile. `None` when the hub shuts down first.
    async fn wait<F: Future>(&self, end: F) -> Option<F::Output> {
        tokio::select! {
            end = end => Some(end),
            never = self.pass_on_stop() => match never {},
            () = self.context.shutdown.cancelled() => None,
        }
    }

    async fn pass_on_stop(&self) -> Infallible {
        self.stop.cancelled().await;
        loop {
            let directory = self.directory.clone();
            if let Err(error) = blocking(move || session::ask_to_stop(&directory)).await {
                tracing::warn!(execution.id = %self.id, %error, "could not pass on a stop; will try again");
            }
            sleep(STOP_PAUSE).await;
        }
    }

    /// Waits until its shim is gone, finds out what became of the execution, and settles it.
    async fn conclude(&self, ended: Ended) {
        let Some(lock) = self.wait(session::gone(&self.directory)).await else {
            return;
        };
        let (directory, id) = (self.directory.clone(), self.id);
        // Held until all is settled and clean: a shim that comes late must not start anything.
        let judged = match lock {
            Ok(lock) => {
                blocking(move || Ok((verdict(&directory, id, ended)?, named(&directory, id), lock))).await
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

    /// Records the outcome, however long the store takes, and cleans up.
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

/// What became of an execution whose shim is gone. Without a result, whatever is left of it is killed.
fn verdict(directory: &Directory, id: ExecutionId, ended: Ended) -> io::Result<Outcome> {
    match directory.read_exit() {
        Ok(exit) => return Ok(exit.outcome()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Not what a shim writes: as good as none.
        Err(error) if error.kind() == ErrorKind::InvalidData => {}
        Err(error) => return Err(error),
    }
    let complaint = directory.errors().unwrap_or_default();
    tracing::warn!(execution.id = %id, shim.ended = ?ended, shim.errors = complaint, "a shim left no result");
    if directory.is_untouched() {
        match &ended {
            Ended::Process(status) => return Ok(failed(&format!("its shim ended with {status}"))),
            Ended::Tmux(Some(error)) => return Ok(failed(error)),
            Ended::Tmux(None) => return Ok(failed(&"its shim ended before it had begun")),
            Ended::Unseen => {}
        }
    }
    kill_rest(id)?;
    Ok(lost(match ended {
        Ended::Process(status) => format!("the process that watched over it ended with {status}"),
        Ended::Tmux(_) => "the process that watched over it ended without a result".into(),
        Ended::Unseen => "the process that watched over it ended, and the hub was not there to see it".into(),
    }))
}

/// What the script named, whatever became of it: it is there.
fn named(directory: &Directory, id: ExecutionId) -> NamedArtifacts {
    match artifacts::read(&directory.artifacts()) {
        Ok(named) => named,
        Err(error) if error.kind() == ErrorKind::NotFound => NamedArtifacts::default(),
        Err(error) => {
            tracing::info!(execution.id = %id, %error, "what a script named as artifacts cannot be read");
            NamedArtifacts { refused: 1, ..NamedArtifacts::default() }
        }
    }
}

fn kill_rest(id: ExecutionId) -> io::Result<()> {
    for _ in 0..KILL_ROUNDS_MAX {
        let rest = processes::marked(id)?;
        if rest.is_empty() {
            break;
        }
        for process in rest {
            process.signal(Signal::KILL);
        }
        std::thread::sleep(KILL_PAUSE);
    }
    Ok(())
}

fn failed(error: &dyn std::fmt::Display) -> Outcome {
    Outcome {
        end: End::Failed,
        exit_code: None,
        reason: Some(format!("could not start: {error}")),
        ended_at: None,
    }
}

fn lost(reason: String) -> Outcome {
    Outcome { end: End::Lost, exit_code: None, reason: Some(reason), ended_at: None }
}
