//! Reads one task on the thread of the caller.
//!
//! A query by primary key is shorter than the way to another thread and back. One statement reads the task and the head of
//! the log, so both are of one committed state without a transaction around it. The connections are its own: it waits for
//! no list. While the writer restarts the WAL, or when SQLite would wait for a lock, it goes the way of all other queries.

use std::sync::{Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::domain::event::EventId;
use crate::domain::id::TaskId;
use crate::domain::task::Task;

use super::StoreError;
use super::columns::TASKS;
use super::reader::{Reader, connect};
use super::tasks::task;

/// The column behind those of the task and its checksum.
const HEAD: usize = 22;

/// Reads single tasks. It has at most as many connections as threads use it at once.
#[derive(Debug)]
pub(super) struct SingleReader {
    reader: Reader,
    idle: Mutex<Vec<Connection>>,
}

impl SingleReader {
    pub fn new(reader: Reader) -> Self {
        Self { reader, idle: Mutex::default() }
    }

    /// A task, and the last event of the state in which it was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn task(&self, id: TaskId) -> Result<(Option<Task>, EventId), StoreError> {
        match self.task_at_once(id) {
            Some(read) => read,
            None => self.reader.read(move |view| Ok((view.task(id)?, view.head()?))).await,
        }
    }

    /// `None` when it would have to wait.
    fn task_at_once(&self, id: TaskId) -> Option<Result<(Option<Task>, EventId), StoreError>> {
        let shared = &self.reader.shared;
        let _entered = shared.gate.try_enter()?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let read = || -> Result<_, StoreError> {
            let conn = match idle {
                Some(conn) => conn,
                None => self.connect()?,
            };
            let sql = format!("SELECT {TASKS}, sum, head FROM log LEFT JOIN tasks ON id = ?1");
            let (found, head) = conn
                .prepare_cached(&sql)?
                .query_row([id.uuid()], |row| Ok((found(row)?, row.get::<_, i64>(HEAD)?.unsigned_abs())))?;
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            Ok((found, EventId::new(shared.epoch, head)))
        };
        let result = read();
        shared.damage.note_of(&result);
        match result {
            Err(StoreError::Unreachable(_)) => None,
            result => Some(result),
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let conn = connect(&self.reader.shared.path)?;
        // The thread of the caller must not wait for a lock.
        conn.pragma_update(None, "busy_timeout", 0)?;
        Ok(conn)
    }
}

fn found(row: &Row<'_>) -> rusqlite::Result<Option<Task>> {
    match row.get_ref(0)? {
        ValueRef::Null => Ok(None),
        _ => task(row).map(Some),
    }
}
