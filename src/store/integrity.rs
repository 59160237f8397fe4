//! The check of the whole database, once after each start.
//!
//! SQLite notices a damaged page only when a query reads it, and a hub may run for weeks before one
//! does. So `quick_check` reads every page on a thread of its own. The start does not wait for it.
//! When it finds damage, `/ready` reports it and the hub refuses all writes: a write could increase
//! the damage, and a backup helps most while little has changed since.
//!
//! A change that leaves a page well-formed, such as another letter in a title, shows in the row's
//! checksum. Damage that a query finds meanwhile counts as well.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::checksum::{self, ROW_SUM};
use super::damage::Damage;
use super::{columns, reader};

/// The pause between two attempts to interrupt a check. The first may come before the check has
/// begun its query.
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// A check that runs or has run. Stop it before you close the database.
#[derive(Debug, Default)]
pub(super) struct Check {
    running: Option<Running>,
}

struct Running {
    interrupt: InterruptHandle,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl Check {
    /// Starts the check. When the system gives no connection or no thread, there is no check.
    pub fn start(path: PathBuf, damage: &Damage) -> Self {
        let begin = || -> Option<Running> {
            let conn = reader::connect(&path).ok()?;
            let (interrupt, stop) = (conn.get_interrupt_handle(), Arc::new(AtomicBool::new(false)));
            let (found, stopped) = (damage.clone(), stop.clone());
            let look = move || {
                let started = Instant::now();
                let seen = if stopped.load(Relaxed) { return } else { look(&conn) };
                match seen {
                    Some(words) if !stopped.load(Relaxed) => found.note(&words),
                    _ => tracing::debug!(
                        duration_ms = started.elapsed().as_millis() as u64,
                        "the database is whole"
                    ),
                }
            };
            let thread = std::thread::Builder::new().name("store-check".into()).spawn(look).ok()?;
            Some(Running { interrupt, stop, thread })
        };
        let running = begin();
        if running.is_none() {
            tracing::warn!("the database is not checked: there is no connection or no thread for it");
        }
        Self { running }
    }

    /// Ends the check, also when it is not finished.
    pub fn stop(&mut self) {
        let Some(Running { interrupt, stop, thread }) = self.running.take() else {
            return;
        };
        stop.store(true, Relaxed);
        while !thread.is_finished() {
            interrupt.interrupt();
            std::thread::sleep(STOP_PAUSE);
        }
        let _ = thread.join();
    }
}

/// The first thing that is wrong. Also `None` when the database could not be read for a reason
/// other than damage.
fn look(conn: &Connection) -> Option<String> {
    match examine(conn) {
        Ok(found) => found,
        Err(error) => {
            let words = checksum::damage(&error);
            if words.is_none() {
                tracing::debug!(%error, "the check of the database has ended early");
            }
            words
        }
    }
}

/// Reads every page, and checks every row that has a checksum. Answers the first thing that is
/// wrong.
///
/// # Errors
/// An error of SQLite. [`checksum::damage`] tells whether damaged data is the cause.
pub(super) fn examine(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let words: String = conn.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if words != "ok" {
        return Ok(Some(words));
    }
    for (table, columns) in [("tasks", columns::TASKS), ("events", columns::EVENTS)] {
        let sql =
            format!("SELECT 1 FROM {table} WHERE sum IS NOT NULL AND sum <> {ROW_SUM}({columns}) LIMIT 1");
        if conn.prepare(&sql)?.exists(())? {
            return Ok(Some(format!("a row of {table} is not what was written")));
        }
    }
    Ok(None)
}
