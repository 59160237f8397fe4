//! The tasks of the table as the index in memory takes them: by id, in slices, and without what it does not need.

use rusqlite::{Row, params};
use uuid::Uuid;

use crate::domain::id::TaskId;
use crate::domain::task_row::TaskRow;

use super::StoreError;
use super::reader::View;
use super::tasks::from_json;

impl View<'_> {
    /// Hands the next tasks after one to `visit`, by id, at most `limit`. Ends when `visit` answers `false`. Answers how many
    /// there were.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn visit_task_rows(
        &self,
        after: TaskId,
        limit: usize,
        mut visit: impl FnMut(&TaskRow<'_>) -> bool,
    ) -> Result<usize, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT id, created_at, updated_at, project, number, ready, status_rank, priority_rank, assignee, tags, title,
                description
             FROM tasks WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after.uuid(), limit as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            if !visit(&task_row(row)?) {
                break;
            }
        }
        Ok(count)
    }

    /// Hands the comments on the tasks after one and up to another to `visit`, by the id of the task.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn visit_comments(
        &self,
        after: TaskId,
        until: TaskId,
        mut visit: impl FnMut(TaskId, &str),
    ) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT task_id, text FROM comments WHERE task_id > ?1 AND task_id <= ?2 ORDER BY task_id",
        )?;
        let mut rows = statement.query(params![after.uuid(), until.uuid()])?;
        while let Some(row) = rows.next()? {
            let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            visit(TaskId::from_uuid(row.get(0)?), text);
        }
        Ok(())
    }
}

fn task_row<'a>(row: &'a Row<'_>) -> rusqlite::Result<TaskRow<'a>> {
    let text = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
    let tags: Vec<String> = match text(9)? {
        "[]" => Vec::new(),
        _ => from_json(row, 9)?,
    };
    Ok(TaskRow {
        id: TaskId::from_uuid(row.get::<_, Uuid>(0)?),
        created_at_ms: row.get(1)?,
        updated_at_ms: row.get(2)?,
        project: text(3)?,
        number: row.get(4)?,
        ready: row.get(5)?,
        status_rank: row.get(6)?,
        priority_rank: row.get(7)?,
        assignee: row.get_ref(8)?.as_str_or_null()?,
        tags: tags.into_iter().map(Into::into).collect(),
        title: text(10)?,
        description: text(11)?,
    })
}
