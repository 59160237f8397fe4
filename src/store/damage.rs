//! Damage of the database: the first thing that SQLite or a row's checksum found to be wrong.

use std::sync::{Arc, OnceLock};

use super::{OfStore, StoreError};

/// What is wrong with the database, once somebody has noticed it. Clones share the finding.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    pub fn note(&self, words: &str) {
        if self.0.set(words.to_owned()).is_ok() {
            tracing::error!(damage = words, "the database is damaged; restore a backup");
        }
    }

    /// Records the damage that a failed query reports, if it reports any.
    pub fn note_of<T, E: OfStore>(&self, result: &Result<T, E>) {
        if let Err(error) = result
            && let Some(StoreError::Damaged(words)) = error.of_store()
        {
            self.note(words);
        }
    }

    pub fn words(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Whether SQLite says that the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}
