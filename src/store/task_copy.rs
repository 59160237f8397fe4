//! A copy of all tasks that match a filter, read in slices, that shows one committed state.
//!
//! The copy first hands out the matching rows in the order of their creation. Rows may change meanwhile. So each slice also
//! notes which tasks the log names since the slice before. At the end the copy hands out these tasks again, as they are then.
//! It is complete when, in one committed state, no task is left to hand out again. What the rows and the later
//! corrections come to is that state, as if one query had read it: the log names every task whose row changed.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use crate::domain::event::EventId;
use crate::domain::filter::FacetFilter;
use crate::domain::id::TaskId;
use crate::domain::task::Task;

use super::StoreError;
use super::columns::TASKS;
use super::conditions::Conditions;
use super::reader::View;
use super::slices::Slice;
use super::tasks::task;

/// How often a copy begins again because retention has removed events that it needed. Then it reads in one transaction.
const RESTARTS_MAX: u32 = 2;
/// Slices for what has changed meanwhile. Others may change tasks faster than the copy looks at them; then the last slice
/// has no end.
const CORRECTIONS_MAX: u32 = 100;

/// Columns of a walk: in [`TASKS`], and what follows the checksum.
const ID: usize = 0;
const CREATED_AT: usize = 10;
const MATCHES: usize = 22;

/// A step of a copy.
#[derive(Debug)]
pub enum Copied {
    /// The next task, in the order of `(created_at, id)`.
    Task(Box<Task>),
    /// What became of a task: `None` when it does not exist or does not match any more. It replaces all that came before.
    Correction(TaskId, Option<Box<Task>>),
    /// Everything that came before is void.
    Restart,
}

/// A copy that is being read.
#[derive(Debug)]
pub struct TaskCopy {
    ids: Vec<TaskId>,
    filter: FacetFilter,
    /// The last row that it has looked at.
    position: Option<(i64, Uuid)>,
    has_walked: bool,
    /// The tasks that the log names since the first slice and that the copy has not handed out again.
    changed: HashSet<Uuid>,
    /// The last event that it has read.
    seen: Option<u64>,
    restarts: u32,
    corrections: u32,
}

impl TaskCopy {
    /// An empty list of ids matches all tasks.
    pub fn new(ids: Vec<TaskId>, filter: FacetFilter) -> Self {
        Self {
            ids,
            filter,
            position: None,
            has_walked: false,
            changed: HashSet::new(),
            seen: None,
            restarts: 0,
            corrections: 0,
        }
    }

    /// Goes on until the copy is complete or the slice is over. When it is complete, answers the last event that it reflects.
    ///
    /// # Errors
    /// The error of `hand_out`, or a [`StoreError`].
    pub fn go_on<E: From<StoreError>>(
        &mut self,
        view: &View<'_>,
        slice: &Slice<'_>,
        mut hand_out: impl FnMut(Copied) -> Result<(), E>,
    ) -> Result<Option<EventId>, E> {
        let head = view.head()?;
        if let Some(seen) = self.seen
            && view.oldest()? > seen + 1
        {
            hand_out(Copied::Restart)?;
            let restarts = self.restarts + 1;
            *self = Self {
                restarts,
                ..Self::new(std::mem::take(&mut self.ids), std::mem::take(&mut self.filter))
            };
        }
        match self.seen {
            Some(seen) if seen < head.seq => self.changed.extend(view.tasks_named_after(seen)?),
            _ => {}
        }
        self.seen = Some(head.seq);
        let is_cut = self.restarts < RESTARTS_MAX && self.corrections < CORRECTIONS_MAX;
        let is_over = || is_cut && slice.is_over();
        if !self.has_walked && !self.walk(view, is_over, &mut hand_out)? {
            return Ok(None);
        }
        self.corrections += 1;
        Ok(self.correct(view, is_over, &mut hand_out)?.then_some(head))
    }

    /// Answers whether it has looked at all rows.
    fn walk<E: From<StoreError>>(
        &mut self,
        view: &View<'_>,
        is_over: impl Fn() -> bool,
        hand_out: &mut impl FnMut(Copied) -> Result<(), E>,
    ) -> Result<bool, E> {
        let matching = Conditions::of(&self.filter);
        let project = match (&self.filter.projects[..], self.filter.allowed.names()) {
            ([project], _) | ([], Some([project])) => Some(project),
            _ => None,
        };
        let mut wanted = Conditions::of_walk(project, self.filter.ready);
        wanted.keys(&self.filter.keys);
        wanted.ids(&self.ids);
        if let Some((key, id)) = self.position {
            let id = Value::Blob(id.as_bytes().to_vec());
            wanted.add("(created_at, id) > (?, ?)", [Value::Integer(key), id]);
        }
        // Not a condition: rows that do not match end a slice, too.
        let sql = format!(
            "SELECT {TASKS}, sum, ({}) FROM tasks {} ORDER BY created_at, id",
            matching.expression(),
            wanted.clause(),
        );
        let mut statement = view.conn.prepare_cached(&sql).map_err(StoreError::from)?;
        let values = params_from_iter(matching.values.into_iter().chain(wanted.values));
        let mut rows = statement.query(values).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let get =
                || -> rusqlite::Result<_> { Ok((row.get(CREATED_AT)?, row.get(ID)?, row.get(MATCHES)?)) };
            let (created_at, id, matches) = get().map_err(StoreError::from)?;
            self.position = Some((created_at, id));
            if matches {
                hand_out(Copied::Task(task(row).map_err(StoreError::from)?.into()))?;
            }
            if is_over() {
                return Ok(false);
            }
        }
        self.has_walked = true;
        Ok(true)
    }

    /// Hands out again what has changed. Answers whether nothing is left.
    fn correct<E: From<StoreError>>(
        &mut self,
        view: &View<'_>,
        is_over: impl Fn() -> bool,
        hand_out: &mut impl FnMut(Copied) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.changed.is_empty() {
            return Ok(true);
        }
        let mut matching = Conditions::of(&self.filter);
        matching.ids(&self.ids);
        matching.add("id = ?", []);
        let sql = format!("SELECT {TASKS}, sum FROM tasks {}", matching.clause());
        let mut statement = view.conn.prepare_cached(&sql).map_err(StoreError::from)?;
        while let Some(id) = self.changed.iter().next().copied() {
            let values = matching.values.iter().cloned().chain([Value::Blob(id.as_bytes().to_vec())]);
            let row = statement.query_row(params_from_iter(values), task).optional();
            let row = row.map_err(StoreError::from)?;
            hand_out(Copied::Correction(TaskId::from_uuid(id), row.map(Box::new)))?;
            self.changed.remove(&id);
            if is_over() {
                return Ok(self.changed.is_empty());
            }
        }
        Ok(true)
    }
}
