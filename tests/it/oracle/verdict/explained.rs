//! The other half of **complete**: nothing is in the log that nobody did. Every event is an acknowledged
//! change, or one whose answer never came, and each of these at most once; what changes nothing emits nothing.
//!
//! What follows by itself is for others to judge: a task that becomes ready and a step of a lease for `work.rs`, the questions
//! that a task waits for for `questions.rs`, executions for `starts.rs`.

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
const SHOWN: &[&str] = &[
    "title",
    "status",
    "priority",
    "assignee",
    "tags",
    "artifacts",
    "blocked_by",
    "ready",
    "auto_start",
    "lease",
    "attempts",
    "attempts_max",
    "waiting_for",
];
/// Fields that also change with what a wish is about.
const FOLLOWING: &[&str] = &["ready", "lease", "assignee", "attempts"];

pub fn explained(history: &History, truth: &Truth, court: &mut Court) {
    let acknowledged = Acknowledged::of(history, truth, court);
    truth.events.values().for_each(|told| is_a_change(told, court));
    let unexplained = acknowledged.leaves(truth, court);
    let wishes = history.writers.iter().flat_map(|writer| &writer.wishes);
    let unknown: Vec<&Wish> =
        wishes.filter(|(_, outcome)| matches!(outcome, Outcome::Unknown)).map(|(wish, _)| wish).collect();
    for told in without_a_wish(&unexplained, &unknown) {
        court.holds(false, || format!("nobody did {}", told.message));
    }
}

