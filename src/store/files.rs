//! The names of the store's files in a data directory.

use std::path::{Path, PathBuf};

const DATABASE_FILE: &str = "taskhub.db";

/// The path of the database in a data directory.
pub(super) fn database_file(dir: &Path) -> PathBuf {
    dir.join(DATABASE_FILE)
}
