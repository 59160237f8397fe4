//! The error of opening a data directory.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::StoreError;

/// Why a data directory could not be opened, in words for the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("cannot use the data directory {}; name a writable one with --data-dir", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("there is no TaskHub in {}; name its directory with --data-dir", .0.display())]
    Nothing(PathBuf),
    #[error("another TaskHub is using the data directory {}; stop it, or name another with --data-dir", .0.display())]
    InUse(PathBuf),
    #[error(
        "{} was written by a newer TaskHub (schema {found}, this one knows {known}); run that version or name another --data-dir",
        path.display()
    )]
    NewerSchema { path: PathBuf, found: i32, known: i32 },
    #[error(
        "the hub that is using {} is of another version than this program; use its own",
        .0.display()
    )]
    OtherVersion(PathBuf),
    #[error("{} is not a TaskHub database; move it away or name another --data-dir", .0.display())]
    Foreign(PathBuf),
    #[error(
        "{} is damaged; restore a copy of it, or move it away (`sqlite3 FILE .recover` saves what can be read)",
        .0.display()
    )]
    Damaged(PathBuf),
    #[error("cannot bring {} to this version's schema", path.display())]
    Migration { path: PathBuf, source: refinery::Error },
    #[error("cannot open {}", path.display())]
    Database { path: PathBuf, source: StoreError },
}
