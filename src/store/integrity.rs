//! Whether the database is whole: looked at once after each start, beside everything else.
//!
//! SQLite notices a damaged page only when a query comes by it, and a hub may run for weeks before one does. So
//! `quick_check` reads every page on a thread of its own, and the start does not wait for it. What it finds is told by
//! `/ready`, and nothing is written any more: a write may make more of the damage, and a backup is of use only while
//! little is missing from it.
//!
//! A change that leaves a page well-formed, such as another letter in a title, is found by the row's checksum. What a query
//! comes by meanwhile counts as well.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::checksum::{self, ROW_SUM};
use super::damage::Damage;
use super::{columns, reader};

/// Between two attempts to stop a check, which may just be about to begin.
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// A check that runs, or has run. To be stopped before the database is closed.
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
    /// Starts to look. When the system has no connection or no thread to give, nothing is looked at.
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

    /// Ends it, whether it is done or not.
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

/// The first thing that is wrong. `None` also when the database could not be read for another reason.
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

/// Reads every page, and every row that has a checksum; answers the first thing that is wrong.
///
/// # Errors
/// Of SQLite; [`checksum::damage`] tells whether the data are to blame.
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
