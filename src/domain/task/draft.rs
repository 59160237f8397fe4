//! What a caller says of a task that it creates.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::text::{Artifact, Assignee, Description, Script, Tag, Title};

use super::{Priority, Status};

/// What it takes to create a task. Only `title` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct TaskDraft {
    /// The project that the task belongs to.
    #[oai(default)]
    #[serde(default, skip_serializing_if = "ProjectName::is_default")]
    pub project: ProjectName,
    /// What the task is called; never blank.
    pub title: Title,
    /// Markdown.
    #[oai(default)]
    #[serde(default)]
    pub description: Description,
    /// Where the task starts.
    #[oai(default = "todo")]
    #[serde(default = "todo")]
    pub status: Status,
    /// How urgent it is.
    #[oai(nullable)]
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Who does it.
    #[oai(nullable)]
    #[serde(default)]
    pub assignee: Option<Assignee>,
    /// Labels; repetitions are dropped.
    #[oai(default, validator(max_items = 50))]
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Paths of what the task has produced, at most 65,536 characters together; repetitions are dropped.
    #[oai(default, validator(max_items = 1000))]
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// What an execution of the task runs.
    #[oai(nullable)]
    #[serde(default)]
    pub script: Option<Script>,
    /// The tasks that have to be `done` first, of any project; repetitions are dropped.
    #[oai(default, validator(max_items = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<TaskId>,
    /// Starts an execution as soon as the task is ready, once. Needs the scope `exec`.
    #[oai(default)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_start: bool,
    /// After so many expired leases the task goes to `review`.
    #[oai(default = "attempts_max", validator(minimum(value = "1"), maximum(value = "100")))]
    #[serde(default = "attempts_max", skip_serializing_if = "is_attempts_max")]
    pub attempts_max: i64,
}

impl TaskDraft {
    /// A draft with everything but the title as it is when nothing is said.
    pub fn titled(title: Title) -> Self {
        Self {
            project: ProjectName::default(),
            title,
            description: Description::default(),
            status: todo(),
            priority: None,
            assignee: None,
            tags: Vec::new(),
            artifacts: Vec::new(),
            script: None,
            blocked_by: Vec::new(),
            auto_start: false,
            attempts_max: ATTEMPTS_MAX,
        }
    }
}

/// How often a task may be lost by its workers unless its creator says otherwise.
const ATTEMPTS_MAX: i64 = 3;

fn attempts_max() -> i64 {
    ATTEMPTS_MAX
}

fn is_attempts_max(value: &i64) -> bool {
    *value == ATTEMPTS_MAX
}

fn todo() -> Status {
    Status::Todo
}
