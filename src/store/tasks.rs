//! The rows of tasks.

use rusqlite::types::{FromSql, FromSqlError, Type as SqlType, Value, ValueRef};
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::clock::Timestamp;
use crate::domain::id::TaskId;
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::{Priority, Task, TaskKey};

use super::columns::TASKS;
use super::conditions::Conditions;
use super::reader::View;
use super::tx::Tx;
use super::{StoreError, checksum, search};

/// A page is full when its tasks hold this many bytes. Many lists must fit into memory at once.
pub(super) const PAGE_BYTES_MAX: usize = 4 << 20;

/// A page of tasks, and where the next one starts if there is one.
pub type TaskRows = (Vec<Task>, Option<PageKey>);

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        let sql = format!("SELECT {TASKS}, sum FROM tasks WHERE id = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([id.uuid()], task).optional()?)
    }

    /// # Errors
    /// [`StoreError`]
    pub fn task_of(&self, key: &TaskKey) -> Result<Option<Task>, StoreError> {
        let sql = format!("SELECT {TASKS}, sum FROM tasks WHERE project = ?1 AND number = ?2");
        let values = params![key.project.as_str(), key.number];
        Ok(self.conn.prepare_cached(&sql)?.query_row(values, task).optional()?)
    }

    /// The key of a task that the caller may see.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn task_key(&self, id: TaskId) -> Result<Option<TaskKey>, StoreError> {
        let sql = "SELECT project, number FROM tasks WHERE id = ?1";
        let key = |row: &Row<'_>| Ok(TaskKey { project: parsed(row, 0)?, number: row.get(1)? });
        let found = self.conn.prepare_cached(sql)?.query_row([id.uuid()], key).optional()?;
        Ok(found.filter(|key| self.allowed.allow(&key.project)))
    }

    /// A page of tasks that the caller may see, and the key of the next page if there is one. A page
    /// of large tasks has fewer than `limit` tasks.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tasks(&self, query: &TaskQuery) -> Result<TaskRows, StoreError> {
        let (sql, values) = select(query, &self.allowed);
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut page = TaskPage::new(query);
        while let Some(row) = rows.next()? {
            if page.is_full() {
                return Ok(page.with_next());
            }
            page.push(task(row)?);
        }
        Ok((page.tasks, None))
    }

    /// The same page, from the ids of its tasks in order and of one more if another page follows. `None` when one of them does
    /// not exist.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tasks_of(&self, query: &TaskQuery, ids: &[TaskId]) -> Result<Option<TaskRows>, StoreError> {
        let mut page = TaskPage::new(query);
        for id in ids {
            if page.is_full() {
                return Ok(Some(page.with_next()));
            }
            match self.task(*id)? {
                Some(task) => page.push(task),
                None => return Ok(None),
            }
        }
        Ok(Some((page.tasks, None)))
    }
}

/// A page while it is read.
struct TaskPage<'a> {
    query: &'a TaskQuery,
    tasks: Vec<Task>,
    bytes: usize,
}

