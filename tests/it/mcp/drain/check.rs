//! What the log says of tasks that wait for each other, checked by the log alone.

use std::collections::HashMap;

use serde_json::Value;

use crate::claims::text;
use crate::harness::Client;

/// Counted in the log.
#[derive(Debug, Default)]
pub struct Counted {
    pub leases: usize,
    /// Whose leases have expired.
    pub expired: Vec<String>,
}

#[derive(Default)]
struct Task {
    blocked_by: Vec<String>,
    lease: Option<Value>,
    is_done: bool,
}

#[derive(Default)]
struct Log {
    tasks: HashMap<String, Task>,
    /// The task that each worker holds.
    held: HashMap<String, String>,
    counted: Counted,
}

/// # Panics
/// When the log tells of anything else than `tasks` tasks, each done once by who held it, and behind those that it waits for.
pub async fn check(client: &Client, tasks: usize) -> Counted {
    let mut log = Log::default();
    let (mut after, mut seq) = ("earliest".to_owned(), 0);
    loop {
        let events = client.get(&format!("/api/events?since={after}&limit=1000")).await.body;
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
        assert!(task.is_done && task.lease.is_none(), "{id} was not done");
    }
    assert!(log.held.is_empty(), "{:?}", log.held);
    log.counted
}

impl Log {
    fn apply(&mut self, event: &Value) {
        let data = &event["data"];
        let id = text(data, "/task_id").to_owned();
        match text(event, "/event") {
            "task_created" => {
                let blockers = data["blocked_by"].as_array().expect("a list").iter();
                let blocked_by = blockers.map(|it| it.as_str().expect("an id").to_owned()).collect();
                let is_new = self.tasks.insert(id, Task { blocked_by, ..Task::default() }).is_none();
                assert!(is_new, "{event}");
            }
            "task_updated" => self.update(&id, event),
            "comment_added" => {
                // The proof, said by who holds the task.
                assert_eq!(self.held.get(text(data, "/author")), Some(&id), "{event}");
            }
            "lease_event" => {}
            _ => panic!("nobody did {event}"),
        }
    }

    fn update(&mut self, id: &str, event: &Value) {
        let data = &event["data"];
        let task = self.tasks.get_mut(id).expect("a task");
        assert!(!task.is_done, "it was done before: {event}");
        let next = Some(&data["lease"]).filter(|lease| !lease.is_null()).cloned();
        let before = std::mem::replace(&mut task.lease, next.clone());
        match (before, next) {
            (None, Some(lease)) => {
                self.counted.leases += 1;
                let worker = text(&lease, "/worker").to_owned();
                assert_eq!((text(data, "/status"), text(data, "/assignee")), ("inprogress", worker.as_str()));
                let other = self.held.insert(worker, id.to_owned());
                assert_eq!(other, None, "a worker that was given another task: {event}");
                for blocker in self.tasks[id].blocked_by.clone() {
                    assert!(self.tasks[&blocker].is_done, "it waits for {blocker}: {event}");
                }
            }
            (Some(lease), None) => {
                let worker = text(&lease, "/worker");
                assert_eq!(self.held.remove(worker).as_deref(), Some(id), "{event}");
                if data["reason"] == "lease_expired" {
                    assert_eq!(text(data, "/status"), "todo", "{event}");
                    self.counted.expired.push(worker.to_owned());
                    return;
                }
                assert_eq!((text(data, "/status"), text(data, "/assignee")), ("done", worker), "{event}");
                task.is_done = true;
            }
            (Some(before), Some(next)) => {
                assert_eq!(before["id"], next["id"], "no owner follows another: {event}")
            }
            // One that it waited for was done.
            (None, None) => assert_eq!(text(data, "/status"), "todo", "{event}"),
        }
    }
}
