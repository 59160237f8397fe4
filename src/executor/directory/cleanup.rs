//! Cleaning up behind executions: what is left of one that has ended, and of those that an earlier hub left.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Directory, WORK, all};

impl Directory {
    /// Removes everything but a `work` that holds something.
    pub fn clean(&self) -> io::Result<()> {
        // Whatever a script has put in its place: nothing is cleaned elsewhere.
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
                // Refused when it is not empty, which is what is wanted.
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

/// Cleans up behind executions that have ended: a hub may have died between settling and cleaning. A directory that
/// cannot be cleaned keeps nobody from cleaning the others.
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
