//! Rows of dependencies: which tasks wait for a task. What a task waits for is in its own row (`blocked_by`).

use crate::domain::id::TaskId;

use super::StoreError;
use super::reader::View;
use super::tasks::from_json;
use super::tx::Tx;

impl View<'_> {
    /// Whether one of these tasks exists and is not `done`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn any_unfinished(&self, ids: &[TaskId]) -> Result<bool, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT 1 FROM tasks WHERE id = ?1 AND status <> 'done'")?;
        for id in ids {
            if statement.exists([id.uuid()])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a task waits for; nothing when there is no such task.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn blockers(&self, id: TaskId) -> Result<Vec<TaskId>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT blocked_by FROM tasks WHERE id = ?1")?;
        let mut found = statement.query_map([id.uuid()], |row| from_json(row, 0))?;
        Ok(found.next().transpose()?.unwrap_or_default())
    }

    /// The tasks that wait for this one and have not begun, oldest first. No other can become ready, or cease to be.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn dependents(&self, blocker: TaskId) -> Result<Vec<TaskId>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT tasks.id FROM dependencies JOIN tasks ON tasks.id = task_id
             WHERE blocker = ?1 AND tasks.status = 'todo'
             ORDER BY created_at, tasks.id",
        )?;
        let found = statement.query_map([blocker.uuid()], |row| row.get(0).map(TaskId::from_uuid))?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// How many tasks wait for this one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn dependent_count(&self, blocker: TaskId) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM dependencies WHERE blocker = ?1";
        let count: i64 = self.conn.prepare_cached(sql)?.query_row([blocker.uuid()], |row| row.get(0))?;
        Ok(count.unsigned_abs() as usize)
    }
}

impl Tx<'_> {
    /// Records that a task waits for `after` instead of `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn replace_blockers(
        &mut self,
        task: TaskId,
        before: &[TaskId],
        after: &[TaskId],
    ) -> Result<(), StoreError> {
        for gone in before.iter().filter(|id| !after.contains(id)) {
            self.conn
                .prepare_cached("DELETE FROM dependencies WHERE blocker = ?1 AND task_id = ?2")?
                .execute([gone.uuid(), task.uuid()])?;
        }
        for new in after.iter().filter(|id| !before.contains(id)) {
            self.conn
                .prepare_cached("INSERT OR IGNORE INTO dependencies (blocker, task_id) VALUES (?1, ?2)")?
                .execute([new.uuid(), task.uuid()])?;
        }
        Ok(())
    }

    /// Forgets who waits for a task.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn delete_dependents(&mut self, blocker: TaskId) -> Result<(), StoreError> {
        let sql = "DELETE FROM dependencies WHERE blocker = ?1";
        self.conn.prepare_cached(sql)?.execute([blocker.uuid()])?;
        Ok(())
    }
}
