//! Starts a shim, tells it to stop, and notices its end.
//!
//! A shim that this hub started as a plain process is its child. When an earlier hub or tmux
//! started the shim, this hub sees its end only by the lock. A process id that comes from a file
//! proves nothing. The hub trusts it only if the lock is still held *after* the hub opened a pidfd
//! for it.
//!
//! Rejected: waiting with the pidfd for a shim that is not a child. tokio has no safe way to wait
//! for such a handle, and a check of the lock costs microseconds.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal, test_kill_process,
};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::config::SessionKind;
use crate::data_dir::DataDir;
use crate::domain::execution::{Execution, ExecutionStatus};

use super::blocking::blocking;
use super::directory::Directory;
use super::processes::Mark;
use super::program::ShimProgram;
use super::{processes, shim, tmux};

/// The pause between two checks of the lock of a shim that is not a child. It bounds how late the
/// hub notices the end. The pause grows, so that short executions end promptly and long ones cost
/// nothing.
const LOCK_PAUSE_MIN: Duration = Duration::from_millis(5);
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(200);

/// How long to wait until a shim in tmux reads its specification, on a busy machine. A later shim
/// finds the lock taken.
const BEGIN_PATIENCE: Duration = Duration::from_secs(30);
const BEGIN_PAUSE: Duration = Duration::from_millis(5);

/// A shim that was started.
pub(super) enum Session {
    Process(Child),
    Tmux {
        directory: Directory,
        /// The process of the shim as tmux printed it, or why tmux failed.
        shim: io::Result<Option<Pid>>,
    },
}

/// How much this hub saw of a shim's end.
#[derive(Debug)]
pub(super) enum Ended {
    Process(ExitStatus),
    /// The shim has read its specification, or never will. Holds tmux's error, if there was one.
    Tmux(Option<io::Error>),
    /// An earlier hub started it.
    Unseen,
    /// The shim no longer reacted, and the hub killed it.
    Hung,
}

impl Session {
    /// Whether the machine lacked a process, memory or a file to start it. The caller may try
    /// again. If a shim of the failed attempt appears later all the same, only one of the two gets
    /// the lock and the specification.
    pub fn lacked_something(&self) -> bool {
        matches!(self, Self::Tmux { shim: Err(error), .. } if tmux::is_shortage(error))
    }

    /// Waits for the part of the end that this process can see. The lock shows the rest.
    pub async fn ended(self) -> Ended {
        match self {
            Self::Process(mut child) => child.wait().await.map_or(Ended::Unseen, Ended::Process),
            Self::Tmux { shim: Err(error), .. } => Ended::Tmux(Some(error)),
            Self::Tmux { directory, shim: Ok(pid) } => {
                let until = Instant::now() + BEGIN_PATIENCE;
                // Another process may have this id by now. The deadline ends the wait in that case.
                while directory.is_untouched()
                    && pid.is_some_and(|pid| test_kill_process(pid).is_ok())
                    && Instant::now() < until
                {
                    tokio::time::sleep(BEGIN_PAUSE).await;
                }
                Ended::Tmux(None)
            }
        }
    }
}

/// Starts a shim for a prepared directory. The shim lives on when the hub ends or drops the result.
///
/// # Errors
/// Only when it is certain that nothing was started.
pub(super) async fn start(
    kind: SessionKind,
    shim_program: &ShimProgram,
    directory: Directory,
    name: &str,
    mark: &Mark,
) -> io::Result<Session> {
    match kind {
        SessionKind::Process => Ok(Session::Process(spawn(&shim_program.for_child(), &directory, mark)?)),
        SessionKind::Tmux => {
            let place = directory.absolute()?;
            let shim = tmux::begin(&shim_program.for_others(&place)?, &place, name, mark).await;
            Ok(Session::Tmux { directory, shim })
        }
    }
}

/// The shim gets the script's environment without the variables of the request: a script can read
/// the environment of its parent.
fn spawn(shim_program: &Path, directory: &Directory, mark: &Mark) -> io::Result<Child> {
    let errors = directory.open_errors()?;
    let directory = directory.absolute()?;
    Command::new(shim_program)
        .arg0("taskhub")
        .arg("shim")
        .arg(directory.path())
        .env_clear()
        .envs(shim::inherited_environment())
        .envs([mark.of_shim()])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(errors.try_clone()?)
        .stderr(errors)
        .kill_on_drop(false)
        .spawn()
}

