//! **One owner** and **ready = fold**: at each cursor of a client that has seen everything, whose each task is, and which tasks
//! may be begun.
//!
//! Both are told by events of their own, in the transaction of their cause. So between the cause and what follows from it
//! nothing else may stand, and all that follows has to be there.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::oracle::filter::Before;
use crate::oracle::history::History;
use crate::oracle::message::Message;
use crate::oracle::truth::{Told, Truth};
use crate::oracle::wish::WishKind;
use crate::oracle::writer::Outcome;

use super::{Court, from_the_first};

/// What the next event has to say of a lease.
struct Owed {
    lease: String,
    /// One of these words.
    words: &'static [&'static str],
    /// Or nothing at all: a report of the worker ends its lease in silence.
    is_optional: bool,
}

impl Owed {
    fn new(lease: &Value, words: &'static [&'static str], is_optional: bool) -> Self {
        Self { lease: lease["id"].as_str().unwrap_or_default().to_owned(), words, is_optional }
    }
}

pub fn one_owner(history: &History, truth: &Truth, court: &mut Court) {
    for observer in &history.observers {
        // The number of each task's last lease, and all that there were.
        let (mut numbers, mut ids): (HashMap<&str, i64>, HashSet<&str>) = Default::default();
        let mut owing: Option<(&str, Owed)> = None;
        let seen = from_the_first(observer, truth);
        for told in &seen {
            let (event, task) = (&told.message, told.message.text("task_id"));
            let wrong = |words: &str| format!("{}: {words}: {event}", observer.name);
            let owed = owing.take();
            if event.kind == "lease_event" {
                let (id, word) = (event.text("lease_id"), event.text("lease_event"));
                let is_told = match owed {
                    Some((of, owed)) if of == task && owed.lease == id => owed.words.contains(&word),
                    Some((_, owed)) if !owed.is_optional => false,
                    // The task is deleted next.
                    _ => word == "taken_away" && lease_before(told).is_some_and(|lease| lease["id"] == id),
                };
                court.holds(is_told, || wrong("no such step"));
                continue;
            }
            court.holds(owed.is_none_or(|(_, owed)| owed.is_optional), || {
                wrong("a lease's step is missing before")
            });
            if event.kind == "task_updated" {
                court.holds(counts_attempts(told), || wrong("attempts are counted wrongly"));
                match step(numbers.entry(task).or_default(), lease_before(told), event, &mut ids) {
                    Ok(owed) => owing = owed.map(|owed| (task, owed)),
                    Err(words) => court.holds(false, || wrong(words)),
                }
            }
        }
        // What comes later than it has seen, it cannot know.
        let is_whole = seen.last().is_some_and(|told| told.message.seq == history.head);
        court.holds(!is_whole || owing.is_none_or(|(_, owed)| owed.is_optional), || {
            format!("{}: a lease's step is missing at the end", observer.name)
        });
    }
    only_owners_report(history, truth, court);
}

fn lease_before(told: &Told) -> Option<&Value> {
    match told.before() {
        Before::Task(before) => Some(&before["lease"]).filter(|lease| !lease.is_null()),
        Before::Unknown | Before::Nothing => None,
    }
}

/// Goes on to the lease that a task has after an event.
fn step<'a>(
    number: &mut i64,
    before: Option<&Value>,
    event: &'a Message,
    ids: &mut HashSet<&'a str>,
) -> Result<Option<Owed>, &'static str> {
    let data = &event.data;
    let after = Some(&data["lease"]).filter(|lease| !lease.is_null());
    let is_workers = |lease: &Value| data["assignee"] == lease["worker"];
    let is_held = |lease: &Value| data["status"] == "inprogress" && is_workers(lease);
    match (before, after) {
        (None, None) => Ok(None),
        (None, Some(lease)) => {
            *number += 1;
            let is_new = ids.insert(lease["id"].as_str().unwrap_or_default());
            match lease["number"] == *number && is_new && is_held(lease) {
                true => Ok(Some(Owed::new(lease, &["claimed"], false))),
                false => Err("not the next lease"),
            }
        }
        (Some(lease), Some(same)) if lease == same && is_held(same) => Ok(None),
        (Some(_), Some(_)) => Err("it is somebody else's"),
        (Some(lease), None) if has_expired(event) => Ok(Some(Owed::new(lease, &["expired"], false))),
        (Some(lease), None) if is_held(lease) => Err("its lease has ended for no reason"),
        (Some(lease), None) if data["status"] == "todo" => {
            Ok(Some(Owed::new(lease, &["returned", "taken_away"], false)))
        }
        // Its worker's report, or somebody else's change.
        (Some(lease), None) => Ok(Some(Owed::new(lease, &["taken_away"], true))),
    }
}

/// Whether the hub says that it has ended the task's lease, since nobody has renewed it.
fn has_expired(event: &Message) -> bool {
    ["lease_expired", "attempts_exhausted"].contains(&event.text("reason"))
}

