//! Whether the database is whole: looked at once after each start, beside everything else.
//!
//! SQLite notices a damaged page only when a query comes by it, and a hub may run for weeks before one does. So
//! `quick_check` reads every page on a thread of its own, and the start does not wait for it. What it finds is told by
//! `/ready`, and nothing is written any more: a write may make more of the damage, and a backup is of use only while
//! little is missing from it.
//!
//! A change that leaves a page well-formed, such as another letter in a title, is not found.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::reader;

/// Between two attempts to stop a check, which may just be about to begin.
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// A check that runs, or has run. To be stopped before the database is closed.
#[derive(Debug, Default)]
pub(super) struct Check {
    damage: Arc<OnceLock<String>>,
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
    pub fn start(path: PathBuf) -> Self {
        let damage = Arc::new(OnceLock::new());
        let begin = || -> Option<Running> {
            let conn = reader::connect(&path).ok()?;
            let (interrupt, stop) = (conn.get_interrupt_handle(), Arc::new(AtomicBool::new(false)));
            let (found, stopped) = (damage.clone(), stop.clone());
            let look = move || {
                let started = Instant::now();
                let seen = if stopped.load(Relaxed) { return } else { quick_check(&conn) };
                match seen {
                    Some(words) if !stopped.load(Relaxed) => {
                        tracing::error!(damage = words, "the database is damaged; restore a backup");
                        let _ = found.set(words);
                    }
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
        Self { damage, running }
    }

    /// What is wrong, as far as it has been found.
    pub fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
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
fn quick_check(conn: &Connection) -> Option<String> {
    match conn.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0)) {
        Ok(words) => (words != "ok").then_some(words),
        Err(error) if super::open::is_damage(&error) => Some(error.to_string()),
        Err(error) => {
            tracing::debug!(%error, "the check of the database has ended early");
            None
        }
    }
}
