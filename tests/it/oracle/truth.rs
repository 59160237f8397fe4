//! The log as all observers together saw it.
//!
//! Retention may have removed an event before anybody saw it; then the log has a hole, and what a task was
//! before its next event is not known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::filter::Before;
use super::history::History;
use super::message::Message;

pub struct Truth {
    pub events: BTreeMap<u64, Told>,
    /// Two messages of one seq.
    pub conflicts: Vec<(Arc<Message>, Arc<Message>)>,
    head: u64,
}

pub struct Told {
    pub message: Arc<Message>,
    before: Known,
}

#[derive(Clone)]
enum Known {
    Unknown,
    Nothing,
    /// Its last event.
    Task(Arc<Message>),
}

impl Told {
    /// The task before it.
    pub fn before(&self) -> Before<'_> {
        match &self.before {
            Known::Unknown => Before::Unknown,
            Known::Nothing => Before::Nothing,
            Known::Task(event) => Before::Task(&event.data),
        }
    }
}

impl Truth {
    pub fn of(history: &History) -> Self {
        let mut seen: BTreeMap<u64, Arc<Message>> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for message in history.observers.iter().flat_map(|observer| observer.events()) {
            let known = seen.entry(message.seq).or_insert_with(|| message.clone());
            if !Arc::ptr_eq(known, message) && known.raw != message.raw {
                conflicts.push((known.clone(), message.clone()));
            }
        }
        Self { events: told(seen), conflicts, head: history.head }
    }

    pub fn get(&self, seq: u64) -> Option<&Told> {
        self.events.get(&seq)
    }

    /// The last seq up to `seq` that nobody saw; 0 when there is none.
    pub fn last_hole(&self, seq: u64) -> u64 {
        (1..=seq).rev().find(|seq| !self.events.contains_key(seq)).unwrap_or(0)
    }

    /// Whether there is a seq between the two that nobody saw.
    pub fn has_hole_between(&self, after: u64, before: u64) -> bool {
        (after + 1..before.min(self.head + 1)).any(|seq| !self.events.contains_key(&seq))
    }
}

fn told(seen: BTreeMap<u64, Arc<Message>>) -> BTreeMap<u64, Told> {
    let mut tasks: HashMap<String, Known> = HashMap::new();
    // What is not in the map: nothing, or anything once there was a hole.
    let (mut absent, mut last) = (Known::Nothing, 0);
    let mut told = BTreeMap::new();
    for (seq, message) in seen {
        if seq != last + 1 {
            absent = Known::Unknown;
            tasks.clear();
        }
        last = seq;
        let task = message.text("task_id").to_owned();
        let before = match message.kind.as_str() {
            "task_created" | "announcement" => Known::Nothing,
            _ => tasks.get(&task).unwrap_or(&absent).clone(),
        };
        let after = match message.kind.as_str() {
            "task_created" | "task_updated" => Known::Task(message.clone()),
            "task_deleted" => Known::Nothing,
            _ => before.clone(),
        };
        if !task.is_empty() {
            tasks.insert(task, after);
        }
        told.insert(seq, Told { message, before });
    }
    told
}
