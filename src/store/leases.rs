//! Rows of leases in force. One that has ended has no row.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::domain::clock::Timestamp;
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::lease::{Lease, Progress};
use crate::domain::project::ProjectName;
use crate::domain::task::{Priority, Task};
use crate::domain::text::{Assignee, Tag, TokenName};

use super::StoreError;
use super::columns::TASKS;
use super::reader::View;
use super::tasks::{parsed, parsed_option, task};
use super::tx::Tx;

const COLUMNS: &str =
    "id, number, worker, expires_at, task_id, actor, seconds, renewals, progress, confirmed_seconds";

/// A lease in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// With its present end.
    pub lease: Lease,
    pub task: TaskId,
    /// The token that claimed the task.
    pub actor: Option<TokenName>,
    /// For how long it is given and renewed.
    pub seconds: u32,
    /// For how long from its first renewal by the worker on, when it was given for less. The worker may have gone before it
    /// learned of the lease.
    pub confirmed_seconds: Option<u32>,
    /// How often it was renewed: tells a lease from what it was when its end was decided.
    pub renewals: u32,
}

/// Which ready tasks a worker takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClaimFilter {
    pub task: Option<TaskId>,
    pub project: Option<ProjectName>,
    pub tag: Option<Tag>,
    pub priority: Option<Priority>,
}

impl ClaimFilter {
    /// Whether the task is one of those that the filter asks for.
    pub fn fits(&self, task: &Task) -> bool {
        self.task.is_none_or(|id| id == task.id)
            && self.project.as_ref().is_none_or(|project| *project == task.project)
            && self.tag.as_ref().is_none_or(|tag| task.tags.contains(tag))
            && self.priority.is_none_or(|priority| task.priority == Some(priority))
    }
}

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn lease(&self, id: LeaseId) -> Result<Option<HeldLease>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM leases WHERE id = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([id.uuid()], held).optional()?)
    }

    /// The lease of a task in force, with its present end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn lease_of_task(&self, task: TaskId) -> Result<Option<HeldLease>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM leases WHERE task_id = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([task.uuid()], held).optional()?)
    }

    /// The last lease that a worker has got by this token and still holds, of a task that the caller may see.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn lease_of_worker(
        &self,
        worker: &Assignee,
        actor: Option<&TokenName>,
    ) -> Result<Option<HeldLease>, StoreError> {
        let mut sql = format!("SELECT {COLUMNS} FROM leases WHERE worker = ? AND actor IS ?");
        let actor = actor.map_or(Value::Null, |name| Value::Text(name.to_string()));
        let mut values = vec![Value::Text(worker.to_string()), actor];
        if let Some(names) = self.allowed.names() {
            // An earlier token of the same name may have had other projects.
            let marks = vec!["?"; names.len()].join(", ");
            sql.push_str(&format!(" AND (SELECT project FROM tasks WHERE tasks.id = task_id) IN ({marks})"));
            values.extend(names.iter().map(|name| Value::Text(name.to_string())));
        }
        sql.push_str(" ORDER BY id DESC LIMIT 1");
        Ok(self.conn.prepare_cached(&sql)?.query_row(params_from_iter(values), held).optional()?)
    }

    /// All leases in force.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn leases(&self) -> Result<Vec<HeldLease>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!("SELECT {COLUMNS} FROM leases"))?;
        Ok(statement.query_map((), held)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The most pressing ready task that the caller may see and nothing executes: by priority, then by age.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn most_pressing_task(&self, filter: &ClaimFilter) -> Result<Option<Task>, StoreError> {
        let find = |filter: &ClaimFilter| -> Result<Option<Task>, StoreError> {
            let (sql, values) = most_pressing(filter);
            Ok(self.conn.prepare_cached(&sql)?.query_row(params_from_iter(values), task).optional()?)
        };
        match (self.allowed.names(), &filter.project) {
            (None, _) => find(filter),
            (Some(names), Some(project)) if names.contains(project) => find(filter),
            (Some(_), Some(_)) => Ok(None),
            // One after the other: for several at once SQLite sorts all of their tasks.
            (Some(names), None) => {
                let mut best: Option<Task> = None;
                for name in names {
                    let found = find(&ClaimFilter { project: Some(name.clone()), ..filter.clone() })?;
                    let order = |task: &Task| {
                        let rank = task.priority.map_or(0, Priority::rank);
                        (std::cmp::Reverse(rank), task.created_at, task.id)
                    };
                    best = best.into_iter().chain(found).min_by_key(order);
                }
                Ok(best)
            }
        }
    }
}

