//! The rows of executions.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::domain::clock::Timestamp;
use crate::domain::execution::{Execution, ExecutionRequest, ExecutionStatus};
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::text::TokenName;
use crate::domain::token::Actor;

use super::StoreError;
use super::reader::View;
use super::tasks::parsed;
use super::tx::Tx;

const COLUMNS: &str = "id, number, task_id, status, exit_code, reason, attempt, stop_requested, \
                       created_at, started_at, ended_at, attempts_max, not_before, log_bytes_left_out";

/// Each query for live executions includes this condition word for word, so that SQLite uses the
/// index of live executions.
const LIVE: &str = "status IN ('queued', 'running')";

/// Which executions to list. The newest comes first.
#[derive(Debug, Clone, Default)]
pub struct ExecutionQuery {
    pub task_id: Option<TaskId>,
    /// An empty list matches every status.
    pub statuses: Vec<ExecutionStatus>,
    /// Only executions with a smaller number than this. It is where the page before ended.
    pub before: Option<i64>,
    pub limit: usize,
}

/// A page of executions, and the `before` of the next page if there is one.
pub type ExecutionPage = (Vec<Execution>, Option<i64>);

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM executions WHERE id = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([id.uuid()], execution).optional()?)
    }

    /// The latest execution of a task. If a live one exists, it is the latest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn latest_execution(&self, task: TaskId) -> Result<Option<Execution>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM executions WHERE task_id = ?1 ORDER BY number DESC LIMIT 1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([task.uuid()], execution).optional()?)
    }

    /// Whether the caller may see this execution. An execution of a project that nobody knows any more is for callers
    /// that are not bound.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn shows_execution(&self, id: ExecutionId) -> Result<bool, StoreError> {
        if !self.allowed.is_bound() {
            return Ok(true);
        }
        let project: Option<Option<String>> = self
            .conn
            .prepare_cached("SELECT project FROM executions WHERE id = ?1")?
            .query_row([id.uuid()], |row| row.get(0))
            .optional()?;
        let project = project.flatten().and_then(|name| name.parse().ok());
        Ok(project.is_some_and(|project| self.allowed.allow(&project)))
    }

    /// How many executions run, or could run at once if there were a free slot.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pressing_execution_count(&self, now: Timestamp) -> Result<usize, StoreError> {
        let sql = format!("SELECT count(*) FROM executions WHERE {LIVE} AND ifnull(not_before, 0) <= ?1");
        let count: i64 = self.conn.prepare_cached(&sql)?.query_row([now.ms()], |row| row.get(0))?;
        Ok(count.unsigned_abs() as usize)
    }

    /// All running executions, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn running_executions(&self) -> Result<Vec<Execution>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM executions WHERE {LIVE} AND status = 'running' ORDER BY number");
        let mut statement = self.conn.prepare_cached(&sql)?;
        Ok(statement.query_map((), execution)?.collect::<rusqlite::Result<_>>()?)
    }

    /// All executions that wait for a slot or for their time, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn queued_executions(&self) -> Result<Vec<Execution>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM executions WHERE {LIVE} AND status = 'queued' ORDER BY number");
        let mut statement = self.conn.prepare_cached(&sql)?;
        Ok(statement.query_map((), execution)?.collect::<rusqlite::Result<_>>()?)
    }

    /// How many executions that the caller may see, and that may start now, are before this one in the queue.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn executions_ahead_of(&self, execution: &Execution) -> Result<i64, StoreError> {
        let rank = "ifnull((SELECT priority_rank FROM tasks WHERE tasks.id = task_id), -1)";
        let mut sql = format!(
            "SELECT count(*) FROM executions,
                (SELECT number AS own, {rank} AS own_rank FROM executions WHERE id = ?)
             WHERE {LIVE} AND status = 'queued' AND ifnull(not_before, 0) <= ?
                AND ({rank} > own_rank OR ({rank} = own_rank AND number < own))"
        );
        let id = Value::Blob(execution.id.uuid().as_bytes().to_vec());
        let mut values = vec![id, Value::Integer(Timestamp::now().ms())];
        if let Some(names) = self.allowed.names() {
            let marks = vec!["?"; names.len()].join(", ");
            sql.push_str(&format!(" AND project IN ({marks})"));
            values.extend(names.iter().map(|name| Value::Text(name.to_string())));
        }
        Ok(self.conn.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
    }

    /// The head of the queue: executions that may start now. They are in the order of their task's
    /// current priority, then of age.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn due_executions(&self, now: Timestamp, limit: usize) -> Result<Vec<Execution>, StoreError> {
        // A task without a priority comes last, and so does a deleted task.
        let sql = format!(
            "SELECT {COLUMNS} FROM executions
             WHERE {LIVE} AND status = 'queued' AND ifnull(not_before, 0) <= ?1
             ORDER BY (SELECT priority_rank FROM tasks WHERE tasks.id = task_id) DESC, number LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement.query_map(params![now.ms(), limit as i64], execution)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// Attempts that wait for their time by this clock. Answers at most `limit` of them, in the
    /// order of their time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn waiting_executions(&self, now: Timestamp, limit: usize) -> Result<Vec<Execution>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM executions WHERE {LIVE} AND status = 'queued' AND not_before > ?1
             ORDER BY not_before LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement.query_map(params![now.ms(), limit as i64], execution)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// A page of executions that the caller may see.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn executions(&self, query: &ExecutionQuery) -> Result<ExecutionPage, StoreError> {
        let mut conditions = vec!["number < ?".to_owned()];
        let mut values = vec![Value::Integer(query.before.unwrap_or(i64::MAX))];
        if let Some(task) = query.task_id {
            conditions.push("task_id = ?".into());
            values.push(Value::Blob(task.uuid().as_bytes().to_vec()));
        }
        if !query.statuses.is_empty() {
            let marks = vec!["?"; query.statuses.len()].join(", ");
            conditions.push(format!("status IN ({marks})"));
            let words = query.statuses.iter().map(|it| Value::Text(it.to_string()));
            values.extend(words);
        }
        if let Some(names) = self.allowed.names() {
            let marks = vec!["?"; names.len()].join(", ");
            conditions.push(format!("project IN ({marks})"));
            values.extend(names.iter().map(|name| Value::Text(name.to_string())));
        }
        values.push(Value::Integer(query.limit as i64 + 1));
        let conditions = conditions.join(" AND ");
        let sql = format!("SELECT {COLUMNS} FROM executions WHERE {conditions} ORDER BY number DESC LIMIT ?");
        let mut found = self
            .conn
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), execution)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().map(|last| last.number).filter(|_| more);
        Ok((found, next))
    }

    /// When executions ended and their numbers: those that ended before `before`, in the order of
    /// their end. `after` is the last answer of the page before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn executions_ended_before(
        &self,
        before: Timestamp,
        after: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, i64)>, StoreError> {
        let (ended, number) = after.map_or((i64::MIN, 0), |(ended, number)| (ended.ms(), number));
        let sql = "SELECT ended_at, number FROM executions
                   WHERE ended_at IS NOT NULL AND ended_at < ?1 AND (ended_at, number) > (?2, ?3)
                   ORDER BY ended_at, number LIMIT ?4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let values = params![before.ms(), ended, number, limit as i64];
        let found = statement.query_map(values, |row| Ok((Timestamp::from_ms(row.get(0)?), row.get(1)?)))?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// The actor in whose name an execution goes on: who asked for it, or who last asked for its
    /// stop.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn execution_actor(&self, id: ExecutionId) -> Result<Actor, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT actor FROM executions WHERE id = ?1")?;
        let name: Option<Option<String>> = statement.query_row([id.uuid()], |row| row.get(0)).optional()?;
        let token = name
            .flatten()
            .map(|name| name.parse())
            .transpose()
            .map_err(|error| StoreError::Corrupt(format!("actor of execution {id}: {error}")))?;
        Ok(Actor { token, ..Actor::default() })
    }

    /// The request of a live execution. `None` once the execution has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn execution_request(&self, id: ExecutionId) -> Result<Option<ExecutionRequest>, StoreError> {
        let text: Option<Option<String>> = self
            .conn
            .prepare_cached("SELECT request FROM executions WHERE id = ?1")?
            .query_row([id.uuid()], |row| row.get(0))
            .optional()?;
        text.flatten()
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| StoreError::Corrupt(format!("request of execution {id}: {error}")))
    }
}

