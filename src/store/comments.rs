//! The rows of comments.

use rusqlite::{Row, params};

use crate::domain::clock::Timestamp;
use crate::domain::comment::Comment;
use crate::domain::id::{CommentId, TaskId};

use super::StoreError;
use super::reader::View;
use super::tasks::{parsed, parsed_option};
use super::tx::Tx;

const COLUMNS: &str = "id, task_id, author, text, created_at";

/// Which comments of a task to list. The oldest comes first.
#[derive(Debug, Clone, Copy)]
pub struct CommentQuery {
    pub task_id: TaskId,
    /// Only comments after this one. It is where the page before ended.
    pub after: Option<CommentId>,
    pub limit: usize,
}

/// A page of comments, and the `after` of the next page if there is one.
pub type CommentPage = (Vec<Comment>, Option<CommentId>);

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn comments(&self, query: &CommentQuery) -> Result<CommentPage, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM comments WHERE task_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let after = query.after.map_or(uuid::Uuid::nil(), CommentId::uuid);
        let limit = query.limit as i64 + 1;
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut found: Vec<_> = statement
            .query_map(params![query.task_id.uuid(), after, limit], comment)?
            .collect::<rusqlite::Result<_>>()?;
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| last.id);
        Ok((found, next))
    }

    /// The last comments on a task, at most `limit`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn latest_comments(&self, task: TaskId, limit: usize) -> Result<Vec<Comment>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM comments WHERE task_id = ?1 ORDER BY id DESC LIMIT ?2");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement.query_map(params![task.uuid(), limit as i64], comment)?;
        let mut comments: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
        comments.reverse();
        Ok(comments)
    }

    /// # Errors
    /// [`StoreError`]
    pub fn comment_count(&self, task: TaskId) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM comments WHERE task_id = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([task.uuid()], |row| row.get(0))?)
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn insert_comment(&mut self, comment: &Comment) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO comments ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
        self.conn.prepare_cached(&sql)?.execute(params![
            comment.id.uuid(),
            comment.task_id.uuid(),
            comment.author.as_ref().map(|it| it.as_str()),
            comment.text.as_str(),
            comment.created_at.ms(),
        ])?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_comments(&mut self, task: TaskId) -> Result<(), StoreError> {
        let sql = "DELETE FROM comments WHERE task_id = ?1";
        self.conn.prepare_cached(sql)?.execute([task.uuid()])?;
        Ok(())
    }
}

fn comment(row: &Row<'_>) -> rusqlite::Result<Comment> {
    Ok(Comment {
        id: CommentId::from_uuid(row.get(0)?),
        task_id: TaskId::from_uuid(row.get(1)?),
        author: parsed_option(row, 2)?,
        text: parsed(row, 3)?,
        created_at: Timestamp::from_ms(row.get(4)?),
    })
}
