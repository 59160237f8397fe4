//! **Complete**: every acknowledged change was seen, by everybody who was there and asked for it; and nothing
//! that was refused. Retention alone may have taken something, where a reset has said so.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::oracle::history::History;
use crate::oracle::observer::Log;
use crate::oracle::truth::Truth;
use crate::oracle::wish::{Wish, WishKind, marks};
use crate::oracle::writer::Outcome;

use super::Court;

pub fn complete(history: &History, truth: &Truth, court: &mut Court) {
    for observer in &history.observers {
        no_gap(history, observer, court);
    }
    let log = Index::of(truth, history.head);
    for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
        if let Outcome::Acknowledged(body) = outcome {
            was_seen(wish, body, &log, truth, court);
        }
    }
    nothing_refused(history, truth, court);
    no_number_is_lost(truth, court);
}

fn no_gap(history: &History, observer: &Log, court: &mut Court) {
    let (name, head) = (&observer.name, history.head);
    let spans = observer.spans();
    let to = spans.last().map_or(0, |span| span.to);
    court.holds(!observer.is_stuck, || format!("{name} waited in vain at {to}; the last event is {head}"));
    court.holds(observer.is_stuck || to == head, || format!("{name} ended at {to}, not at {head}"));
    if !observer.filter.is_empty() {
        // What a filter must show is for the property "agreeing".
        return;
    }
    for span in &spans {
        let mut next = span.after + 1;
        for event in &span.events {
            court.holds(event.seq == next, || {
                format!("{name}: {} came where {next} was due, in {}..={}", event, span.after, span.to)
            });
            next = event.seq + 1;
        }
        court.holds(next == span.to + 1, || format!("{name}: {} came where {next} was due", span.to));
    }
}

/// Where each change is in the log.
struct Index<'a> {
    /// By task, then by version.
    versions: HashMap<&'a str, BTreeMap<i64, u64>>,
    deleted: HashMap<&'a str, u64>,
    /// Comments, questions and the questions that were answered, each by its id.
    comments: HashSet<&'a str>,
    asked: HashSet<&'a str>,
    answered: HashSet<&'a str>,
    /// Leases that were given back.
    returned: HashSet<&'a str>,
    head: u64,
}

impl<'a> Index<'a> {
    fn of(truth: &'a Truth, head: u64) -> Self {
        let mut index = Self {
            versions: HashMap::new(),
            deleted: HashMap::new(),
            comments: HashSet::new(),
            asked: HashSet::new(),
            answered: HashSet::new(),
            returned: HashSet::new(),
            head,
        };
        for (&seq, told) in &truth.events {
            let (task, data) = (told.message.text("task_id"), &told.message.data);
            match told.message.kind.as_str() {
                "task_created" | "task_updated" => {
                    let version = data["version"].as_i64().expect("a version");
                    index.versions.entry(task).or_default().insert(version, seq);
                }
                "comment_added" => drop(index.comments.insert(told.message.text("comment_id"))),
                "question_asked" => drop(index.asked.insert(told.message.text("question_id"))),
                "question_answered" => drop(index.answered.insert(told.message.text("question_id"))),
                "task_deleted" => drop(index.deleted.insert(task, seq)),
                "lease_event" if data["lease_event"] == "returned" => {
                    index.returned.insert(told.message.text("lease_id"));
                }
                _ => {}
            }
        }
        index
    }

    /// Whether `version` of a task may be one of the events that nobody saw: between its neighbours.
    fn may_be_lost(&self, truth: &Truth, task: &str, version: i64) -> bool {
        let none = BTreeMap::new();
        let versions = self.versions.get(task).unwrap_or(&none);
        let after = versions.range(..version).next_back().map_or(0, |(_, seq)| *seq);
        let end = self.deleted.get(task).copied().unwrap_or(self.head + 1);
        let before = versions.range(version + 1..).next().map_or(end, |(_, seq)| *seq);
        truth.has_hole_between(after, before)
    }
}

fn was_seen(wish: &Wish, body: &Value, log: &Index<'_>, truth: &Truth, court: &mut Court) {
    let is_seen = match &wish.kind {
        WishKind::Create(_) | WishKind::Update { .. } | WishKind::Claim { .. } => {
            let task = body["id"].as_str().expect("an id");
            let version = body["version"].as_i64().expect("a version");
            let seq = log.versions.get(task).and_then(|versions| versions.get(&version));
            seq.is_some() || log.may_be_lost(truth, task, version)
        }
        WishKind::Delete { task, .. } => {
            log.deleted.contains_key(task.as_str()) || log.may_be_lost(truth, task, i64::MAX - 1)
        }
        WishKind::Comment { .. } => {
            let comment = body["id"].as_str().expect("an id");
            log.comments.contains(comment) || truth.has_hole_between(0, log.head + 1)
        }
        WishKind::Ask { .. } => {
            let question = body["id"].as_str().expect("an id");
            log.asked.contains(question) || truth.has_hole_between(0, log.head + 1)
        }
        WishKind::Answer { question, .. } => {
            log.answered.contains(question.as_str()) || truth.has_hole_between(0, log.head + 1)
        }
        WishKind::GiveBack { lease, .. } => {
            log.returned.contains(lease.as_str()) || truth.has_hole_between(0, log.head + 1)
        }
        WishKind::Announce(_) => {
            let seq = crate::sse::seq(&body["id"]);
            truth.get(seq).is_some() || truth.has_hole_between(seq - 1, seq + 1)
        }
        WishKind::Impossible(_) => true,
    };
    court.holds(is_seen, || format!("acknowledged and never seen: {} as {body}", wish.mark));
}

/// The numbers of keys follow each other in the log: who was refused has not used one up.
fn no_number_is_lost(truth: &Truth, court: &mut Court) {
    let number = |key: &str| key.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
    let mut last = Some((0, 0));
    for (&seq, told) in truth.events.iter().filter(|(_, told)| told.message.kind == "task_created") {
        let this = number(told.message.text("key")).expect("a key ends with a number");
        let is_next = last.is_none_or(|(at, number)| number + 1 == this || truth.has_hole_between(at, seq));
        court.holds(is_next, || format!("a number is lost before {}", told.message));
        last = Some((seq, this));
    }
}

fn nothing_refused(history: &History, truth: &Truth, court: &mut Court) {
    let wishes = history.writers.iter().flat_map(|writer| &writer.wishes);
    let refused: HashSet<&str> = wishes
        .filter(|(wish, outcome)| {
            matches!(outcome, Outcome::Refused) || matches!(wish.kind, WishKind::Impossible(_))
        })
        .map(|(wish, _)| wish.mark.as_str())
        .collect();
    let listed = history.lists.iter().flat_map(|(_, tasks)| tasks).chain(&history.questions);
    let listed: Vec<String> = listed.map(Value::to_string).collect();
    let told = truth.events.values().map(|told| &told.message.raw);
    for text in told.chain(&listed) {
        for mark in marks(text).filter(|mark| refused.contains(mark)) {
            court.holds(false, || format!("{mark} was refused, and yet: {text}"));
        }
    }
}
