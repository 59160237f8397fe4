//! The changes that a caller can ask for: a patch of a task, and a report of its status.

use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;
use serde::{Deserialize, Serialize};

use crate::domain::comment::CommentText;
use crate::domain::error::Invalid;
use crate::domain::id::TaskId;
use crate::domain::text::{Artifact, Assignee, Description, Script, Tag, Title};

use super::{Priority, Status};

/// A JSON Merge Patch (RFC 7396) of a task: what is absent stays, `null` clears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields, default)]
pub struct TaskPatch {
    /// A new title. A title cannot be cleared.
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub title: MaybeUndefined<Title>,
    /// A new description; null empties it.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub description: MaybeUndefined<Description>,
    /// A new status. A status cannot be cleared.
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub status: MaybeUndefined<Status>,
    /// A new priority; null clears it.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub priority: MaybeUndefined<Priority>,
    /// A new assignee; null clears it.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub assignee: MaybeUndefined<Assignee>,
    /// The new list of labels, as a whole; null empties it.
    #[oai(nullable, validator(max_items = 50))]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub tags: MaybeUndefined<Vec<Tag>>,
    /// The new list of artifacts, as a whole, at most 65,536 characters together; null empties it.
    #[oai(nullable, validator(max_items = 1000))]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub artifacts: MaybeUndefined<Vec<Artifact>>,
    /// A new script; null clears it. Changes what an execution will run.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub script: MaybeUndefined<Script>,
    /// The new list of tasks that have to be `done` first, as a whole; null empties it.
    #[oai(nullable, validator(max_items = 100))]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub blocked_by: MaybeUndefined<Vec<TaskId>>,
    /// `true` starts an execution as soon as the task is ready, once. Changes what the hub will run.
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub auto_start: MaybeUndefined<bool>,
    /// After so many expired leases the task goes to `review`.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub attempts_max: MaybeUndefined<i64>,
}

/// A report on a task's progress: its new status, and what else the reporter knows.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct StatusUpdate {
    /// Where the task stands now.
    pub new_status: Status,
    /// The new priority; absent or null leaves it as it is.
    #[oai(nullable)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The new assignee; absent or null leaves it as it is.
    #[oai(nullable)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Assignee>,
    /// The new list of artifacts, as a whole, at most 65,536 characters together; absent or null leaves it
    /// as it is.
    #[oai(nullable, validator(max_items = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<Artifact>>,
    /// What to tell people about it: a comment on the task, Markdown of 1–16,384 characters.
    #[oai(nullable)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<CommentText>,
}

impl From<StatusUpdate> for TaskPatch {
    fn from(update: StatusUpdate) -> Self {
        Self {
            status: MaybeUndefined::Value(update.new_status),
            priority: given(update.priority),
            assignee: given(update.assignee),
            artifacts: given(update.artifacts),
            ..Self::default()
        }
    }
}

impl TaskPatch {
    /// Refuses to clear a field that every task has. This needs no task.
    ///
    /// # Errors
    /// [`Invalid`]
    pub fn checked(self) -> Result<Self, Invalid> {
        let needed = [
            ("title", self.title.is_null()),
            ("status", self.status.is_null()),
            ("auto_start", self.auto_start.is_null()),
            ("attempts_max", self.attempts_max.is_null()),
        ];
        for (field, cleared) in needed {
            if cleared {
                return Err(Invalid::new(field, "cannot be cleared; send a value or leave it out"));
            }
        }
        Ok(self)
    }
}

fn given<T>(value: Option<T>) -> MaybeUndefined<T> {
    value.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value)
}
