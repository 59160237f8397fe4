//! Where the files of a data directory are.

use std::path::{Path, PathBuf};

const DATABASE_FILE: &str = "taskhub.db";

/// Where the database of a data directory is.
pub(super) fn database_file(dir: &Path) -> PathBuf {
    dir.join(DATABASE_FILE)
}