impl Tx<'_> {
    /// The number of the next lease of a task.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no such task.
    pub fn next_lease_number(&mut self, task: TaskId) -> Result<i64, StoreError> {
        let sql = "UPDATE tasks SET lease_number = lease_number + 1 WHERE id = ?1 RETURNING lease_number";
        Ok(self.conn.prepare_cached(sql)?.query_row([task.uuid()], |row| row.get(0))?)
    }

    /// # Errors
    /// [`StoreError`], also when the task has one.
    pub fn insert_lease(&mut self, held: &HeldLease) -> Result<(), StoreError> {
        let HeldLease { lease, task, actor, seconds, confirmed_seconds, renewals } = held;
        self.conn
            .prepare_cached(&format!(
                "INSERT INTO leases ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
            ))?
            .execute(params![
                lease.id.uuid(),
                lease.number,
                lease.worker.as_str(),
                lease.expires_at.ms(),
                task.uuid(),
                actor.as_ref().map(TokenName::as_str),
                seconds,
                renewals,
                lease.progress.as_ref().map(Progress::as_str),
                confirmed_seconds,
            ])?;
        Ok(())
    }

    /// Gives a lease another end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn renew_lease(&mut self, held: &HeldLease) -> Result<(), StoreError> {
        let sql = "UPDATE leases SET expires_at = ?2, seconds = ?3, renewals = ?4, progress = ?5, confirmed_seconds = ?6
                   WHERE id = ?1";
        let HeldLease { lease, seconds, confirmed_seconds, renewals, .. } = held;
        let progress = lease.progress.as_ref().map(Progress::as_str);
        let values =
            params![lease.id.uuid(), lease.expires_at.ms(), seconds, renewals, progress, confirmed_seconds];
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_lease(&mut self, id: LeaseId) -> Result<(), StoreError> {
        self.conn.prepare_cached("DELETE FROM leases WHERE id = ?1")?.execute([id.uuid()])?;
        Ok(())
    }
}

/// The statement for the most pressing ready task that nothing executes.
pub(super) fn most_pressing(filter: &ClaimFilter) -> (String, Vec<Value>) {
    let mut conditions = String::new();
    let mut values = Vec::new();
    if let Some(task) = filter.task {
        conditions.push_str(" AND id = ?");
        values.push(task.uuid().into());
    }
    if let Some(project) = &filter.project {
        conditions.push_str(" AND project = ?");
        values.push(Value::Text(project.to_string()));
    }
    if let Some(priority) = filter.priority {
        conditions.push_str(" AND priority_rank = ?");
        values.push(Value::Integer(priority.rank()));
    }
    if let Some(tag) = &filter.tag {
        conditions.push_str(" AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)");
        values.push(Value::Text(tag.to_string()));
    }
    let sql = format!(
        "SELECT {TASKS}, sum FROM tasks WHERE ready = 1{conditions}
            AND NOT EXISTS (SELECT 1 FROM executions WHERE task_id = tasks.id
                AND executions.status IN ('queued', 'running'))
         ORDER BY priority_rank DESC, created_at, id LIMIT 1"
    );
    (sql, values)
}

fn held(row: &Row<'_>) -> rusqlite::Result<HeldLease> {
    let actor: Option<String> = row.get(5)?;
    Ok(HeldLease {
        lease: Lease {
            id: LeaseId::from_uuid(row.get(0)?),
            number: row.get(1)?,
            worker: parsed(row, 2)?,
            expires_at: Timestamp::from_ms(row.get(3)?),
            progress: parsed_option(row, 8)?,
        },
        task: TaskId::from_uuid(row.get(4)?),
        actor: actor.and_then(|name| name.parse().ok()),
        seconds: row.get(6)?,
        renewals: row.get(7)?,
        confirmed_seconds: row.get(9)?,
    })
}