/// How many changes were made whose answer never came: the hub ended between the two.
pub fn unanswered(history: &History, truth: &Truth) -> usize {
    let mut court = Court::of(Property::Complete);
    Acknowledged::of(history, truth, &mut court).leaves(truth, &mut court).len()
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
    /// The changes that may have made these versions, which started by themselves before they were answered.
    started: HashMap<(&'a str, i64), Vec<&'a Wish>>,
    deleted: HashSet<&'a str>,
    /// What was answered for a comment.
    comments: HashMap<&'a str, &'a Value>,
    /// What was answered for a question, as it was asked and as it was answered.
    asked: HashMap<&'a str, &'a Value>,
    answers: HashMap<&'a str, &'a Value>,
    /// Leases that were given back, each with its task.
    returned: HashMap<&'a str, &'a str>,
    /// By the seq that was answered.
    announced: HashMap<u64, &'a Map<String, Value>>,
}

impl<'a> Acknowledged<'a> {
    fn of(history: &'a History, truth: &'a Truth, court: &mut Court) -> Self {
        let mut all = Self::default();
        let versions = versions(truth);
        for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
            let Outcome::Acknowledged(body) = outcome else {
                continue;
            };
            match &wish.kind {
                WishKind::Create(fields) | WishKind::Update { fields, .. } => {
                    let (task, version) = version_of(body);
                    // A task that has started by itself is answered as that has left it, one version on.
                    let told = versions.get(&(task, version));
                    let has_started = told.is_none_or(|told| told.message.data["reason"] == "auto_started");
                    if has_started {
                        all.started.entry((task, version - 1)).or_default().push(wish);
                    }
                    let differs = fields.iter().find(|(name, value)| {
                        body[name.as_str()] != **value
                            && !(*name == "assignee" && is_nobodys_again(body))
                            && !(has_started && ["status", "auto_start"].contains(&name.as_str()))
                    });
                    court.holds(differs.is_none(), || {
                        format!("{differs:?} of {} was answered {body}", wish.mark)
                    });
                    all.answered(body, court);
                }
                WishKind::Claim { worker, .. } => {
                    let is_theirs = body["assignee"] == worker.as_str()
                        && body["lease"]["worker"] == worker.as_str()
                        && body["status"] == "inprogress";
                    court.holds(is_theirs, || format!("{worker} has claimed {body}"));
                    all.answered(body, court);
                }
                WishKind::GiveBack { task, lease } => {
                    let other = all.returned.insert(lease, task);
                    court.holds(other.is_none(), || format!("{lease} was given back twice"));
                }
                WishKind::Delete { task, .. } => {
                    let is_first = all.deleted.insert(task);
                    court.holds(is_first, || format!("{task} was deleted twice"));
                }
                WishKind::Announce(fields) => {
                    all.announced.insert(crate::sse::seq(&body["id"]), fields);
                }
                WishKind::Comment { .. } => {
                    all.comments.insert(body["id"].as_str().expect("an id"), body);
                }
                WishKind::Ask { .. } => {
                    all.asked.insert(body["id"].as_str().expect("an id"), body);
                }
                WishKind::Answer { question, .. } => {
                    all.answers.insert(question, body);
                }
                WishKind::Impossible(_) => {}
            }
        }
        all
    }

    fn answered(&mut self, body: &'a Value, court: &mut Court) {
        let other = self.tasks.insert(version_of(body), body);
        // A claim that is repeated renews the lease, which is no change of the task.
        let same = |other: &Value| {
            let names = body.as_object().expect("an object").keys();
            names.into_iter().all(|name| agree(name, body, other))
        };
        court.holds(other.is_none_or(same), || format!("{other:?} and {body}"));
    }

    /// The events that no answer tells of.
    fn leaves<'t>(&self, truth: &'t Truth, court: &mut Court) -> Vec<&'t Told> {
        let of_the_hub = |told: &Told| follows_by_itself(told, truth);
        truth.events.values().filter(|told| !self.explains(told, court) && !of_the_hub(told)).collect()
    }

    fn was_given_back(&self, told: &Told) -> bool {
        let mut leases = self.returned.iter().filter(|(_, task)| **task == told.message.text("task_id"));
        leases.any(|(lease, _)| may_be_given_back(told, lease))
    }

    /// Whether an answer tells of this event. One that does has to tell the same.
    fn explains(&self, told: &Told, court: &mut Court) -> bool {
        let event = &told.message;
        let (task, data) = (event.text("task_id"), &event.data);
        match event.kind.as_str() {
            "task_updated" if self.was_given_back(told) => true,
            "task_deleted" => self.deleted.contains(task),
            "question_asked" => match self.asked.get(event.text("question_id")) {
                Some(body) => {
                    let is_right =
                        ["task_id", "text", "options"].iter().all(|name| body[*name] == data[*name])
                            && body["deadline_at"] == data["deadline"]
                            && body["created_at"] == event.timestamp.as_str();
                    court.holds(is_right, || format!("{body} was told as {}", event));
                    true
                }
                None => false,
            },
            "question_answered" => match self.answers.get(event.text("question_id")) {
                Some(body) => {
                    let is_right =
                        ["task_id", "text", "answer"].iter().all(|name| body[*name] == data[*name])
                            && body["ended_at"] == event.timestamp.as_str();
                    court.holds(is_right, || format!("{body} was told as {}", event));
                    true
                }
                None => false,
            },
            "comment_added" => match self.comments.get(event.text("comment_id")) {
                Some(body) => {
                    let agrees = ["task_id", "author", "text"].iter().all(|name| body[*name] == data[*name]);
                    let is_right = agrees && body["created_at"] == event.timestamp.as_str();
                    court.holds(is_right, || format!("{body} was told as {}", event));
                    true
                }
                None => false,
            },
            "announcement" => match self.announced.get(&event.seq) {
                Some(fields) => {
                    court.holds(announces(fields) == *data, || {
                        format!("{fields:?} was announced as {}", event)
                    });
                    true
                }
                None => false,
            },
            "lease_event" | "question_expired" | "execution_event" => false,
            _ => match self.tasks.get(&version_of_event(event)) {
                Some(body) => {
                    let agrees = SHOWN.iter().all(|name| agree(name, body, data));
                    let is_right = agrees && body["updated_at"] == event.timestamp.as_str();
                    court.holds(is_right, || format!("{body} was told as {}", event));
                    true
                }
                None => {
                    let started = self.started.get(&version_of_event(event));
                    started.is_some_and(|wishes| wishes.iter().any(|wish| may_come_of(told, wish)))
                }
            },
        }
    }
}

/// The event of each version of a task.
fn versions(truth: &Truth) -> HashMap<(&str, i64), &Told> {
    let tells = truth.events.values().filter(|told| told.message.data["version"].is_i64());
    tells.map(|told| (version_of_event(&told.message), told)).collect()
}

/// A task and its version, as they were answered.
fn version_of(body: &Value) -> (&str, i64) {
    (body["id"].as_str().expect("an id"), body["version"].as_i64().expect("a version"))
}

fn version_of_event(event: &Message) -> (&str, i64) {
    (event.text("task_id"), event.data["version"].as_i64().expect("a version"))
}

/// What comes of another event, or of the hub itself, without a wish of its own. Other properties judge it.
fn follows_by_itself(told: &Told, truth: &Truth) -> bool {
    let (event, data) = (&told.message, &told.message.data);
    match event.kind.as_str() {
        "lease_event" | "question_expired" | "execution_event" => true,
        "task_updated" => {
            !data["reason"].is_null()
                || data["changed"] == json!(["ready"])
                || data["changed"] == json!(["waiting_for"])
                || is_after_its_execution(told, truth)
        }
        _ => false,
    }
}

