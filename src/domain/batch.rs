//! Several changes of tasks in one request.

use poem_openapi::Object;
use serde::{Deserialize, Deserializer, Serialize};

use super::comment::CommentText;
use super::error::Invalid;
use super::id::{LeaseId, TaskId};
use super::schema::word_enum;
use super::task::{StatusUpdate, TaskDraft, TaskPatch};

/// Most operations of a batch.
pub const OPERATIONS_MAX: usize = 1000;

word_enum! {
    /// What an operation of a batch does.
    BatchAction {
        /// as `createTask`, with `task`
        Create = "create",
        /// as `updateTask`, with `task_id` and `patch`
        Update = "update",
        /// as `updateTaskStatus`, with `task_id` and `report`
        Report = "report",
        /// as `deleteTask`, with `task_id`
        Delete = "delete",
    }
}

/// An operation of a batch, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct BatchOperation {
    /// What to do; it tells which other fields are needed.
    pub action: BatchAction,
    /// The task to change or to delete.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The task to create.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskDraft>,
    /// The change of an `update`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub patch: Option<TaskPatch>,
    /// The report of a `report`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub report: Option<StatusUpdate>,
    /// The version that the change is meant for; with another one this operation is refused.
    #[oai(validator(minimum(value = "1"), maximum(value = "9223372036854775807")))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The lease that the caller holds the task by.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
}

/// A field that is there has a value: what an action does not have is left out rather than null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// An operation of a batch that has all it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum TaskOperation {
    Create(Box<TaskDraft>),
    Change {
        task: TaskId,
        patch: Box<TaskPatch>,
        comment: Option<CommentText>,
        version: Option<i64>,
        lease: Option<LeaseId>,
    },
    Delete {
        task: TaskId,
        version: Option<i64>,
        lease: Option<LeaseId>,
    },
}

impl BatchOperation {
    /// # Errors
    /// [`Invalid`] when a field that the action needs is missing, or one is there that it does not have.
    pub fn checked(self) -> Result<TaskOperation, Invalid> {
        let Self { action, task_id, task, patch, report, version, lease } = self;
        let all = [
            ("task_id", task_id.is_some()),
            ("task", task.is_some()),
            ("patch", patch.is_some()),
            ("report", report.is_some()),
            ("version", version.is_some()),
            ("lease", lease.is_some()),
        ];
        let fields: &[&str] = match action {
            BatchAction::Create => &["task"],
            BatchAction::Update => &["task_id", "patch", "version", "lease"],
            BatchAction::Report => &["task_id", "report", "version", "lease"],
            BatchAction::Delete => &["task_id", "version", "lease"],
        };
        if let Some((field, _)) = all.iter().find(|(field, is_there)| *is_there && !fields.contains(field)) {
            return Err(Invalid::new(*field, format!("`{action}` has no such field; leave it out")));
        }
        let needed = |field: &str| Invalid::new(field, format!("is required for `{action}`"));
        let task_id = || task_id.ok_or_else(|| needed("task_id"));
        Ok(match action {
            BatchAction::Create => TaskOperation::Create(Box::new(task.ok_or_else(|| needed("task"))?)),
            BatchAction::Update => TaskOperation::Change {
                task: task_id()?,
                patch: Box::new(patch.ok_or_else(|| needed("patch"))?),
                comment: None,
                version,
                lease,
            },
            BatchAction::Report => {
                let mut report = report.ok_or_else(|| needed("report"))?;
                let (task, comment) = (task_id()?, report.comment.take());
                TaskOperation::Change { task, patch: Box::new(report.into()), comment, version, lease }
            }
            BatchAction::Delete => TaskOperation::Delete { task: task_id()?, version, lease },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_exactly_its_fields() {
        let id = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
        let field = |json: String| {
            let operation: BatchOperation = serde_json::from_str(&json).expect("an operation");
            operation.checked().err().map(|error| error.field)
        };
        assert_eq!(field(r#"{"action":"create","task":{"title":"t"}}"#.into()), None);
        assert_eq!(field(format!(r#"{{"action":"delete","task_id":"{id}","version":3}}"#)), None);
        let report = format!(r#"{{"action":"report","task_id":"{id}","report":{{"new_status":"done"}}}}"#);
        assert_eq!(field(report), None);
        assert_eq!(field(r#"{"action":"create"}"#.into()).as_deref(), Some("task"));
        assert_eq!(field(format!(r#"{{"action":"update","task_id":"{id}"}}"#)).as_deref(), Some("patch"));
        assert_eq!(field(r#"{"action":"delete"}"#.into()).as_deref(), Some("task_id"));
        let both = format!(r#"{{"action":"create","task":{{"title":"t"}},"task_id":"{id}"}}"#);
        assert_eq!(field(both).as_deref(), Some("task_id"));
    }
}
