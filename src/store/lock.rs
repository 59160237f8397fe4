//! The locks of a data directory. They allow one hub at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::identity::FileId;
use super::open_error::OpenError;
use super::private;

pub(super) const LOCK_FILE: &str = "taskhub.lock";
/// How long the hub waits for a lock, and the pause between two attempts.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The locks that keep a second hub out. The kernel releases both when the process ends, however it
/// ends.
#[derive(Debug)]
pub(super) struct Locks {
    /// Taken before anything looks at the database.
    pub _directory: File,
    /// A lock on the database itself, because somebody can remove a lock file. It is of another
    /// kind than SQLite's own locks. Close it after SQLite's connections: when a process closes any
    /// descriptor of a file, the kernel releases SQLite's locks on it.
    pub _database: File,
}

/// Makes the directory and takes its lock. Only this user can open the directory, because it holds
/// scripts, logs and environments.
pub(super) fn claim(dir: &Path, lock_file: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let unusable = |source| OpenError::Directory { path: dir.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
    loop {
        let lock = take(dir, lock_file)?;
        let own = lock.metadata().map(|it| FileId::of(&it)).map_err(unusable)?;
        // Somebody may have removed the file after the open and before the lock. Then this lock
        // keeps nobody out.
        if FileId::at(lock_file).is_ok_and(|there| there == own) {
            return Ok(lock);
        }
    }
}

/// Opens a file for this user alone, makes it when it is missing, and locks it. SQLite gives the
/// files beside a database the same permissions.
pub(super) fn take(dir: &Path, path: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { path: dir.to_owned(), source };
    let lock = private::open(path).map_err(unusable)?;
    let asked = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // A hub that was starting a child process when it ended leaves its lock to the child
            // for a moment.
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE)
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}
