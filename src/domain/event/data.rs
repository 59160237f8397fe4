//! The `data` of each kind of event.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::execution::{Execution, ExecutionPhase};
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::task::{Priority, Status, Task, TaskField};
use crate::domain::text::{Artifact, Assignee, Tag, Title, TokenName};

use super::announcement::AnnouncementEventData;

/// The `data` of an event. Every kind has an `actor`, which is null until the event is
/// [signed](super::NewEvent::signed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EventData {
    Task(TaskEventData),
    TaskDeleted(TaskDeletedData),
    Execution(ExecutionEventData),
    Announcement(AnnouncementEventData),
}

/// The state of a task after a change. Copy these fields over your own copy to follow the task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct TaskEventData {
    /// The task.
    pub task_id: TaskId,
    /// Its title now.
    pub title: Title,
    /// Its status now.
    pub status: Status,
    /// Its priority now; null when it has none.
    #[oai(nullable)]
    pub priority: Option<Priority>,
    /// Its assignee now; null when it has none.
    #[oai(nullable)]
    pub assignee: Option<Assignee>,
    /// Its tags now.
    pub tags: Vec<Tag>,
    /// Its artifacts now.
    pub artifacts: Vec<Artifact>,
    /// Its version now.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// The fields that differ from the version before; empty for a new task.
    pub changed: Vec<TaskField>,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
    /// Lists that were left out, and are empty here, since the stream was opened with `max_bytes`; absent when all is
    /// there. `getTask` has them.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Vec<TaskField>>,
}

impl TaskEventData {
    pub fn of(task: &Task, changed: Vec<TaskField>) -> Self {
        Self {
            task_id: task.id,
            title: task.title.clone(),
            status: task.status,
            priority: task.priority,
            assignee: task.assignee.clone(),
            tags: task.tags.clone(),
            artifacts: task.artifacts.clone(),
            version: task.version,
            created_at: task.created_at,
            changed,
            actor: None,
            omitted: None,
        }
    }
}

/// A task that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct TaskDeletedData {
    /// The task that was deleted.
    pub task_id: TaskId,
    /// Its last title.
    pub title: Title,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

/// A step in the life of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct ExecutionEventData {
    /// The task that is executed.
    pub task_id: TaskId,
    /// What happened.
    pub execution_event: ExecutionPhase,
    /// The execution.
    pub execution_id: ExecutionId,
    /// The name of its session: `taskhub-{number}`.
    #[oai(validator(pattern = "^taskhub-[0-9]+$"))]
    pub session_name: String,
    /// Where its output goes, relative to the data directory: `logs/task-{number}.log`.
    #[oai(validator(pattern = r"^logs/task-[0-9]+\.log$"))]
    pub log_file: String,
    /// The script's exit code once it has ended by itself; null before, and when a signal ended it.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "255")))]
    pub exit_code: Option<i32>,
    /// Milliseconds from start to end; null before the end.
    #[oai(nullable, validator(minimum(value = "0")))]
    pub duration_ms: Option<i64>,
    /// Why it ended as it did, in words; null when there is nothing to say.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// Which attempt it is: 1 for the first.
    #[oai(validator(minimum(value = "1"), maximum(value = "11")))]
    pub attempt: i32,
    /// How many attempts there may be.
    #[oai(validator(minimum(value = "1"), maximum(value = "11")))]
    pub attempts_max: i32,
    /// A repeated attempt does not start before this; null on the first one.
    #[oai(nullable)]
    pub not_before: Option<Timestamp>,
    /// The name of the token that asked for the execution, or, once somebody has asked it to stop, for that; null
    /// when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

impl ExecutionEventData {
    pub fn of(execution: &Execution, phase: ExecutionPhase) -> Self {
        Self {
            task_id: execution.task_id,
            execution_event: phase,
            execution_id: execution.id,
            session_name: execution.session_name.clone(),
            log_file: execution.log_file.clone(),
            exit_code: execution.exit_code,
            duration_ms: execution.duration_ms(),
            reason: execution.reason.clone(),
            attempt: execution.attempt,
            attempts_max: execution.attempts_max,
            not_before: execution.not_before,
            actor: None,
        }
    }
}
