//! Starting a shim, telling it to stop, and noticing that it has gone.
//!
//! A shim that this hub started is its child; the end of one that an earlier hub started shows in its lock.
//! A process id read from a file proves nothing by itself: it is believed only if the lock is still held
//! *after* a pidfd was opened for it.
//!
//! Rejected: waiting for a stranger's end with the pidfd. tokio has no safe way to wait for such a handle,
//! and a look at a lock costs microseconds.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, Command};

use super::blocking;
use super::directory::Directory;
use super::shim;

/// Between two looks at the lock of a shim that is not a child: so late may its end be noticed.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// Starts a shim for a prepared directory. It lives on when the hub ends or drops the handle. Its
/// environment is that of the script, less what the request asked for: a script can read its parent's.
pub(super) fn spawn(shim_program: &Path, directory: &Directory) -> io::Result<Child> {
    let errors = directory.open_errors()?;
    Command::new(shim_program)
        .arg0("taskhub")
        .arg("shim")
        .arg(directory.path())
        .env_clear()
        .envs(shim::inherited_environment())
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(errors.try_clone()?)
        .stderr(errors)
        .kill_on_drop(false)
        .spawn()
}

/// Tells the shim to stop its script. One that has not come far enough to hear the signal finds the file.
pub(super) fn ask_to_stop(directory: &Directory) -> io::Result<()> {
    directory.request_stop()?;
    let Some(pid) = directory.pid() else {
        return Ok(());
    };
    let handle = pidfd_open(pid, PidfdFlags::empty());
    if directory.lock()?.is_some() {
        return Ok(());
    }
    let sent = match handle {
        Ok(handle) => pidfd_send_signal(handle, Signal::TERM),
        Err(_) => kill_process(pid, Signal::TERM),
    };
    match sent {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until no shim holds the lock, and returns it: nobody can start anything there any more. `None` when
/// there is no directory at all.
///
/// # Cancel safety
/// Nothing is lost; ask again.
pub(super) async fn gone(directory: &Directory) -> io::Result<Option<File>> {
    loop {
        let place = directory.clone();
        match blocking(move || place.lock()).await {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}
