//! Starting a shim, telling it to stop, and noticing that it has gone.
//!
//! A shim that this hub started as a plain process is its child; the end of one that an earlier hub or tmux started shows
//! in its lock.
//! A process id read from a file proves nothing by itself: it is believed only if the lock is still held
//! *after* a pidfd was opened for it.
//!
//! Rejected: waiting for a stranger's end with the pidfd. tokio has no safe way to wait for such a handle,
//! and a look at a lock costs microseconds.

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

/// Between two looks at the lock of a shim that is not a child: so late may its end be noticed. Longer and longer, so that
/// short executions do not wait for it and long ones cost nothing.
const LOCK_PAUSE_MIN: Duration = Duration::from_millis(5);
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(200);

/// Time for a shim in tmux to come as far as reading its specification, on a machine that is busy. One that comes later
/// finds the lock taken.
const BEGIN_PATIENCE: Duration = Duration::from_secs(30);
const BEGIN_PAUSE: Duration = Duration::from_millis(5);

/// A shim that was started.
pub(super) enum Session {
    Process(Child),
    Tmux {
        directory: Directory,
        /// Its process, or why tmux named none.
        shim: io::Result<Option<Pid>>,
    },
}

/// What this hub saw of a shim's end.
#[derive(Debug)]
pub(super) enum Ended {
    Process(ExitStatus),
    /// It has begun or never will. Why, if tmux said so.
    Tmux(Option<io::Error>),
    /// An earlier hub started it.
    Unseen,
    /// It did nothing any more, and was killed.
    Hung,
}

impl Session {
    /// Whether it could not be started since the machine had nothing to give. A later attempt may be made: should a shim of
    /// this one come all the same, only one of them gets the lock, and what is to be run.
    pub fn lacked_something(&self) -> bool {
        matches!(self, Self::Tmux { shim: Err(error), .. } if tmux::is_shortage(error))
    }

    /// Waits for as much of its end as can be seen from here; the rest shows in the lock.
    pub async fn ended(self) -> Ended {
        match self {
            Self::Process(mut child) => child.wait().await.map_or(Ended::Unseen, Ended::Process),
            Self::Tmux { shim: Err(error), .. } => Ended::Tmux(Some(error)),
            Self::Tmux { directory, shim: Ok(pid) } => {
                let until = Instant::now() + BEGIN_PATIENCE;
                // The number may be a stranger's by then: that is waited for in vain, but not for ever.
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

/// Starts a shim for a prepared directory. It lives on when the hub ends or drops the answer.
///
/// # Errors
/// When nothing was started for certain.
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

/// Its environment is that of the script, less what the request asked for: a script can read its parent's.
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

/// Tells the shim to stop its script. One that has not come far enough to hear the signal finds the file. On a full disk
/// there is no file, and the signal must do.
pub(super) fn ask_to_stop(directory: &Directory, mark: &Mark) -> io::Result<()> {
    let noted = directory.request_stop();
    match signal(directory, mark, Signal::TERM)? {
        true => Ok(()),
        false => noted,
    }
}

/// Kills a shim, whatever it is doing.
pub(super) fn kill(directory: &Directory, mark: &Mark) -> io::Result<()> {
    signal(directory, mark, Signal::KILL)?;
    for shim in processes::shims(mark)? {
        shim.signal(Signal::KILL);
    }
    Ok(())
}

/// Whether there was a shim to be signalled. It is found by the number that it has left, or, when somebody has removed
/// that, by its mark.
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
    // One that has not read its specification has not left its number yet, and does not hear a signal either.
    if directory.is_untouched() {
        return Ok(false);
    }
    let shims = processes::shims(mark)?;
    for shim in &shims {
        shim.signal(signal);
    }
    Ok(!shims.is_empty())
}

/// Waits until no shim holds the lock, and returns it: nobody can start anything there any more. `None` when
/// there is no directory at all.
///
/// # Cancel safety
/// Nothing is lost; ask again.
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

/// The sessions of executions, for those who want to look into one.
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

    /// The command that attaches a terminal to a running execution. Whatever the sessions of this hub are, an earlier
    /// one may have started it in another kind.
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
            // What is answered can be typed anywhere.
            let command = directory.absolute().ok().and_then(|place| tmux::attach_command(&place, &name));
            // Who has left its number holds the lock until its end: looking at it keeps nobody from taking it.
            let runs = directory.pid().is_some() && directory.lock()?.is_none();
            Ok((command, runs))
        });
        match (found.await, self.kind) {
            (Ok((Some(command), _)), _) => Ok(command),
            // Its shim is at work, without a socket.
            (Ok((None, true)), _) | (_, SessionKind::Process) => Err(NotAttachable::PlainProcess),
            (_, SessionKind::Tmux) => Err(NotAttachable::Changing),
        }
    }
}
