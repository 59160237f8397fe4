//! The event log: the writer appends an event in the transaction of its change, and readers read it
//! in pages.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};

use crate::domain::clock::Timestamp;
use crate::domain::event::{
    EventId, EventMark, EventMeta, Facets, LogEnd, NewEvent, StoredEvent, Subject, TaskMeta,
};
use crate::domain::id::TaskId;

use super::reader::View;
use super::tasks::{from_json, json, parsed};
use super::tx::Tx;
use super::{StoreError, checksum};

/// Which events are too old to keep.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// Events from before this time are too old.
    pub before: Timestamp,
    /// The time now.
    pub now: Timestamp,
}

impl Tx<'_> {
    /// Appends an event in the name of the actor. It encodes the event, and nothing encodes it
    /// again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn append(&mut self, event: &NewEvent) -> Result<EventId, StoreError> {
        let signed = self.actor().token.clone().map(|name| event.clone().signed(name));
        let event = signed.as_ref().unwrap_or(event);
        let id = EventId::new(self.epoch, self.end.head + 1);
        let at = self.now();
        let body = event.encode(id, at);
        let (task_id, facets) = match &event.meta.subject {
            Subject::Task(task) => (Some(task.id.uuid()), Some(json(&(&task.before, &task.after)))),
            Subject::Project(project) => (None, Some(json(project))),
            Subject::Hub => (None, None),
        };
        self.conn
            .prepare_cached(
                "INSERT INTO events (seq, at, kind, task_id, facets, body, bytes_before, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7))",
            )?
            .execute(params![
                id.seq as i64,
                at.ms(),
                event.meta.kind.word(),
                task_id,
                facets,
                body.as_ref(),
                self.end.bytes as i64,
            ])?;
        if at < self.last_at {
            self.conn
                .prepare_cached("INSERT OR IGNORE INTO clock_steps (seq) VALUES (?1)")?
                .execute([id.seq as i64])?;
        }
        self.last_at = at;
        let bytes_before = self.end.bytes;
        self.end = LogEnd { head: id.seq, bytes: bytes_before + body.len() as u64 };
        let (meta, text) = (event.meta.clone(), event.text.clone());
        self.events.push(StoredEvent { seq: id.seq, at, bytes_before, meta, body, text });
        Ok(id)
    }

    /// Removes the oldest events: those that are too old by `age`, and those beyond the newest
    /// `keep`. Removes at most `limit` events at once, and never the event `floor` or a newer one.
    /// Answers how many it removed.
    ///
    /// An event with a time in the future was written by a wrong clock. Its age is unknown, so it
    /// goes together with its neighbours.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn expire_events(
        &mut self,
        keep: u64,
        age: Option<Age>,
        floor: u64,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let oldest = self.oldest()?;
        let by_count = (self.end.head + 1).saturating_sub(keep);
        let by_age = match age {
            Some(age) => self.first_young_seq(oldest, age, limit)?,
            None => oldest,
        };
        let bound = by_count.max(by_age).min(floor).min(oldest + limit).min(self.end.head + 1);
        let removed =
            self.conn.prepare_cached("DELETE FROM events WHERE seq < ?1")?.execute([bound as i64])?;
        self.conn.prepare_cached("DELETE FROM clock_steps WHERE seq <= ?1")?.execute([bound as i64])?;
        self.oldest = Some(bound.max(oldest));
        Ok(removed as u64)
    }

    /// The first of the `limit` oldest events that is young enough to stay. When there is none, the
    /// seq after the last of them.
    fn first_young_seq(&self, oldest: u64, age: Age, limit: u64) -> Result<u64, StoreError> {
        let end = oldest + limit;
        let first: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT seq FROM events WHERE seq >= ?1 AND seq < ?2 AND at BETWEEN ?3 AND ?4 ORDER BY seq LIMIT 1",
            )?
            .query_row((oldest as i64, end as i64, age.before.ms(), age.now.ms()), |row| row.get(0))
            .optional()?;
        Ok(first.map_or(end, i64::unsigned_abs))
    }
}

