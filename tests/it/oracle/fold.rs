//! A client that keeps the tasks by copying what the stream says over its own copy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::filter::Filter;
use super::message::Message;

/// What every event of a task tells of it.
const TOLD: &[&str] = &[
    "project",
    "key",
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
    "version",
];
/// What no event tells.
const UNTOLD: &[&str] = &["description", "script"];

/// The tasks as one client has them.
#[derive(Debug, Clone, Default)]
pub struct Tasks(BTreeMap<String, Task>);

#[derive(Debug, Clone, Default)]
struct Task {
    fields: Map<String, Value>,
    /// Fields that have a value which the client cannot know.
    unknown: BTreeSet<&'static str>,
}

impl Tasks {
    /// Takes a part of a snapshot in.
    pub fn add(&mut self, part: &Message) {
        for task in part.data["tasks"].as_array().expect("a list") {
            let fields = task.as_object().expect("an object").clone();
            let id = fields["id"].as_str().expect("an id").to_owned();
            self.0.insert(id, Task { fields, unknown: BTreeSet::new() });
        }
    }

    /// Takes an event in that has passed `filter`.
    pub fn apply(&mut self, event: &Message, filter: &Filter) {
        let id = event.text("task_id");
        match event.kind.as_str() {
            "task_created" | "task_updated" if filter.holds(id, &event.data) => {
                let task = self.0.entry(id.to_owned()).or_insert_with(|| Task::new(id, event));
                task.update(event);
            }
            "task_created" | "task_updated" | "task_deleted" => drop(self.0.remove(id)),
            _ => {}
        }
    }

    /// Leaves those that a filter on tasks shows.
    pub fn keep(&mut self, filter: &Filter) {
        self.0.retain(|id, task| filter.holds(id, &Value::Object(task.fields.clone())));
    }

    /// Where these tasks and those differ, in words.
    pub fn differs_from(&self, listed: &[&Value]) -> Option<String> {
        let mut left: BTreeSet<&str> = self.0.keys().map(String::as_str).collect();
        for task in listed {
            let id = task["id"].as_str().expect("an id");
            if !left.remove(id) {
                return Some(format!("the client lacks {task}"));
            }
            let mine = &self.0[id];
            let fields = task.as_object().expect("an object");
            let known = |name: &&String| !mine.unknown.contains(name.as_str());
            if let Some(name) =
                fields.keys().filter(known).find(|name| fields.get(*name) != mine.fields.get(*name))
            {
                let (theirs, mine) = (&fields[name], mine.fields.get(name));
                return Some(format!("{name} of {id} is {mine:?} with the client and {theirs} in the list"));
            }
        }
        left.first().map(|id| format!("the client still has {:?}", self.0[*id].fields))
    }
}

impl Task {
    fn new(id: &str, event: &Message) -> Self {
        let mut task = Self { fields: Map::new(), unknown: UNTOLD.iter().copied().collect() };
        task.fields.insert("id".into(), id.into());
        if event.kind == "task_created" {
            task.fields.insert("created_at".into(), event.timestamp.clone().into());
        } else {
            task.unknown.insert("created_at");
        }
        task
    }

    fn update(&mut self, event: &Message) {
        for name in TOLD {
            self.fields.insert((*name).into(), event.data[name].clone());
        }
        self.fields.insert("updated_at".into(), event.timestamp.clone().into());
        let changed = event.data["changed"].as_array().expect("a list");
        let untold = UNTOLD.iter().filter(|name| changed.iter().any(|it| it == **name));
        self.unknown.extend(untold);
    }
}
