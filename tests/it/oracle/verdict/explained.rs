//! The other half of **complete**: nothing is in the log that nobody did. Every event is an acknowledged
//! change, or one whose answer never came, and each of these at most once; what changes nothing emits nothing.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::oracle::filter::Before;
use crate::oracle::history::History;
use crate::oracle::message::Message;
use crate::oracle::truth::{Told, Truth};
use crate::oracle::wish::{Wish, WishKind};
use crate::oracle::writer::Outcome;

use super::{Court, Property};

/// The fields of a task that an event shows, in the order of `changed`.
const SHOWN: &[&str] = &["title", "status", "priority", "assignee", "tags", "artifacts"];

pub fn explained(history: &History, truth: &Truth, court: &mut Court) {
    let acknowledged = Acknowledged::of(history, court);
    truth.events.values().for_each(|told| is_a_change(told, court));
    let unexplained = acknowledged.leaves(truth, court);
    let wishes = history.writers.iter().flat_map(|writer| &writer.wishes);
    let unknown: Vec<&Wish> =
        wishes.filter(|(_, outcome)| matches!(outcome, Outcome::Unknown)).map(|(wish, _)| wish).collect();
    for event in without_a_wish(&unexplained, &unknown) {
        court.holds(false, || format!("nobody did {}", event));
    }
}

/// How many changes were made whose answer never came: the hub ended between the two.
pub fn unanswered(history: &History, truth: &Truth) -> usize {
    let mut court = Court::of(Property::Complete);
    Acknowledged::of(history, &mut court).leaves(truth, &mut court).len()
}

/// An update is the next version, and says rightly what is different.
fn is_a_change(told: &Told, court: &mut Court) {
    let (event, data) = (&told.message, &told.message.data);
    if !matches!(event.kind.as_str(), "task_created" | "task_updated") {
        return;
    }
    let changed: Vec<&str> =
        data["changed"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let is_right = match told.before() {
        Before::Unknown => true,
        Before::Nothing => event.kind == "task_created" && data["version"] == 1 && changed.is_empty(),
        Before::Task(before) => {
            let differing = SHOWN.iter().filter(|name| data[**name] != before[**name]);
            event.kind == "task_updated"
                && data["version"].as_i64() == before["version"].as_i64().map(|version| version + 1)
                && !changed.is_empty()
                && differing.eq(changed.iter().filter(|name| SHOWN.contains(name)))
        }
    };
    court.holds(is_right, || format!("{} is no change of {:?}", event, told.before()));
}

#[derive(Default)]
struct Acknowledged<'a> {
    /// What was answered for a version of a task.
    tasks: HashMap<(&'a str, i64), &'a Value>,
    deleted: HashSet<&'a str>,
    /// By the seq that was answered.
    announced: HashMap<u64, &'a Map<String, Value>>,
}

impl<'a> Acknowledged<'a> {
    fn of(history: &'a History, court: &mut Court) -> Self {
        let mut all = Self::default();
        for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
            let Outcome::Acknowledged(body) = outcome else {
                continue;
            };
            match &wish.kind {
                WishKind::Create(fields) | WishKind::Update { fields, .. } => {
                    let differs = fields.iter().find(|(name, value)| body[name.as_str()] != **value);
                    court.holds(differs.is_none(), || {
                        format!("{differs:?} of {} was answered {body}", wish.mark)
                    });
                    let (id, version) = (body["id"].as_str(), body["version"].as_i64());
                    let key = (id.expect("an id"), version.expect("a version"));
                    let other = all.tasks.insert(key, body);
                    court.holds(other.is_none_or(|other| other == body), || format!("{other:?} and {body}"));
                }
                WishKind::Delete { task, .. } => {
                    let is_first = all.deleted.insert(task);
                    court.holds(is_first, || format!("{task} was deleted twice"));
                }
                WishKind::Announce(fields) => {
                    all.announced.insert(crate::sse::seq(&body["id"]), fields);
                }
                WishKind::Impossible(_) => {}
            }
        }
        all
    }

    /// The events that no answer tells of.
    fn leaves<'t>(&self, truth: &'t Truth, court: &mut Court) -> Vec<&'t Message> {
        let events = truth.events.values().map(|told| &*told.message);
        events.filter(|event| !self.explains(event, court)).collect()
    }

    /// Whether an answer tells of this event. One that does has to tell the same.
    fn explains(&self, event: &Message, court: &mut Court) -> bool {
        let (task, data) = (event.text("task_id"), &event.data);
        match event.kind.as_str() {
            "task_deleted" => self.deleted.contains(task),
            "announcement" => match self.announced.get(&event.seq) {
                Some(fields) => {
                    court.holds(announces(fields) == *data, || {
                        format!("{fields:?} was announced as {}", event)
                    });
                    true
                }
                None => false,
            },
            _ => match self.tasks.get(&(task, data["version"].as_i64().expect("a version"))) {
                Some(body) => {
                    let agrees = SHOWN.iter().all(|name| body[*name] == data[*name]);
                    let is_right = agrees && body["updated_at"] == event.timestamp.as_str();
                    court.holds(is_right, || format!("{body} was told as {}", event));
                    true
                }
                None => false,
            },
        }
    }
}

/// Events for which there is no wish of their own. Each wish may have come true once, so this is a matching:
/// an event may push another one to another wish (Kuhn).
fn without_a_wish<'a>(events: &[&'a Message], wishes: &[&Wish]) -> Vec<&'a Message> {
    let mut taken: Vec<Option<usize>> = vec![None; wishes.len()];
    let is_left = |event: &usize| {
        let mut tried = vec![false; wishes.len()];
        !find_wish(*event, events, wishes, &mut taken, &mut tried)
    };
    (0..events.len()).filter(is_left).map(|event| events[event]).collect()
}

fn find_wish(
    event: usize,
    events: &[&Message],
    wishes: &[&Wish],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for at in 0..wishes.len() {
        if tried[at] || !may_come_of(events[event], wishes[at]) {
            continue;
        }
        tried[at] = true;
        let is_free = match taken[at] {
            None => true,
            Some(other) => find_wish(other, events, wishes, taken, tried),
        };
        if is_free {
            taken[at] = Some(event);
            return true;
        }
    }
    false
}

fn may_come_of(event: &Message, wish: &Wish) -> bool {
    let (id, data) = (event.text("task_id"), &event.data);
    let shows = |fields: &Map<String, Value>| {
        SHOWN.iter().all(|name| fields.get(*name).is_none_or(|value| *value == data[*name]))
    };
    match (event.kind.as_str(), &wish.kind) {
        ("task_created", WishKind::Create(fields)) => shows(fields),
        ("task_updated", WishKind::Update { task, fields, if_match, .. }) => {
            let changed = data["changed"].as_array().expect("a list");
            task == id
                && shows(fields)
                && changed.iter().all(|name| fields.contains_key(name.as_str().expect("a word")))
                && if_match.is_none_or(|version| data["version"] == version + 1)
        }
        ("task_deleted", WishKind::Delete { task, .. }) => task == id,
        ("announcement", WishKind::Announce(fields)) => announces(fields) == *data,
        _ => false,
    }
}

/// The data of an announcement by nobody in particular.
fn announces(fields: &Map<String, Value>) -> Value {
    let mut data = json!(fields);
    data["actor"] = Value::Null;
    data
}
