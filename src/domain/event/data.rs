//! The `data` of each kind of event.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::execution::{Execution, ExecutionPhase};
use crate::domain::id::{ExecutionId, QuestionId, TaskId};
use crate::domain::lease::Lease;
use crate::domain::project::{Project, ProjectName};
use crate::domain::schema::word_enum;
use crate::domain::task::{Priority, Status, Task, TaskField, TaskKey};
use crate::domain::text::{Artifact, Assignee, Tag, Title, TokenName};

use super::announcement::AnnouncementEventData;
use super::conversation::{CommentEventData, QuestionEventData};
use super::lease::LeaseEventData;

/// The `data` of an event. Every kind has an `actor`, which is null until the event is
/// [signed](super::NewEvent::signed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EventData {
    Task(TaskEventData),
    TaskDeleted(TaskDeletedData),
    Project(ProjectEventData),
    Lease(LeaseEventData),
    Execution(ExecutionEventData),
    Comment(CommentEventData),
    Question(QuestionEventData),
    Announcement(AnnouncementEventData),
}

word_enum! {
    /// Why the hub has changed a task by itself.
    ChangeReason {
        /// its lease has ended without a renewal or a report
        LeaseExpired = "lease_expired",
        /// its leases have expired as often as `attempts_max` allows
        AttemptsExhausted = "attempts_exhausted",
        /// it became ready, and `auto_start` was set
        AutoStarted = "auto_started",
    }
}

/// The state of a task after a change. Copy these fields over your own copy to follow the task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct TaskEventData {
    /// The task.
    pub task_id: TaskId,
    /// The project that it belongs to.
    pub project: ProjectName,
    /// What people call it by.
    pub key: TaskKey,
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
    /// The tasks that have to be `done` before it is ready.
    pub blocked_by: Vec<TaskId>,
    /// Whether somebody may begin now.
    pub ready: bool,
    /// Whether the hub starts an execution as soon as it is ready.
    pub auto_start: bool,
    /// The lease of the worker that has it; null when nobody has claimed it.
    #[oai(nullable)]
    pub lease: Option<Lease>,
    /// How many of its leases have expired.
    #[oai(validator(minimum(value = "0")))]
    pub attempts: i64,
    /// After so many expired leases it goes to `review`.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub attempts_max: i64,
    /// Its open questions.
    pub waiting_for: Vec<QuestionId>,
    /// Its version now.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// The fields that differ from the version before; empty for a new task.
    pub changed: Vec<TaskField>,
    /// Why the hub has changed it by itself; null when somebody has asked for the change.
    #[oai(nullable)]
    pub reason: Option<ChangeReason>,
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
            project: task.project.clone(),
            key: task.key.clone(),
            title: task.title.clone(),
            status: task.status,
            priority: task.priority,
            assignee: task.assignee.clone(),
            tags: task.tags.clone(),
            artifacts: task.artifacts.clone(),
            blocked_by: task.blocked_by.clone(),
            ready: task.ready,
            auto_start: task.auto_start,
            lease: task.lease.clone(),
            attempts: task.attempts,
            attempts_max: task.attempts_max,
            waiting_for: task.waiting_for.clone(),
            version: task.version,
            created_at: task.created_at,
            changed,
            reason: None,
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
    /// The project that it belonged to.
    pub project: ProjectName,
    /// What people called it by.
    pub key: TaskKey,
    /// Its last title.
    pub title: Title,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

/// The state of a project after a change, or its last one when it is no more.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct ProjectEventData {
    /// The project.
    pub project: ProjectName,
    /// Its title.
    pub title: Title,
    /// Whether it is closed for new tasks.
    pub archived: bool,
    /// Its version.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

impl ProjectEventData {
    pub fn of(project: &Project) -> Self {
        Self {
            project: project.project.clone(),
            title: project.title.clone(),
            archived: project.archived,
            version: project.version,
            actor: None,
        }
    }
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
