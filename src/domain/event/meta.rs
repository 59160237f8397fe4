//! What filters look at: the kind of an event, and the task's fields before and after it.

use serde::{Deserialize, Serialize};

use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::task::{Priority, Status, Task, TaskKey};
use crate::domain::text::{Assignee, NOBODY, Tag};

use super::EventKind;

/// The fields of a task that filters can match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// In events of the time before there were projects all tasks are in the one that they were put in later.
    #[serde(default)]
    pub project: ProjectName,
    /// Its number in the project; 0 in events of the time before there were keys.
    #[serde(default)]
    pub number: i64,
    #[serde(default)]
    pub ready: bool,
    pub status: Status,
    pub priority: Option<Priority>,
    pub assignee: Option<Assignee>,
    pub tags: Vec<Tag>,
}

impl Facets {
    pub fn of(task: &Task) -> Self {
        Self {
            project: task.project.clone(),
            number: task.key.number,
            ready: task.ready,
            status: task.status,
            priority: task.priority,
            assignee: task.assignee.clone(),
            tags: task.tags.clone(),
        }
    }

    /// Whether it is the task with this key.
    pub fn has_key(&self, key: &TaskKey) -> bool {
        self.number == key.number && self.project == key.project
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
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Task(TaskMeta),
    Project(ProjectName),
    /// Everybody.
    Hub,
}

impl From<TaskMeta> for Subject {
    fn from(task: TaskMeta) -> Self {
        Self::Task(task)
    }
}

impl EventMeta {
    /// The task it is about, if it is about one.
    pub fn task(&self) -> Option<&TaskMeta> {
        match &self.subject {
            Subject::Task(task) => Some(task),
            Subject::Project(_) | Subject::Hub => None,
        }
    }

    /// The memory that this value takes, in bytes. An estimate.
    pub fn weight(&self) -> u64 {
        let facets = self.task().into_iter().flat_map(|task| [&task.before, &task.after]).flatten();
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

impl TaskMeta {
    /// For an event about the task that does not change it.
    pub fn unchanged(task: &Task) -> Self {
        let facets = Some(Facets::of(task));
        Self { id: task.id, before: facets.clone(), after: facets }
    }
}