/// Tells the shim to stop its script, by a file and a signal. A shim that has no signal handlers
/// yet finds the file. On a full disk the file cannot be made, and the signal must be enough.
pub(super) fn ask_to_stop(directory: &Directory, mark: &Mark) -> io::Result<()> {
    let noted = directory.request_stop();
    match signal(directory, mark, Signal::TERM)? {
        true => Ok(()),
        false => noted,
    }
}

/// Kills a shim, whatever its state.
pub(super) fn kill(directory: &Directory, mark: &Mark) -> io::Result<()> {
    signal(directory, mark, Signal::KILL)?;
    for shim in processes::shims(mark)? {
        shim.signal(Signal::KILL);
    }
    Ok(())
}

/// Sends a signal to the shim; answers whether there was one. Finds the shim by its `pid` file, or
/// by its mark when somebody has removed that file.
fn signal(directory: &Directory, mark: &Mark, signal: Signal) -> io::Result<bool> {
    if let Some(pid) = directory.pid() {
        let handle = pidfd_open(pid, PidfdFlags::empty());
        if directory.lock().is_ok_and(|lock| lock.is_none()) {
            let sent = match handle {
                Ok(handle) => pidfd_send_signal(handle, signal),
                Err(_) => kill_process(pid, signal),
            };
            return match sent {
                Ok(()) | Err(Errno::SRCH) => Ok(true),
                Err(error) => Err(error.into()),
            };
        }
    }
    // The shim is still starting: it has not written its `pid`, and may have no signal handlers
    // yet. It will find the `stop` file.
    if directory.is_untouched() {
        return Ok(false);
    }
    let shims = processes::shims(mark)?;
    for shim in &shims {
        shim.signal(signal);
    }
    Ok(!shims.is_empty())
}

/// Waits until no shim holds the lock, and returns the lock: from then on no shim can start
/// anything there. `None` when the directory does not exist.
///
/// # Cancel safety
/// Dropping the future loses nothing; call it again.
pub(super) async fn gone(directory: &Directory) -> io::Result<Option<File>> {
    let mut pause = LOCK_PAUSE_MIN;
    loop {
        let place = directory.clone();
        match blocking(move || place.lock()).await {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) => tokio::time::sleep(pause).await,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        pause = (pause * 3 / 2).min(LOCK_PAUSE_MAX);
    }
}

/// Finds the session of an execution, for a person who wants to attach to it.
#[derive(Debug, Clone)]
pub struct Sessions {
    data_dir: DataDir,
    kind: SessionKind,
}

/// Why nobody can attach to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAttachable {
    #[error("the execution has ended: {0}")]
    Ended(ExecutionStatus),
    #[error("the execution is queued and has no session yet")]
    Queued,
    #[error("the execution's session is just beginning or ending")]
    Changing,
    #[error("the execution runs as a plain process, without a session to attach to")]
    PlainProcess,
}

impl Sessions {
    pub fn new(data_dir: DataDir, kind: SessionKind) -> Self {
        Self { data_dir, kind }
    }

    /// The command that attaches a terminal to a running execution. An earlier hub may have started
    /// the execution in another kind of session than this hub uses.
    ///
    /// # Errors
    /// [`NotAttachable`]
    pub async fn attach_command(&self, execution: &Execution) -> Result<String, NotAttachable> {
        match execution.status {
            ExecutionStatus::Running => {}
            ExecutionStatus::Queued => return Err(NotAttachable::Queued),
            ended => return Err(NotAttachable::Ended(ended)),
        }
        let directory = Directory::of(&self.data_dir, execution.number);
        let name = execution.session_name.clone();
        let found = blocking(move || {
            // An absolute path, so that the command works in any directory.
            let command = directory.absolute().ok().and_then(|place| tmux::attach_command(&place, &name));
            // A shim writes its `pid` after it took the lock and holds the lock until its end. So
            // this check cannot keep a starting shim from taking the lock.
            let runs = directory.pid().is_some() && directory.lock()?.is_none();
            Ok((command, runs))
        });
        match (found.await, self.kind) {
            (Ok((Some(command), _)), _) => Ok(command),
            // The shim runs and has no socket.
            (Ok((None, true)), _) | (_, SessionKind::Process) => Err(NotAttachable::PlainProcess),
            (_, SessionKind::Tmux) => Err(NotAttachable::Changing),
        }
    }
}
