//! A filter, decided from the messages alone: written for the oracle, after the specification.

use serde_json::Value;

use super::message::Message;
use super::random::Random;
use super::words;

/// What a stream asks for: lists combined with AND, each with OR; an empty one asks for nothing in particular.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub events: Vec<String>,
    pub tasks: Vec<String>,
    pub statuses: Vec<String>,
    pub priorities: Vec<String>,
    pub assignees: Vec<String>,
    pub tags: Vec<String>,
}

/// A task before an event, as far as one can know.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// Events that would tell are lost.
    Unknown,
    Nothing,
    Task(&'a Value),
}

fn owned(list: Vec<&str>) -> Vec<String> {
    list.into_iter().map(str::to_owned).collect()
}

impl Filter {
    /// Some filter on what tasks carry.
    pub fn on_tasks(random: &mut Random) -> Self {
        let mut filter = Self::default();
        while filter.is_empty() {
            if random.chance(40) {
                filter.statuses = owned(random.some(words::STATUSES, 2));
            }
            if random.chance(25) {
                filter.priorities = owned(random.some(words::PRIORITY_FILTERS, 2));
            }
            if random.chance(25) {
                filter.assignees = owned(random.some(words::ASSIGNEES, 2));
            }
            if random.chance(25) {
                filter.tags = owned(random.some(words::TAGS, 2));
            }
        }
        filter
    }

    /// Some filter on kinds of events, and perhaps on what tasks carry.
    pub fn on_events(random: &mut Random) -> Self {
        let filter = if random.chance(30) { Self::on_tasks(random) } else { Self::default() };
        Self { events: owned(random.some(words::KINDS, 3)), ..filter }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the tasks that it shows can be followed by it.
    pub fn shows_whole_tasks(&self) -> bool {
        self.events.is_empty()
    }

    /// As part of a query, with `&` before each list.
    pub fn query(&self) -> String {
        let lists = [("events", &self.events), ("task_id", &self.tasks)];
        pairs(&lists) + &self.query_on_tasks()
    }

    /// The part that a list of tasks understands, too.
    pub fn query_on_tasks(&self) -> String {
        pairs(&[
            ("status", &self.statuses),
            ("priority", &self.priorities),
            ("assignee", &self.assignees),
            ("tag", &self.tags),
        ])
    }

    /// Whether a task, or what an event tells of one, is of those asked for.
    pub fn holds(&self, id: &str, task: &Value) -> bool {
        let one_of = |list: &[String], value: &Value| {
            list.is_empty() || list.iter().any(|it| it == value.as_str().unwrap_or("none"))
        };
        let tags = task["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        (self.tasks.is_empty() || self.tasks.iter().any(|it| it == id))
            && one_of(&self.statuses, &task["status"])
            && one_of(&self.priorities, &task["priority"])
            && one_of(&self.assignees, &task["assignee"])
            && (self.tags.is_empty() || tags.iter().any(|tag| one_of(&self.tags, tag)))
    }

    /// Whether an event passes: its task is of those asked for before *or* after. `None` when one cannot know.
    pub fn passes(&self, event: &Message, before: Before<'_>) -> Option<bool> {
        if !self.events.is_empty() && !self.events.contains(&event.kind) {
            return Some(false);
        }
        let of_tasks = Self { events: vec![], ..self.clone() };
        let id = event.text("task_id");
        if id.is_empty() || of_tasks.is_empty() {
            return Some(of_tasks.is_empty());
        }
        if !self.tasks.is_empty() && !self.tasks.iter().any(|it| it == id) {
            return Some(false);
        }
        if !event.tells_task() && !self.query_on_tasks().is_empty() {
            // It changes nothing of the task.
            return match before {
                Before::Unknown => None,
                Before::Nothing => Some(false),
                Before::Task(task) => Some(self.holds(id, task)),
            };
        }
        let is_after = event.kind != "task_deleted" && self.holds(id, &event.data);
        match before {
            _ if is_after => Some(true),
            _ if self.query_on_tasks().is_empty() => Some(true),
            Before::Unknown => None,
            Before::Nothing => Some(false),
            Before::Task(task) => Some(self.holds(id, task)),
        }
    }
}

fn pairs(lists: &[(&str, &Vec<String>)]) -> String {
    let pair = |(name, list): &(&str, &Vec<String>)| match list.is_empty() {
        true => String::new(),
        false => format!("&{name}={}", words::percent_encoded(&list.join(","))),
    };
    lists.iter().map(pair).collect()
}
