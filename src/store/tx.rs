//! The transaction as one operation sees it: what it may read and write, its time, and its actor.

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::event::{EventId, LogEnd, StoredEvent};
use crate::domain::token::Actor;

use super::damage::Damage;
use super::reader::View;
use super::{OfStore, StoreError};

/// The transaction as one operation sees it.
///
/// Reads go through [`View`] and see what the transaction has done so far.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
    pub(super) damage: &'a Damage,
    /// The end of the log, including what this transaction has appended.
    pub(super) end: LogEnd,
    /// The time of the last event so far.
    pub(super) last_at: Timestamp,
    now: Timestamp,
    actor: Actor,
    /// How many steps this one is within.
    depth: u32,
    /// Bytes of the log before this operation.
    began_at: u64,
    pub(super) events: Vec<StoredEvent>,
    /// The oldest event that is left, if this transaction removed some.
    pub(super) oldest: Option<u64>,
}

impl<'a> std::ops::Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(view: View<'a>, damage: &'a Damage, end: LogEnd, last_at: Timestamp) -> Self {
        let (now, actor) = (last_at, Actor::default());
        Self {
            view,
            damage,
            end,
            last_at,
            now,
            actor,
            depth: 0,
            began_at: end.bytes,
            events: Vec::new(),
            oldest: None,
        }
    }

    /// Begins another operation, at the time of `clock` and in nobody's name.
    pub(super) fn begin(&mut self, clock: &Clock) {
        self.now = clock.now().following(self.last_at);
        self.began_at = self.end.bytes;
        self.depth = 0;
        self.act_as(Actor::default());
    }

    /// Runs a part of the transaction. When `work` answers `false`, nothing of it is left.
    ///
    /// # Errors
    /// [`StoreError`]: then nothing of the whole transaction is left.
    pub(super) fn step(&mut self, work: impl FnOnce(&mut Self) -> bool) -> Result<(), StoreError> {
        let (end, last_at, events, oldest) = (self.end, self.last_at, self.events.len(), self.oldest);
        let (conn, depth) = (self.view.conn, self.depth);
        // Each has its own name: a step that ends by a panic leaves its savepoint behind, and the one around it is to go
        // back to its own.
        conn.prepare_cached(&format!("SAVEPOINT step{depth}"))?.execute(())?;
        self.depth += 1;
        let accepted = work(self);
        self.depth = depth;
        // SQLite ends the transaction by itself when the disk is full or fails: nothing of it is left.
        if conn.is_autocommit() {
            return Err(StoreError::Full);
        }
        if !accepted {
            conn.prepare_cached(&format!("ROLLBACK TO step{depth}"))?.execute(())?;
            (self.end, self.last_at) = (end, last_at);
            self.events.truncate(events);
            self.oldest = oldest;
        }
        conn.prepare_cached(&format!("RELEASE step{depth}"))?.execute(())?;
        Ok(())
    }

    /// Does `work`, or nothing of it when it refuses: the operation goes on either way.
    ///
    /// # Errors
    /// What `work` refuses with, or a [`StoreError`].
    pub fn attempt<T, E: OfStore>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let mut result = None;
        self.step(|tx| {
            let done = work(tx);
            let accepted = done.is_ok();
            result = Some(done);
            accepted
        })?;
        result.expect("the step has run")
    }
}

impl Tx<'_> {
    /// The time of this operation. It is the clock's time, or the time of the event before while
    /// the clock is a little behind that.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// In whose name this operation makes its changes.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Sets the actor of the operation from here on.
    pub fn act_as(&mut self, actor: Actor) {
        self.view.allowed = actor.projects.clone();
        self.actor = actor;
    }

    /// Bytes of events that this operation has appended.
    pub fn appended_bytes(&self) -> u64 {
        self.end.bytes - self.began_at
    }

    /// The id of the last event so far.
    pub fn head(&self) -> EventId {
        EventId::new(self.view.epoch, self.end.head)
    }
}