/// Whether it is what becomes of a task whose script has succeeded.
fn is_after_its_execution(told: &Told, truth: &Truth) -> bool {
    let (event, data) = (&told.message, &told.message.data);
    let is_completed = truth.get(event.seq - 1).is_none_or(|before| {
        let before = &before.message.data;
        before["execution_event"] == "completed" && before["task_id"] == data["task_id"]
    });
    let changes = [json!(["status"]), json!(["status", "lease"])];
    is_completed && data["status"] == "review" && changes.contains(&data["changed"])
}

/// Events for which there is no wish of their own. Each wish may have come true once, so this is a matching:
/// an event may push another one to another wish (Kuhn).
fn without_a_wish<'a>(events: &[&'a Told], wishes: &[&Wish]) -> Vec<&'a Told> {
    let mut taken: Vec<Option<usize>> = vec![None; wishes.len()];
    let is_left = |event: &usize| {
        let mut tried = vec![false; wishes.len()];
        !find_wish(*event, events, wishes, &mut taken, &mut tried)
    };
    (0..events.len()).filter(is_left).map(|event| events[event]).collect()
}

fn find_wish(
    event: usize,
    events: &[&Told],
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

fn may_come_of(told: &Told, wish: &Wish) -> bool {
    let event = &told.message;
    let (id, data) = (event.text("task_id"), &event.data);
    let shows = |fields: &Map<String, Value>| {
        let shows = |name: &str, value: &Value| {
            *value == data[name] || (name == "assignee" && is_nobodys_again(data))
        };
        SHOWN.iter().all(|name| fields.get(*name).is_none_or(|value| shows(name, value)))
    };
    match (event.kind.as_str(), &wish.kind) {
        ("task_created", WishKind::Create(fields)) => shows(fields),
        ("task_updated", WishKind::Update { task, fields, if_match, lease, .. }) => {
            let changed = data["changed"].as_array().expect("a list");
            task == id
                && shows(fields)
                && changed
                    .iter()
                    .filter_map(Value::as_str)
                    .all(|name| fields.contains_key(name) || FOLLOWING.contains(&name))
                && lease.as_ref().is_none_or(|lease| was_held_under(told, lease).unwrap_or(true))
                && if_match.is_none_or(|version| data["version"] == version + 1)
        }
        ("task_updated", WishKind::Claim { worker, .. }) => {
            let changed = data["changed"].as_array().expect("a list");
            changed.contains(&json!("lease")) && data["lease"]["worker"] == worker.as_str()
        }
        ("task_updated", WishKind::GiveBack { task, lease }) => task == id && may_be_given_back(told, lease),
        ("task_deleted", WishKind::Delete { task, .. }) => task == id,
        ("comment_added", WishKind::Comment { task, fields }) => {
            task == id && fields.iter().all(|(name, value)| data[name.as_str()] == *value)
        }
        ("question_asked", WishKind::Ask { task, fields }) => {
            task == id
                && fields["text"] == data["text"]
                && *fields.get("options").unwrap_or(&json!([])) == data["options"]
        }
        ("question_answered", WishKind::Answer { question, text }) => {
            data["question_id"] == question.as_str() && data["answer"] == text.as_str()
        }
        ("announcement", WishKind::Announce(fields)) => announces(fields) == *data,
        _ => false,
    }
}

/// Whether the task was held under this lease before the event, as far as one can know.
fn was_held_under(told: &Told, lease: &str) -> Option<bool> {
    match told.before() {
        Before::Unknown => None,
        Before::Nothing => Some(false),
        Before::Task(before) => Some(before["lease"]["id"] == lease),
    }
}

/// Whether the event may be what becomes of a task that is given back.
fn may_be_given_back(told: &Told, lease: &str) -> bool {
    let data = &told.message.data;
    data["lease"].is_null() && is_nobodys_again(data) && was_held_under(told, lease).unwrap_or(true)
}

/// A worker's task that goes back to `todo` is nobody's, even if the report names the worker.
fn is_nobodys_again(task: &Value) -> bool {
    task["status"] == "todo" && task["assignee"].is_null()
}

/// Whether both say the same of a field; a lease that is the same may have been renewed.
fn agree(name: &str, one: &Value, other: &Value) -> bool {
    match name {
        "lease" => ["id", "number", "worker"].iter().all(|part| one[name][*part] == other[name][*part]),
        _ => one[name] == other[name],
    }
}

/// The data of an announcement by nobody in particular.
fn announces(fields: &Map<String, Value>) -> Value {
    let mut data = json!(fields);
    data["actor"] = Value::Null;
    data
}
