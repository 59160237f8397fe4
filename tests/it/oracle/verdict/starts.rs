//! **Started once**: a task that is ready and is to start by itself is started right there, in the transaction of what made it
//! ready, with one execution. Nothing else is executed, and each execution ends once.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::oracle::history::History;
use crate::oracle::message::Message;
use crate::oracle::observer::Log;
use crate::oracle::truth::Truth;

use super::{Court, from_the_first};

pub fn started_once(history: &History, truth: &Truth, court: &mut Court) {
    for observer in &history.observers {
        follow(history, observer, truth, court);
    }
    // What a crash has left of them.
    let queued = truth.events.values().map(|told| &told.message).filter(|event| is_queued(event));
    let mut missing: HashSet<&str> = HashSet::new();
    for event in queued {
        let is_first = missing.insert(event.text("execution_id"));
        court.holds(is_first, || format!("queued again: {event}"));
    }
    let hole = truth.last_hole(history.head);
    for execution in &history.executions {
        let was_queued = missing.remove(execution["id"].as_str().expect("an id"));
        court.holds(was_queued || hole > 0, || format!("nobody saw it queued: {execution}"));
    }
    court.holds(missing.is_empty(), || format!("{missing:?} were queued and are no more"));
}

fn is_queued(event: &Message) -> bool {
    event.data["execution_event"] == "queued"
}

/// What an observer knows of executions.
#[derive(Default)]
struct Known<'a> {
    tasks: BTreeMap<&'a str, &'a Value>,
    /// The execution of each task that is queued or runs.
    live: HashMap<&'a str, &'a str>,
    /// The task whose execution is to be queued next.
    owed: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// The tasks that have to start before anything else happens.
    fn due(&self) -> Vec<&'a str> {
        let is_due = |(id, task): &(&&str, &&Value)| {
            task["ready"] == true && task["auto_start"] == true && !self.live.contains_key(**id)
        };
        self.tasks.iter().filter(is_due).map(|(id, _)| *id).collect()
    }

    /// Goes on by an event; what is wrong with it.
    fn step(&mut self, event: &'a Message) -> Result<(), &'static str> {
        let (task, id) = (event.text("task_id"), event.text("execution_id"));
        let due = self.due();
        let starts = event.data["reason"] == "auto_started" && event.kind == "task_updated";
        if let Some(owed) = self.owed.take()
            && !(owed == task && is_queued(event))
        {
            return Err("an execution should have been queued");
        } else if starts && !due.contains(&task) {
            return Err("it was not to start");
        } else if !due.is_empty() && !starts && !may_come_before_a_start(event) {
            return Err("a task should have started");
        }
        match (event.kind.as_str(), event.text("execution_event")) {
            ("task_created" | "task_updated", _) => {
                self.tasks.insert(task, &event.data);
                self.owed = starts.then_some(task);
                let is_started = event.data["status"] == "inprogress" && event.data["auto_start"] == false;
                if starts && !is_started {
                    return Err("it has not started");
                }
            }
            ("task_deleted", _) => {
                self.tasks.remove(task);
                if self.live.contains_key(task) {
                    return Err("it is being executed");
                }
            }
            ("execution_event", "queued") => {
                let is_owed = self.tasks.get(task).is_some_and(|task| task["reason"] == "auto_started");
                if !is_owed || self.live.insert(task, id).is_some() {
                    return Err("nothing asked for it");
                }
            }
            ("execution_event", _) if self.live.get(task) != Some(&id) => return Err("it is not live"),
            ("execution_event", "started") => {}
            ("execution_event", _) => drop(self.live.remove(task)),
            _ => {}
        }
        Ok(())
    }
}

/// Whether an event may stand between what makes a task ready and its start: what follows from the same cause.
fn may_come_before_a_start(event: &Message) -> bool {
    event.kind == "lease_event" || event.data["changed"] == json!(["ready"]) || is_queued(event)
}

fn follow(history: &History, observer: &Log, truth: &Truth, court: &mut Court) {
    let mut known = Known::default();
    let seen = from_the_first(observer, truth);
    for told in &seen {
        let event = &told.message;
        if let Err(words) = known.step(event) {
            court.holds(false, || format!("{}: {words}: {event}", observer.name));
        }
    }
    let is_whole = seen.last().is_some_and(|told| told.message.seq == history.head);
    let is_over = known.due().is_empty() && known.owed.is_none() && known.live.is_empty();
    court.holds(!is_whole || is_over, || {
        format!("{}: {:?} never started, {:?} never ended", observer.name, known.due(), known.live)
    });
}
