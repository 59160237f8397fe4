//! What the log says of claims, checked by the log alone.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::claims::text;
use crate::harness::Client;

/// Counted in the log.
#[derive(Debug, Default)]
pub struct Counted {
    pub leases: usize,
    /// Those that ended in another way than by a report of `done`.
    pub lost: usize,
}

/// A task as the events up to now tell it.
#[derive(Default)]
struct Task {
    lease: Option<Value>,
    /// The number of its last lease.
    number: i64,
    artifacts: Vec<Value>,
    is_done: bool,
    /// What the log still has to say of a lease: the word, and its id.
    owed: Option<(Vec<&'static str>, String)>,
}

#[derive(Default)]
struct Log {
    tasks: HashMap<String, Task>,
    leases: HashSet<String>,
    counted: Counted,
}

/// # Panics
/// When the log tells of anything else than `tasks` tasks, each done once under the lease that was in force.
pub async fn check(client: &Client, tasks: usize) -> Counted {
    let mut log = Log::default();
    let (mut after, mut seq) = ("earliest".to_owned(), 0);
    loop {
        let path = format!("/api/events?since={after}&limit=1000");
        let events = client.get(&path).await.body;
        let events = events.as_array().expect("events");
        for event in events {
            seq += 1;
            assert_eq!(crate::sse::seq(&event["id"]), seq, "ordered, unique, without a gap");
            log.apply(event);
        }
        match events.last() {
            Some(last) => after = text(last, "/id").to_owned(),
            None => break,
        }
    }
    assert_eq!(log.tasks.len(), tasks);
    for (id, task) in &log.tasks {
        assert!(task.is_done && task.lease.is_none() && task.owed.is_none(), "{id} was not done");
    }
    log.counted
}

impl Log {
    fn apply(&mut self, event: &Value) {
        let data = &event["data"];
        let id = text(data, "/task_id").to_owned();
        match text(event, "/event") {
            "task_created" => {
                let is_new = self.tasks.insert(id, Task::default()).is_none();
                assert!(is_new && data["lease"].is_null(), "{event}");
            }
            "task_updated" => self.update(&id, event),
            "lease_event" => {
                let task = self.tasks.get_mut(&id).expect("a task");
                let (words, lease) = task.owed.take().unwrap_or_else(|| panic!("unexpected: {event}"));
                assert!(words.contains(&text(data, "/lease_event")), "{event}");
                assert_eq!(text(data, "/lease_id"), lease);
            }
            _ => panic!("nobody did {event}"),
        }
    }

    fn update(&mut self, id: &str, event: &Value) {
        let (data, task) = (&event["data"], self.tasks.get_mut(id).expect("a task"));
        assert!(task.owed.is_none(), "before {event} there is to be {:?}", task.owed);
        let before = task.lease.take();
        let next = Some(&data["lease"]).filter(|lease| !lease.is_null());
        // A report names the lease that it was made under.
        let artifacts = data["artifacts"].as_array().expect("a list");
        let holder = before.as_ref().map(|lease| text(lease, "/id").to_owned());
        if *artifacts != task.artifacts {
            let named: Vec<_> = artifacts.iter().filter_map(Value::as_str).collect();
            assert_eq!(named.first().copied(), holder.as_deref(), "a report under a lost lease: {event}");
            task.artifacts.clone_from(artifacts);
        }
        let status = text(data, "/status");
        assert!(!task.is_done, "it was done before: {event}");
        match (before, next) {
            (None, Some(lease)) => {
                task.number += 1;
                assert_eq!(lease["number"], task.number, "the next one: {event}");
                assert_eq!((status, &data["assignee"]), ("inprogress", &lease["worker"]), "{event}");
                let lease_id = text(lease, "/id").to_owned();
                assert!(self.leases.insert(lease_id.clone()), "used before: {event}");
                self.counted.leases += 1;
                task.owed = Some((vec!["claimed"], lease_id));
                task.lease = Some(lease.clone());
            }
            (Some(lease), None) if status == "done" => {
                assert_eq!(data["assignee"], lease["worker"], "{event}");
                task.is_done = true;
            }
            (Some(lease), None) => {
                assert_eq!((status, &data["assignee"], &data["ready"]), ("todo", &Value::Null, &true.into()));
                let words = match data["reason"].as_str() {
                    Some(reason) => {
                        assert_eq!(reason, "lease_expired");
                        vec!["expired"]
                    }
                    None => vec!["returned", "taken_away"],
                };
                self.counted.lost += 1;
                task.owed = Some((words, text(&lease, "/id").to_owned()));
            }
            // With one owner at a time no lease follows another directly.
            other => panic!("{other:?} in {event}"),
        }
    }
}
