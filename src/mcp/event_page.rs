//! A page of the log in few words, as `wait_events` answers it.
//!
//! One event wakes all agents that wait for it, and most of them are answered the same page. So the last one is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;

use crate::domain::id::TaskId;
use crate::domain::task::TaskKey;

use super::compact_event::compact;
use super::row_list::rows_that_fit;

#[derive(Debug)]
pub struct EventPage {
    /// The encoded events, separated by commas.
    source: Bytes,
    pub rows: Vec<Value>,
    /// The id of the last row, when not all events have one.
    pub cut_after: Option<Value>,
}

/// The last page. Clones are one place.
#[derive(Debug, Clone, Default)]
pub struct LastPage(Arc<Mutex<Option<Arc<EventPage>>>>);

impl EventPage {
    /// The page of these events, which are `source`. `keys` has those of tasks that the events do not say.
    pub fn new(source: Bytes, events: &[Value], keys: &HashMap<TaskId, TaskKey>) -> Self {
        let mut rows: Vec<_> = events.iter().map(|event| compact(event, keys)).collect();
        rows.truncate(rows_that_fit(&rows));
        let cut_after = (rows.len() < events.len()).then(|| events[rows.len() - 1]["id"].clone());
        Self { source, rows, cut_after }
    }
}

impl LastPage {
    pub fn get(&self, source: &Bytes) -> Option<Arc<EventPage>> {
        let last = self.0.lock().unwrap_or_else(|poison| poison.into_inner()).clone()?;
        (last.source == source).then_some(last)
    }

    pub fn put(&self, page: Arc<EventPage>) {
        *self.0.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(page);
    }
}
