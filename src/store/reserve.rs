//! The reserve: room on the disk for a start when the disk is full.
//!
//! SQLite needs a few pages for the index of its write-ahead log to open a database, even only to
//! read it. So the hub keeps a file of [`BYTES`] that nobody reads. When a hub finds the disk full,
//! it removes this file, opens the database in the room that this frees, and serves readers. It
//! writes nothing until there is room for the file again.
//!
//! Rejected: SQLite's `unix-excl`, which keeps the index in memory. It locks out backup programs.
//!
//! Rejected: a database opened as immutable. It does not show what is in the write-ahead log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::private;

const FILE: &str = "taskhub.reserve";
/// Twice what a start needs: 32 KiB for the index, and some pages of the log.
const BYTES: u64 = 128 << 10;
/// How often the hub tries to take the room again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Whether the disk has less free room than a start needs.
pub(super) fn is_needed(dir: &Path) -> bool {
    room(dir).is_some_and(|room| room < BYTES)
}

/// The free bytes on the disk of `path`. `None` when the system does not say.
pub(super) fn room(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail * disk.f_frsize)
}

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// When the hub last tried to take the room again. `None` unless it gave the room up.
    given_up: Option<Instant>,
}

impl Reserve {
    pub fn of(dir: &Path) -> Self {
        Self { path: dir.join(FILE), given_up: None }
    }

    /// Removes the file. Answers whether there was one.
    pub fn give_up(&mut self) -> bool {
        let given_up = std::fs::remove_file(&self.path).is_ok();
        if given_up {
            self.given_up = Some(Instant::now());
        }
        given_up
    }

    /// Makes the file, unless it exists. A failure is only a warning: the hub can work until the
    /// disk is full.
    pub fn take(&mut self) {
        if let Err(error) = allocate(&self.path) {
            tracing::warn!(error = %error, "there is no room to keep for a start on a full disk");
        }
    }

    /// Whether the hub must not write: it gave the room up and cannot have it again.
    pub fn is_missing(&mut self) -> bool {
        let Some(tried) = self.given_up else {
            return false;
        };
        if tried.elapsed() >= RETRY_EVERY {
            self.given_up = match allocate(&self.path) {
                Ok(()) => {
                    tracing::info!("there is room on the disk again: changes are taken");
                    None
                }
                Err(_) => Some(Instant::now()),
            };
        }
        self.given_up.is_some()
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file = private::open(path)?;
    if file.metadata()?.len() == BYTES {
        return Ok(());
    }
    let allocated = match fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
        // The file system does not support this call.
        Err(rustix::io::Errno::OPNOTSUPP) => write(&file),
        allocated => allocated.map_err(io::Error::from),
    };
    if allocated.is_err() {
        // Frees the part that was allocated, so that others can use it.
        let _ = std::fs::remove_file(path);
    }
    allocated
}

fn write(file: &File) -> io::Result<()> {
    file.write_all_at(&vec![0; BYTES as usize], 0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_missing_until_it_is_there_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut reserve = Reserve::of(directory.path());
        assert!(!reserve.give_up(), "there was none");
        reserve.take();
        reserve.take();
        assert_eq!(std::fs::metadata(directory.path().join(FILE)).expect("there").len(), BYTES);
        assert!(!reserve.is_missing());
        assert!(reserve.give_up() && reserve.is_missing(), "it is not tried at once");
        reserve.given_up = Instant::now().checked_sub(RETRY_EVERY);
        assert!(!reserve.is_missing());
        assert_eq!(std::fs::metadata(directory.path().join(FILE)).expect("there").len(), BYTES);
    }
}
