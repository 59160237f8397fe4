//! The audit log: who has asked for executions, and what became of tokens; written in the transaction of what it
//! tells of.

use rusqlite::{Connection, params};

use crate::domain::clock::Timestamp;
use crate::domain::text::TokenName;
use crate::domain::token::{Actor, AuditAction};

use super::StoreError;
use super::writer::Tx;

impl Tx<'_> {
    /// Notes that the actor does this to `subject`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn audit(&mut self, action: AuditAction, subject: &str, detail: &str) -> Result<(), StoreError> {
        insert(self.conn, self.now(), self.actor(), action, subject, detail)?;
        Ok(())
    }

    /// Forgets, oldest first, at most `limit` entries from before `before`. Answers how many went.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget_audit(&mut self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let removed = self
            .conn
            .prepare_cached(
                "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2)",
            )?
            .execute((before.ms(), limit as i64))?;
        Ok(removed as u64)
    }
}

pub(super) fn insert(
    conn: &Connection,
    at: Timestamp,
    actor: &Actor,
    action: AuditAction,
    subject: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO audit (at, actor, address, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        at.ms(),
        actor.token.as_ref().map(TokenName::as_str),
        actor.address.map(|address| address.to_string()),
        action.word(),
        subject,
        detail,
    ])?;
    Ok(())
}
