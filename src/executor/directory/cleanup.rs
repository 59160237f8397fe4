//! Removes what ended executions left in their directories, also those of an earlier hub.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Directory, WORK, all};

impl Directory {
    /// Removes everything but a `work` that is not empty.
    pub fn clean(&self) -> io::Result<()> {
        // A script may have replaced the directory. Nothing outside is removed.
        if self.0.symlink_metadata().is_ok_and(|it| !it.is_dir()) {
            return fs::remove_file(&self.0);
        }
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name() == WORK {
                // Fails when it is not empty, as intended.
                let _ = fs::remove_dir(entry.path());
            } else if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                match fs::remove_file(entry.path()) {
                    // tmux removes its socket by itself.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
        }
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }
}

/// Cleans up ended executions: a hub may have died between settling and cleaning. A directory that
/// fails does not keep the others from being cleaned.
pub(in super::super) fn sweep(data_dir: &Path, live: &HashSet<i64>) -> io::Result<()> {
    for entry in fs::read_dir(all(data_dir))? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number| !live.contains(number)) else {
            continue;
        };
        let directory = Directory::of(data_dir, number);
        let swept = match directory.lock() {
            Ok(Some(_lock)) => directory.clean(),
            Ok(None) => Ok(()),
            Err(error) if error.kind() == ErrorKind::InvalidData => directory.set_aside(&error),
            // A file in place of the directory.
            Err(error) if error.kind() == ErrorKind::NotADirectory => directory.clean(),
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::warn!(execution.number = number, %error, "could not clean up behind an earlier execution");
        }
    }
    Ok(())
}
