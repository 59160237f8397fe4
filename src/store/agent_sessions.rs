//! The rows of agents' sessions: which task stands for each.

use rusqlite::{OptionalExtension, params};

use crate::domain::agent_session::AgentSessionId;
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;

use super::StoreError;
use super::reader::View;
use super::tx::Tx;

/// A session that has a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSession {
    pub task: TaskId,
    /// Whether a prompt has given the task its title.
    pub prompted: bool,
}

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn agent_session(
        &self,
        project: &ProjectName,
        id: &AgentSessionId,
    ) -> Result<Option<KnownSession>, StoreError> {
        let sql = "SELECT task_id, prompted FROM agent_sessions WHERE project = ?1 AND session = ?2";
        let known = self.conn.prepare_cached(sql)?.query_row(params![project.as_str(), id.as_str()], |row| {
            Ok(KnownSession { task: TaskId::from_uuid(row.get(0)?), prompted: row.get(1)? })
        });
        Ok(known.optional()?)
    }
}

impl Tx<'_> {
    /// Writes which task a session has now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn put_agent_session(
        &mut self,
        project: &ProjectName,
        id: &AgentSessionId,
        known: KnownSession,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO agent_sessions (project, session, task_id, prompted) VALUES (?1, ?2, ?3, ?4)";
        let KnownSession { task, prompted } = known;
        let values = params![project.as_str(), id.as_str(), task.uuid(), prompted];
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_agent_sessions(&mut self, task: TaskId) -> Result<(), StoreError> {
        let sql = "DELETE FROM agent_sessions WHERE task_id = ?1";
        self.conn.prepare_cached(sql)?.execute([task.uuid()])?;
        Ok(())
    }
}