impl View<'_> {
    /// The seq of the oldest event in the log. When the log is empty, the seq after the head.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn oldest(&self) -> Result<u64, StoreError> {
        let oldest: i64 = self
            .conn
            .prepare_cached("SELECT coalesce((SELECT min(seq) FROM events), head + 1) FROM log")?
            .query_row((), |row| row.get(0))?;
        Ok(oldest.unsigned_abs())
    }

    /// The mark of each of these events. For a removed event, the mark of the oldest event after
    /// it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn marks(&self, seqs: &[u64]) -> Result<Vec<Option<EventMark>>, StoreError> {
        let mut mark = self
            .conn
            .prepare_cached("SELECT at, bytes_before FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
        let mut read = |seq: &u64| {
            mark.query_row([*seq as i64], |row| {
                let (at, bytes_before) =
                    (Timestamp::from_ms(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs());
                Ok(EventMark { at, bytes_before })
            })
            .optional()
        };
        Ok(seqs.iter().map(&mut read).collect::<Result<_, _>>()?)
    }

    /// Events after `seq`, in order. Answers at most `limit` events, and stops when they hold
    /// `bytes_max` bytes. Answers at least one event if there is one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn events_after(
        &self,
        seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT seq, at, kind, task_id, facets, body, bytes_before, sum FROM events WHERE seq > ?1 ORDER BY seq
             LIMIT ?2",
        )?;
        let mut rows = statement.query((seq as i64, limit as i64))?;
        let mut events = Vec::new();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(row) = rows.next()?
        {
            let event = event(row)?;
            bytes += event.body.len();
            events.push(event);
        }
        Ok(events)
    }

    /// The tasks of the events after `seq`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) fn tasks_named_after(&self, seq: u64) -> Result<Vec<uuid::Uuid>, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT task_id FROM events WHERE seq > ?1 AND task_id IS NOT NULL")?;
        let found = statement.query_map([seq as i64], |row| row.get(0))?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// The seq of the first event at or after `time`. When there is none, the seq after the head.
    ///
    /// Uses bisection: between two steps of the clock, the times in the log never go back.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn first_seq_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        let mut low = self.oldest()?;
        let mut ends = self.conn.prepare_cached(
            "SELECT seq FROM clock_steps UNION ALL
                 SELECT coalesce((SELECT max(seq) FROM events), head) + 1 FROM log ORDER BY seq",
        )?;
        let mut ends = ends.query(())?;
        while let Some(row) = ends.next()? {
            let end = row.get::<_, i64>(0)?.unsigned_abs();
            let first = self.first_seq_between(low, end, time)?;
            if first < end {
                return Ok(first);
            }
            low = low.max(end);
        }
        Ok(low)
    }

    /// The first event at or after `time` with `low` <= seq < `high`, or `high` when there is none.
    /// The times of these events must be in order.
    fn first_seq_between(&self, mut low: u64, mut high: u64, time: Timestamp) -> Result<u64, StoreError> {
        let mut at = self.conn.prepare_cached("SELECT at FROM events WHERE seq = ?1")?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<i64> = at.query_row([middle as i64], |row| row.get(0)).optional()?;
            match found {
                Some(ms) if ms < time.ms() => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    checksum::checked::<7>(row, "events")?;
    let subject = match (row.get::<_, Option<uuid::Uuid>>(3)?, row.get_ref(4)?) {
        (Some(id), _) => {
            let (before, after): (Option<Facets>, Option<Facets>) = from_json(row, 4)?;
            TaskMeta { id: TaskId::from_uuid(id), before, after }.into()
        }
        (None, ValueRef::Null) => Subject::Hub,
        (None, _) => Subject::Project(from_json(row, 4)?),
    };
    Ok(StoredEvent {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        at: Timestamp::from_ms(row.get(1)?),
        meta: EventMeta { kind: parsed(row, 2)?, subject },
        body: row.get::<_, Vec<u8>>(5)?.into(),
        bytes_before: row.get::<_, i64>(6)?.unsigned_abs(),
        text: None,
    })
}
