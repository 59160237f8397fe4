//! What filters look at: the kind of an event, and the task's fields before and after it.

use serde::{Deserialize, Serialize};

use crate::domain::id::TaskId;
use crate::domain::task::{Priority, Status, Task};
use crate::domain::text::{Assignee, NOBODY, Tag};

use super::EventKind;

/// The fields of a task that filters can match.
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

    /// The assignee as a filter writes it: [`NOBODY`] when the task has none.
    pub fn assignee_word(&self) -> &str {
        self.assignee.as_ref().map_or(NOBODY, Assignee::as_str)
    }
}

/// What a filter needs to know about an event. So no filter has to parse the event's JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMeta {
    pub kind: EventKind,
    /// The task that the event is about, if there is one.
    pub task: Option<TaskMeta>,
}

impl EventMeta {
    /// The memory that this value takes, in bytes. An estimate.
    pub fn weight(&self) -> u64 {
        let facets = self.task.iter().flat_map(|task| [&task.before, &task.after]).flatten();
        let texts = facets
            .flat_map(|it| it.tags.iter().map(Tag::as_str).chain(it.assignee.as_ref().map(Assignee::as_str)));
        // 48 bytes stand for the string's header and the allocator's rounding.
        let texts: usize = texts.map(|text| text.len() + 48).sum();
        (texts + size_of::<Self>()) as u64
    }
}

/// The task before and after an event. Both are equal when the event does not change the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskMeta {
    pub id: TaskId,
    pub before: Option<Facets>,
    pub after: Option<Facets>,
}