/// Whether a task counts the leases that expire, and nothing else: after the last one that it may have it is in review, and
/// from there it begins anew.
fn counts_attempts(told: &Told) -> bool {
    let (Before::Task(before), after) = (told.before(), &told.message.data) else {
        return true;
    };
    let (attempts, after_attempts) = (before["attempts"].as_i64(), after["attempts"].as_i64());
    if has_expired(&told.message) {
        let is_exhausted = after_attempts >= after["attempts_max"].as_i64();
        let ends = if is_exhausted { ("review", "attempts_exhausted") } else { ("todo", "lease_expired") };
        return after_attempts == attempts.map(|attempts| attempts + 1)
            && !before["lease"].is_null()
            && after["assignee"].is_null()
            && ends == (told.message.text("status"), told.message.text("reason"));
    }
    let begins_anew = before["status"] == "review" && after["status"] == "todo";
    after_attempts == if begins_anew { Some(0) } else { attempts }
}

/// What was acknowledged under a lease was done while the task was held under it.
fn only_owners_report(history: &History, truth: &Truth, court: &mut Court) {
    let mut versions: HashMap<(&str, i64), &Told> = HashMap::new();
    for told in truth.events.values() {
        if let Some(version) = told.message.data["version"].as_i64() {
            versions.insert((told.message.text("task_id"), version), told);
        }
    }
    for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
        let (WishKind::Update { task, lease: Some(lease), .. }, Outcome::Acknowledged(body)) =
            (&wish.kind, outcome)
        else {
            continue;
        };
        let at = |version: i64| versions.get(&(task.as_str(), version));
        let told = body["version"].as_i64().and_then(|version| match at(version) {
            // It was given back by the report, and has started by itself before the answer.
            Some(told) if told.message.data["reason"] == "auto_started" => at(version - 1),
            told => told,
        });
        let is_owners = told.is_none_or(|told| {
            let before = match told.before() {
                Before::Unknown => return true,
                Before::Nothing => &Value::Null,
                Before::Task(before) => &before["lease"]["id"],
            };
            // When the report changed nothing, the version is the one that it found.
            *before == lease.as_str() || told.message.data["lease"]["id"] == lease.as_str()
        });
        court.holds(is_owners, || format!("{} was done under {lease}, which was lost: {body}", wish.mark));
    }
}

pub fn ready_is_fold(history: &History, truth: &Truth, court: &mut Court) {
    for observer in &history.observers {
        let mut tasks: BTreeMap<&str, &Value> = BTreeMap::new();
        // Those that are ready or not without being told so yet, in the order of creation.
        let mut due: Vec<&str> = Vec::new();
        let seen = from_the_first(observer, truth);
        for told in &seen {
            let (event, task) = (&told.message, told.message.text("task_id"));
            let wrong = |words: &str| format!("{}: {words}: {event}", observer.name);
            // A lease ends before that, and who was told starts if it is to start by itself.
            let starts = event.kind == "execution_event" || event.data["reason"] == "auto_started";
            if let Some(first) = due.first()
                && event.kind != "lease_event"
                && !starts
            {
                let is_due = *first == task && event.data["changed"] == json!(["ready"]);
                court.holds(is_due, || wrong(&format!("{due:?} should be told to be ready, or not to be")));
            }
            let flips = match event.kind.as_str() {
                "task_created" | "task_updated" => {
                    let before = tasks.insert(task, &event.data);
                    before.is_some_and(|before| {
                        (before["status"] == "done") != (event.data["status"] == "done")
                    })
                }
                "task_deleted" => tasks.remove(task).is_some(),
                _ => false,
            };
            let late = tasks.iter().filter(|(_, task)| task["ready"] != is_ready(task, &tasks));
            let mut late: Vec<_> = late.map(|(id, _)| *id).collect();
            late.sort_by_key(|id| (tasks[id]["created_at"].as_str(), *id));
            let was_due = |id: &&str| due.contains(id);
            court.holds(flips || late.iter().all(was_due), || wrong(&format!("{late:?} are told wrongly")));
            due = late;
        }
        let is_whole = seen.last().is_some_and(|told| told.message.seq == history.head);
        court.holds(!is_whole || due.is_empty(), || format!("{}: {due:?} was never told", observer.name));
    }
}

/// Whether somebody may begin a task, by what all of them are.
fn is_ready(task: &Value, tasks: &BTreeMap<&str, &Value>) -> bool {
    let blockers = task["blocked_by"].as_array().expect("a list");
    let is_open =
        |id: &Value| tasks.get(id.as_str().expect("an id")).is_some_and(|it| it["status"] != "done");
    task["status"] == "todo"
        && task["assignee"].is_null()
        && task["lease"].is_null()
        && !blockers.iter().any(is_open)
}
