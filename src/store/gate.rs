//! The gate between the queries and the writer, who needs a moment without queries to restart the WAL.
//!
//! Every query of the hub is inside while it has a transaction. The writer closes the gate, waits a little until nobody is
//! inside, and opens it again. It gives up when a query takes too long: no change waits for a query longer than that.
//! Queries that look at many rows watch [`Gate::is_closed`] and leave early.
//!
//! Rejected: an `RwLock`. Its writer cannot give up.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
    /// A copy of `Inside::closed` that can be read without the lock.
    is_closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Inside {
    queries: usize,
    closed: bool,
}

/// A query that is inside until this is dropped.
#[derive(Debug)]
pub(super) struct Entered<'a>(&'a Gate);

/// The closed gate. It opens when this is dropped.
#[derive(Debug)]
pub(super) struct Closed<'a>(&'a Gate);

impl Gate {
    /// Waits while the gate is closed.
    pub fn enter(&self) -> Entered<'_> {
        let mut inside = self.lock();
        while inside.closed {
            inside = self.changed.wait(inside).unwrap_or_else(|poison| poison.into_inner());
        }
        inside.queries += 1;
        Entered(self)
    }

    /// Never waits. `None` while the gate is closed.
    pub fn try_enter(&self) -> Option<Entered<'_>> {
        let mut inside = self.lock();
        if inside.closed {
            return None;
        }
        inside.queries += 1;
        Some(Entered(self))
    }

    /// Whether the writer waits for the queries to leave.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Lets nobody in, and waits until nobody is inside. After `patience`, opens the gate again and answers `None`.
    pub fn close(&self, patience: Duration) -> Option<Closed<'_>> {
        let deadline = Instant::now() + patience;
        let mut inside = self.lock();
        self.set_closed(&mut inside, true);
        while inside.queries > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.set_closed(&mut inside, false);
                return None;
            }
            let waited = self.changed.wait_timeout(inside, left);
            (inside, _) = waited.unwrap_or_else(|poison| poison.into_inner());
        }
        Some(Closed(self))
    }

    fn set_closed(&self, inside: &mut Inside, closed: bool) {
        inside.closed = closed;
        self.is_closed.store(closed, Relaxed);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.queries -= 1;
        if inside.queries == 0 && inside.closed {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        self.0.set_closed(&mut inside, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_gives_up_on_a_query_that_stays_and_lets_the_others_in_again() {
        let gate = Gate::default();
        let query = gate.enter();
        assert!(gate.close(Duration::from_millis(1)).is_none());
        assert!(!gate.is_closed() && gate.try_enter().is_some());
        drop(query);
        let closed = gate.close(Duration::ZERO).expect("nobody is inside");
        assert!(gate.is_closed() && gate.try_enter().is_none());
        drop(closed);
        assert!(gate.try_enter().is_some());
    }

    #[test]
    fn a_query_that_leaves_lets_the_writer_go_on() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            let entered = gate.enter();
            let writer = scope.spawn(|| gate.close(Duration::from_secs(60)).is_some());
            while !gate.is_closed() {
                std::thread::yield_now();
            }
            drop(entered);
            assert!(writer.join().expect("no panic"));
        });
        drop(gate.enter());
    }
}
