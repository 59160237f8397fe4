//! Damage of the database: what SQLite, or a row's checksum, has found to be wrong.

use std::sync::{Arc, OnceLock};

use super::{OfStore, StoreError};

/// What is wrong with the database, once somebody has come by it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    pub fn note(&self, words: &str) {
        if self.0.set(words.to_owned()).is_ok() {
            tracing::error!(damage = words, "the database is damaged; restore a backup");
        }
    }

    /// Notes what a failed query says of it.
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

/// Whether SQLite says that the file is to blame.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}
