//! What creates with an `Idempotency-Key` have answered.

use rusqlite::{OptionalExtension, params};

use crate::domain::clock::Timestamp;
use crate::domain::task::Task;

use super::StoreError;
use super::reader::View;
use super::writer::Tx;

/// An earlier request with the same key.
#[derive(Debug, Clone)]
pub struct Repetition {
    /// SHA-256 of the earlier request.
    pub fingerprint: Vec<u8>,
    /// What it was answered.
    pub task: Task,
}

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn repetition(&self, key: &str) -> Result<Option<Repetition>, StoreError> {
        let row: Option<(Vec<u8>, String)> = self
            .conn
            .prepare_cached("SELECT fingerprint, task FROM idempotency WHERE key = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((fingerprint, text)) = row else {
            return Ok(None);
        };
        let task = serde_json::from_str(&text)
            .map_err(|error| StoreError::Corrupt(format!("answer to a repetition: {error}")))?;
        Ok(Some(Repetition { fingerprint, task }))
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`], also when the key is known.
    pub fn remember(&mut self, key: &str, fingerprint: &[u8], task: &Task) -> Result<(), StoreError> {
        let answer = serde_json::to_string(task).expect("a task is always JSON");
        self.conn
            .prepare_cached(
                "INSERT INTO idempotency (key, fingerprint, task, created_at) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![key, fingerprint, answer, self.now().ms()])?;
        Ok(())
    }

    /// Forgets, oldest first, at most `limit` keys from before `before`. Answers how many went.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget(&mut self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let removed = self
            .conn
            .prepare_cached(
                "DELETE FROM idempotency WHERE key IN
                    (SELECT key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
            )?
            .execute((before.ms(), limit as i64))?;
        Ok(removed as u64)
    }
}
