//! What filters look at.

use serde::{Deserialize, Serialize};

use crate::domain::id::TaskId;
use crate::domain::task::{Priority, Status, Task};
use crate::domain::text::{Assignee, NOBODY, Tag};

use super::EventKind;

/// The fields of a task that a stream can be filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    pub status: Status,
    pub priority: Option<Priority>,
    pub assignee: Option<Assignee>,
    pub tags: Vec<Tag>,
}

impl Facets {
    pub fn of(task: &Task) -> Self {
        Self {
            status: task.status,
            priority: task.priority,
            assignee: task.assignee.clone(),
            tags: task.tags.clone(),
        }
    }

    /// What a filter calls the assignee.
    pub fn assignee_word(&self) -> &str {
        self.assignee.as_ref().map_or(NOBODY, Assignee::as_str)
    }
}

/// What a filter needs to know of an event, so that no filter ever parses JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMeta {
    pub kind: EventKind,
    /// The task it is about, if it is about one.
    pub task: Option<TaskMeta>,
}

impl EventMeta {
    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> u64 {
        let facets = self.task.iter().flat_map(|task| [&task.before, &task.after]).flatten();
        let texts = facets
            .flat_map(|it| it.tags.iter().map(Tag::as_str).chain(it.assignee.as_ref().map(Assignee::as_str)));
        // A string is its text, its header and the allocator's rounding.
        let texts: usize = texts.map(|text| text.len() + 48).sum();
        (texts + size_of::<Self>()) as u64
    }
}

/// The task before and after an event; the same twice for an event that leaves the task as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskMeta {
    pub id: TaskId,
    pub before: Option<Facets>,
    pub after: Option<Facets>,
}
