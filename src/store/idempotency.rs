//! The answers to requests with an `Idempotency-Key`.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::clock::Timestamp;

use super::StoreError;
use super::reader::View;
use super::tx::Tx;

/// An earlier request with the same key.
#[derive(Debug, Clone)]
pub struct Repetition<T> {
    /// SHA-256 of the earlier request.
    pub fingerprint: Vec<u8>,
    /// The earlier answer. `None` when it does not read as this type.
    pub answer: Option<T>,
}

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn repetition<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Repetition<T>>, StoreError> {
        let row: Option<(Vec<u8>, String)> = self
            .conn
            .prepare_cached("SELECT fingerprint, task FROM idempotency WHERE key = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(row
            .map(|(fingerprint, text)| Repetition { fingerprint, answer: serde_json::from_str(&text).ok() }))
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`], also when the key exists already.
    pub fn remember<T: Serialize>(
        &mut self,
        key: &str,
        fingerprint: &[u8],
        answer: &T,
    ) -> Result<(), StoreError> {
        let answer = serde_json::to_string(answer).expect("an answer is always JSON");
        self.conn
            .prepare_cached(
                "INSERT INTO idempotency (key, fingerprint, task, created_at) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![key, fingerprint, answer, self.now().ms()])?;
        Ok(())
    }

    /// Removes at most `limit` keys that are older than `before`, oldest first. Answers how many it
    /// removed.
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