impl<'a> TaskPage<'a> {
    fn new(query: &'a TaskQuery) -> Self {
        Self { query, tasks: Vec::new(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.tasks.len() == self.query.limit || self.bytes >= PAGE_BYTES_MAX
    }

    fn push(&mut self, task: Task) {
        self.bytes += task.weight();
        self.tasks.push(task);
    }

    /// The page, and the key of the next one, which follows.
    fn with_next(self) -> TaskRows {
        let next = self.tasks.last().map(|last| PageKey::of(last, self.query.sort, self.query.order));
        (self.tasks, next)
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`], also when the id exists already.
    pub fn insert_task(&mut self, task: &Task) -> Result<(), StoreError> {
        self.write_task(
            "INSERT INTO tasks (id, title, description, status, status_rank, priority, priority_rank,
                assignee, tags, artifacts, script, version, created_at, updated_at, project, number, blocked_by,
                ready, auto_start, lease, attempts, attempts_max, waiting_for, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                ?22, ?23,
                row_sum(?1, ?2, ?3, ?4, ?6, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                    ?23))",
            task,
        )
    }

    /// # Errors
    /// [`StoreError`]
    pub fn update_task(&mut self, task: &Task) -> Result<(), StoreError> {
        self.write_task(
            "UPDATE tasks SET title = ?2, description = ?3, status = ?4, status_rank = ?5, priority = ?6,
                priority_rank = ?7, assignee = ?8, tags = ?9, artifacts = ?10, script = ?11, version = ?12,
                created_at = ?13, updated_at = ?14, project = ?15, number = ?16, blocked_by = ?17,
                ready = ?18, auto_start = ?19, lease = ?20, attempts = ?21, attempts_max = ?22, waiting_for = ?23,
                sum = row_sum(?1, ?2, ?3, ?4, ?6, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                    ?22, ?23)
             WHERE id = ?1",
            task,
        )
    }

    /// Runs a statement with the values of all columns, in the order of the table.
    fn write_task(&mut self, sql: &str, task: &Task) -> Result<(), StoreError> {
        self.conn.prepare_cached(sql)?.execute(params![
            task.id.uuid(),
            task.title.as_str(),
            task.description.as_str(),
            task.status.word(),
            rank(task, TaskSort::Status),
            task.priority.map(Priority::word),
            rank(task, TaskSort::Priority),
            task.assignee.as_ref().map(|it| it.as_str()),
            json(&task.tags),
            json(&task.artifacts),
            task.script.as_ref().map(|it| it.as_str()),
            task.version,
            task.created_at.ms(),
            task.updated_at.ms(),
            task.project.as_str(),
            task.key.number,
            json(&task.blocked_by),
            task.ready,
            task.auto_start,
            task.lease.as_ref().map(json),
            task.attempts,
            task.attempts_max,
            json(&task.waiting_for),
        ])?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_task(&mut self, id: TaskId) -> Result<(), StoreError> {
        self.conn.prepare_cached("DELETE FROM tasks WHERE id = ?1")?.execute([id.uuid()])?;
        Ok(())
    }
}

/// The column that a list is sorted by.
pub(super) fn column(sort: TaskSort) -> &'static str {
    match sort {
        TaskSort::CreatedAt => "created_at",
        TaskSort::UpdatedAt => "updated_at",
        TaskSort::Priority => "priority_rank",
        TaskSort::Status => "status_rank",
    }
}

/// All conditions of a list: its filter, its text, what the caller may see, and what the page comes after.
pub(super) fn conditions(query: &TaskQuery, allowed: &AllowedProjects) -> Conditions {
    let mut conditions = Conditions::of(&query.filter);
    conditions.only(allowed);
    if let Some(text) = &query.text {
        let (found, values) = search::condition(text);
        conditions.add(&found, values);
    }
    if let Some(key) = &query.after {
        let after = match query.order {
            SortOrder::Ascending => ">",
            SortOrder::Descending => "<",
        };
        let id = Value::Blob(key.id.uuid().as_bytes().to_vec());
        let condition = format!("({}, id) {after} (?, ?)", column(query.sort));
        conditions.add(&condition, [Value::Integer(key.key), id]);
    }
    conditions
}

/// The statement for a page. It asks for one row more than the page has, to learn whether another
/// page follows.
pub(super) fn select(query: &TaskQuery, allowed: &AllowedProjects) -> (String, Vec<Value>) {
    let mut conditions = conditions(query, allowed);
    let column = column(query.sort);
    let direction = match query.order {
        SortOrder::Ascending => "ASC",
        SortOrder::Descending => "DESC",
    };
    let sql = format!(
        "SELECT {TASKS}, sum FROM tasks {} ORDER BY {column} {direction}, id {direction} LIMIT ?",
        conditions.clause()
    );
    conditions.values.push(Value::Integer(query.limit as i64 + 1));
    (sql, conditions.values)
}

fn rank(task: &Task, sort: TaskSort) -> i64 {
    PageKey::of(task, sort, SortOrder::Ascending).key
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is stored is always JSON")
}

pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let columns = checksum::checked::<21>(row, "tasks")?;
    let project: ProjectName = parsed_text(columns[12], 12)?;
    Ok(Task {
        key: TaskKey { project: project.clone(), number: columns[13].as_i64()? },
        project,
        id: TaskId::from_uuid(Uuid::column_result(columns[0])?),
        title: parsed_text(columns[1], 1)?,
        description: parsed_text(columns[2], 2)?,
        status: parsed_text(columns[3], 3)?,
        priority: parsed_text_option(columns[4], 4)?,
        assignee: parsed_text_option(columns[5], 5)?,
        tags: json_list(columns[6], 6)?,
        artifacts: json_list(columns[7], 7)?,
        script: parsed_text_option(columns[8], 8)?,
        version: columns[9].as_i64()?,
        created_at: Timestamp::from_ms(columns[10].as_i64()?),
        updated_at: Timestamp::from_ms(columns[11].as_i64()?),
        blocked_by: json_list(columns[14], 14)?,
        ready: columns[15].as_i64()? != 0,
        auto_start: columns[16].as_i64()? != 0,
        lease: match columns[17] {
            ValueRef::Null => None,
            lease => Some(json_list(lease, 17)?),
        },
        attempts: columns[18].as_i64()?,
        attempts_max: columns[19].as_i64()?,
        waiting_for: json_list(columns[20], 20)?,
    })
}

/// Reads a text column into a type that checks its value.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err = String>,
{
    parsed_text(row.get_ref(column)?, column)
}

/// The same for a column that may be null.
pub(super) fn parsed_option<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: std::str::FromStr<Err = String>,
{
    parsed_text_option(row.get_ref(column)?, column)
}

fn parsed_text<T: std::str::FromStr<Err = String>>(
    value: ValueRef<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    value.as_str()?.parse().map_err(|message| unreadable(column, message))
}

fn parsed_text_option<T: std::str::FromStr<Err = String>>(
    value: ValueRef<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text = value.as_str_or_null()?;
    text.map(|text| text.parse().map_err(|message| unreadable(column, message))).transpose()
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    json_list(row.get_ref(column)?, column)
}

fn json_list<T: serde::de::DeserializeOwned>(value: ValueRef<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(value.as_str()?).map_err(|error| unreadable(column, error.to_string()))
}

fn unreadable(column: usize, message: String) -> rusqlite::Error {
    let error = FromSqlError::Other(message.into());
    rusqlite::Error::FromSqlConversionFailure(column, SqlType::Text, Box::new(error))
}
