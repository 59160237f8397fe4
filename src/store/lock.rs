//! The locks of a data directory: one hub at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::identity::FileId;
use super::open_error::OpenError;
use super::private;

pub(super) const LOCK_FILE: &str = "taskhub.lock";
/// How long a lock is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What keeps a second hub out. Both are released by the kernel when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Locks {
    /// Taken before the database is looked at.
    pub _directory: File,
    /// On the database itself: a lock file can be removed. Apart from SQLite's own locks, which are of another kind. To be
    /// closed after SQLite's connections, since closing any descriptor of a file releases those.
    pub _database: File,
}

/// Makes the directory, for this user alone (it holds scripts, logs and environments), and takes its lock.
pub(super) fn claim(dir: &Path, lock_file: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let unusable = |source| OpenError::Directory { path: dir.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
    loop {
        let lock = take(dir, lock_file)?;
        let own = lock.metadata().map(|it| FileId::of(&it)).map_err(unusable)?;
        // Somebody may have removed the file between the opening and the locking: then the lock is nobody's.
        if FileId::at(lock_file).is_ok_and(|there| there == own) {
            return Ok(lock);
        }
    }
}

/// Locks a file, which is made when it is missing: for this user alone, and so is what SQLite puts beside a database.
pub(super) fn take(dir: &Path, path: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { path: dir.to_owned(), source };
    let lock = private::open(path).map_err(unusable)?;
    let asked = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // A hub that was starting a process as it ended leaves its lock to that for a moment.
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE)
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}
