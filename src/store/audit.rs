//! The audit log: who asked for executions and stops, and who made or revoked tokens. Each entry is
//! written in the same transaction as the action.

use rusqlite::{Connection, params};

use crate::domain::clock::Timestamp;
use crate::domain::text::TokenName;
use crate::domain::token::{Actor, AuditAction};

use super::StoreError;
use super::tx::Tx;

impl Tx<'_> {
    /// Records that the actor performs this action on `subject`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn audit(&mut self, action: AuditAction, subject: &str, detail: &str) -> Result<(), StoreError> {
        insert(self.conn, self.now(), self.actor(), action, subject, detail)?;
        Ok(())
    }

    /// Removes at most `limit` entries that are older than `before`, oldest first. Answers how many
    /// it removed.
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