impl Tx<'_> {
    /// The number of the next execution. Numbers are never reused.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn next_execution_number(&mut self) -> Result<i64, StoreError> {
        Ok(self
            .conn
            .prepare_cached("UPDATE log SET executions = executions + 1 RETURNING executions")?
            .query_row((), |row| row.get(0))?)
    }

    /// # Errors
    /// [`StoreError`], also when the task has a live execution already.
    pub fn insert_execution(
        &mut self,
        execution: &Execution,
        request: &ExecutionRequest,
    ) -> Result<(), StoreError> {
        let request = serde_json::to_string(request).expect("a request is always JSON");
        self.conn
            .prepare_cached(
                // The task is gone and its executions are left: it was in the project of its last execution.
                "INSERT INTO executions (id, number, task_id, status, attempt, stop_requested, request, created_at,
                    attempts_max, not_before, actor, project)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, coalesce(
                    (SELECT project FROM tasks WHERE id = ?3),
                    (SELECT project FROM executions WHERE task_id = ?3 ORDER BY number DESC LIMIT 1)))",
            )?
            .execute(params![
                execution.id.uuid(),
                execution.number,
                execution.task_id.uuid(),
                execution.status.word(),
                execution.attempt,
                execution.stop_requested,
                request,
                execution.created_at.ms(),
                execution.attempts_max,
                execution.not_before.map(Timestamp::ms),
                self.actor().token.as_ref().map(TokenName::as_str),
            ])?;
        Ok(())
    }

    /// Makes the actor of this operation the actor of the execution.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sign_execution(&mut self, id: ExecutionId) -> Result<(), StoreError> {
        let actor = self.actor().token.as_ref().map(TokenName::as_str);
        let mut statement = self.conn.prepare_cached("UPDATE executions SET actor = ?2 WHERE id = ?1")?;
        statement.execute(params![id.uuid(), actor])?;
        Ok(())
    }

    /// Removes an execution that has ended. Does nothing to a live one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn delete_ended_execution(&mut self, number: i64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("DELETE FROM executions WHERE number = ?1 AND ended_at IS NOT NULL")?
            .execute([number])?;
        Ok(())
    }

    /// Writes the state of an execution. When it has ended, also erases its request, which may hold
    /// secrets.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn update_execution(&mut self, execution: &Execution) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "UPDATE executions SET status = ?2, exit_code = ?3, reason = ?4, attempt = ?5,
                    stop_requested = ?6, started_at = ?7, ended_at = ?8, log_bytes_left_out = ?9,
                    request = CASE WHEN ?8 IS NULL THEN request END
                 WHERE id = ?1",
            )?
            .execute(params![
                execution.id.uuid(),
                execution.status.word(),
                execution.exit_code,
                execution.reason,
                execution.attempt,
                execution.stop_requested,
                execution.started_at.map(Timestamp::ms),
                execution.ended_at.map(Timestamp::ms),
                execution.log_bytes_left_out,
            ])?;
        Ok(())
    }
}

fn execution(row: &Row<'_>) -> rusqlite::Result<Execution> {
    let number = row.get(1)?;
    Ok(Execution {
        status: parsed(row, 3)?,
        exit_code: row.get(4)?,
        reason: row.get(5)?,
        attempt: row.get(6)?,
        stop_requested: row.get(7)?,
        started_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_ms),
        ended_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_ms),
        attempts_max: row.get(11)?,
        not_before: row.get::<_, Option<i64>>(12)?.map(Timestamp::from_ms),
        log_bytes_left_out: row.get(13)?,
        ..Execution::queued(
            ExecutionId::from_uuid(row.get(0)?),
            number,
            TaskId::from_uuid(row.get(2)?),
            Timestamp::from_ms(row.get(8)?),
        )
    })
}
