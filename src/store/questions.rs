//! The rows of questions.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::domain::clock::Timestamp;
use crate::domain::id::{QuestionId, TaskId};
use crate::domain::question::{Question, QuestionText};

use super::StoreError;
use super::reader::View;
use super::tasks::{from_json, json, parsed, parsed_option};
use super::tx::Tx;

const COLUMNS: &str = "id, task_id, text, options, default_answer, status, answer, answered_by, asked_by, \
                       created_at, deadline_at, ended_at";

/// Each query for open questions includes this condition word for word, so that SQLite uses the index of open questions.
const OPEN: &str = "status = 'open'";

/// Which questions to list. The oldest comes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuestionQuery {
    pub task_id: Option<TaskId>,
    /// `true`: only open ones; `false`: only those that have ended.
    pub open: Option<bool>,
    /// Only questions after this one. It is where the page before ended.
    pub after: Option<QuestionId>,
    pub limit: usize,
}

/// A page of questions, and the `after` of the next page if there is one.
pub type QuestionPage = (Vec<Question>, Option<QuestionId>);

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn question(&self, id: QuestionId) -> Result<Option<Question>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM questions WHERE id = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([id.uuid()], question).optional()?)
    }

    /// # Errors
    /// [`StoreError`]
    pub fn questions(&self, query: &QuestionQuery) -> Result<QuestionPage, StoreError> {
        let blob = |id: uuid::Uuid| Value::Blob(id.as_bytes().to_vec());
        let mut conditions = vec!["id > ?".to_owned()];
        let mut values = vec![blob(query.after.map_or(uuid::Uuid::nil(), QuestionId::uuid))];
        if let Some(task) = query.task_id {
            conditions.push("task_id = ?".to_owned());
            values.push(blob(task.uuid()));
        }
        match query.open {
            Some(true) => conditions.push(OPEN.to_owned()),
            Some(false) => conditions.push("status <> 'open'".to_owned()),
            None => {}
        }
        if let Some(names) = self.allowed.names() {
            let marks = vec!["?"; names.len()].join(", ");
            conditions.push(format!("(SELECT project FROM tasks WHERE tasks.id = task_id) IN ({marks})"));
            values.extend(names.iter().map(|name| Value::Text(name.to_string())));
        }
        values.push(Value::Integer(query.limit as i64 + 1));
        let sql =
            format!("SELECT {COLUMNS} FROM questions WHERE {} ORDER BY id LIMIT ?", conditions.join(" AND "));
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut found: Vec<_> =
            statement.query_map(params_from_iter(values), question)?.collect::<rusqlite::Result<_>>()?;
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| last.id);
        Ok((found, next))
    }

    /// The last questions of a task that have ended, at most `limit`, the latest first. With a text only those that ask it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn ended_questions(
        &self,
        task: TaskId,
        text: Option<&QuestionText>,
        limit: usize,
    ) -> Result<Vec<Question>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM questions WHERE task_id = ?1 AND status <> 'open' AND (?2 IS NULL OR text = ?2)
             ORDER BY id DESC LIMIT ?3"
        );
        let values = params![task.uuid(), text.map(QuestionText::as_str), limit as i64];
        let mut statement = self.conn.prepare_cached(&sql)?;
        Ok(statement.query_map(values, question)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The deadline of the open question that expires next.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn next_question_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = format!("SELECT min(deadline_at) FROM questions WHERE {OPEN} AND deadline_at IS NOT NULL");
        let ms: Option<i64> = self.conn.prepare_cached(&sql)?.query_row((), |row| row.get(0))?;
        Ok(ms.map(Timestamp::from_ms))
    }

    /// Open questions whose deadline is over at this time, in the order of their deadlines. Answers at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn due_questions(&self, now: Timestamp, limit: usize) -> Result<Vec<Question>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM questions
             WHERE {OPEN} AND deadline_at IS NOT NULL AND deadline_at <= ?1 ORDER BY deadline_at LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement.query_map(params![now.ms(), limit as i64], question)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn insert_question(&mut self, question: &Question) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO questions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        );
        self.conn.prepare_cached(&sql)?.execute(params![
            question.id.uuid(),
            question.task_id.uuid(),
            question.text.as_str(),
            json(&question.options),
            question.default.as_ref().map(|it| it.as_str()),
            question.status.word(),
            question.answer.as_ref().map(|it| it.as_str()),
            question.answered_by.as_ref().map(|it| it.as_str()),
            question.asked_by.as_ref().map(|it| it.as_str()),
            question.created_at.ms(),
            question.deadline_at.map(Timestamp::ms),
            question.ended_at.map(Timestamp::ms),
        ])?;
        Ok(())
    }

    /// Writes how a question has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn end_question(&mut self, question: &Question) -> Result<(), StoreError> {
        let sql =
            "UPDATE questions SET status = ?2, answer = ?3, answered_by = ?4, ended_at = ?5 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            question.id.uuid(),
            question.status.word(),
            question.answer.as_ref().map(|it| it.as_str()),
            question.answered_by.as_ref().map(|it| it.as_str()),
            question.ended_at.map(Timestamp::ms),
        ])?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_questions(&mut self, task: TaskId) -> Result<(), StoreError> {
        let sql = "DELETE FROM questions WHERE task_id = ?1";
        self.conn.prepare_cached(sql)?.execute([task.uuid()])?;
        Ok(())
    }
}

fn question(row: &Row<'_>) -> rusqlite::Result<Question> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms));
    Ok(Question {
        id: QuestionId::from_uuid(row.get(0)?),
        task_id: TaskId::from_uuid(row.get(1)?),
        text: parsed(row, 2)?,
        options: from_json(row, 3)?,
        default: parsed_option(row, 4)?,
        status: parsed(row, 5)?,
        answer: parsed_option(row, 6)?,
        answered_by: parsed_option(row, 7)?,
        asked_by: parsed_option(row, 8)?,
        created_at: Timestamp::from_ms(row.get(9)?),
        deadline_at: time(10)?,
        ended_at: time(11)?,
    })
}
