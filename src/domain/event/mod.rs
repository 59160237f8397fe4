//! Events: what happened, in the one form in which the hub stores, streams and returns it.
//!
//! The hub encodes an event exactly once, when it appends the event to the log. [`Envelope`] is the
//! only encoder. `data` nests nothing but lists. A field without a value is `null`, never absent.
//! So a client that copies the fields of `task_updated` over its own copy of the task has the
//! current task.

mod announcement;
mod conversation;
mod data;
mod envelope;
mod id;
mod lease;
mod meta;
mod text_change;

pub use announcement::{
    AnnouncementData, AnnouncementEventData, AnnouncementLevel, MESSAGE_CHARS_MAX, Message,
};
pub use conversation::{CommentEventData, LongField, QuestionEventData};
pub use data::{
    ChangeReason, EventData, ExecutionEventData, ProjectEventData, TaskDeletedData, TaskEventData,
};
pub use envelope::{Envelope, encode};
pub use id::{Epoch, EventId};
pub use lease::{LeaseEventData, LeasePhase};
pub use meta::{EventMeta, Facets, Subject, TaskMeta};
pub use text_change::{TaskText, TextChange};

use std::sync::Arc;

use bytes::Bytes;

use super::clock::Timestamp;
use super::comment::Comment;
use super::execution::{Execution, ExecutionPhase};
use super::lease::Lease;
use super::project::Project;
use super::question::{Question, QuestionStatus};
use super::schema::word_enum;
use super::task::{Task, TaskField};
use super::text::TokenName;

word_enum! {
    /// The kinds of event that the log keeps.
    EventKind {
        /// after `createTask`
        TaskCreated = "task_created",
        /// after `updateTask` or `updateTaskStatus`, and when an execution moves its task or adds artifacts to it
        TaskUpdated = "task_updated",
        /// after `deleteTask`
        TaskDeleted = "task_deleted",
        /// after `startExecution`, and as the execution goes on
        ExecutionEvent = "execution_event",
        /// after `announce`
        Announcement = "announcement",
        /// after `createProject`
        ProjectCreated = "project_created",
        /// after `updateProject`, unless that closes the project
        ProjectUpdated = "project_updated",
        /// after `updateProject` when that closes the project for new tasks
        ProjectArchived = "project_archived",
        /// after `deleteProject`
        ProjectDeleted = "project_deleted",
        /// after `claimTask`, `returnLease` and `renewLease` if asked for, and when a lease ends without
        /// its worker's report that the task goes on to `review` or `done`
        LeaseEvent = "lease_event",
        /// after `addComment`
        CommentAdded = "comment_added",
        /// after `askQuestion`
        QuestionAsked = "question_asked",
        /// after `answerQuestion`
        QuestionAnswered = "question_answered",
        /// when nobody has answered a question until its deadline, and when its task is deleted
        QuestionExpired = "question_expired",
    }
}

/// Something that happened and has no position in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub meta: EventMeta,
    pub data: EventData,
    /// What it changes in the texts that a search reads.
    pub text: Option<Arc<TextChange>>,
}

impl NewEvent {
    pub fn task_created(task: &Task) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskCreated,
                subject: TaskMeta { id: task.id, before: None, after: Some(Facets::of(task)) }.into(),
            },
            data: EventData::Task(TaskEventData::of(task, Vec::new())),
            text: TextChange::created(task),
        }
    }

    pub fn task_updated(
        before: &Task,
        after: &Task,
        changed: Vec<TaskField>,
        reason: Option<ChangeReason>,
    ) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskUpdated,
                subject: TaskMeta {
                    id: after.id,
                    before: Some(Facets::of(before)),
                    after: Some(Facets::of(after)),
                }
                .into(),
            },
            text: TextChange::changed(before, after, &changed),
            data: EventData::Task(TaskEventData { reason, ..TaskEventData::of(after, changed) }),
        }
    }

    pub fn task_deleted(task: &Task) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskDeleted,
                subject: TaskMeta { id: task.id, before: Some(Facets::of(task)), after: None }.into(),
            },
            data: EventData::TaskDeleted(TaskDeletedData {
                task_id: task.id,
                project: task.project.clone(),
                key: task.key.clone(),
                title: task.title.clone(),
                actor: None,
            }),
            text: None,
        }
    }

    /// `task` is `None` when somebody deleted the task while the execution went on.
    pub fn execution(execution: &Execution, phase: ExecutionPhase, task: Option<&Task>) -> Self {
        let facets = task.map(Facets::of);
        Self {
            meta: EventMeta {
                kind: EventKind::ExecutionEvent,
                subject: TaskMeta { id: execution.task_id, before: facets.clone(), after: facets }.into(),
            },
            data: EventData::Execution(ExecutionEventData::of(execution, phase)),
            text: None,
        }
    }

    /// `task` is the one that the comment is about.
    pub fn comment(comment: &Comment, task: &Task) -> Self {
        Self {
            meta: EventMeta { kind: EventKind::CommentAdded, subject: TaskMeta::unchanged(task).into() },
            data: EventData::Comment(CommentEventData::of(comment)),
            text: TextChange::commented(comment),
        }
    }

    /// What has just happened to a question. `task` is the one that it is about.
    pub fn question(question: &Question, task: &Task) -> Self {
        let kind = match question.status {
            QuestionStatus::Open => EventKind::QuestionAsked,
            QuestionStatus::Answered => EventKind::QuestionAnswered,
            QuestionStatus::Expired => EventKind::QuestionExpired,
        };
        Self {
            meta: EventMeta { kind, subject: TaskMeta::unchanged(task).into() },
            data: EventData::Question(QuestionEventData::of(question)),
            text: None,
        }
    }

    pub fn announcement(data: AnnouncementData) -> Self {
        let AnnouncementData { level, message } = data;
        Self {
            meta: EventMeta { kind: EventKind::Announcement, subject: Subject::Hub },
            data: EventData::Announcement(AnnouncementEventData { level, message, actor: None }),
            text: None,
        }
    }

    /// `task` is the task as the step leaves it.
    pub fn lease(task: &Task, lease: &Lease, phase: LeasePhase) -> Self {
        let facets = Some(Facets::of(task));
        Self {
            meta: EventMeta {
                kind: EventKind::LeaseEvent,
                subject: TaskMeta { id: task.id, before: facets.clone(), after: facets }.into(),
            },
            data: EventData::Lease(LeaseEventData::of(task.id, lease, phase)),
            text: None,
        }
    }

    /// `kind` is one of those of projects.
    pub fn project(kind: EventKind, project: &Project) -> Self {
        Self {
            meta: EventMeta { kind, subject: Subject::Project(project.project.clone()) },
            data: EventData::Project(ProjectEventData::of(project)),
            text: None,
        }
    }

    /// The same event, with `name` as the one who caused it.
    pub fn signed(mut self, name: TokenName) -> Self {
        let actor = match &mut self.data {
            EventData::Task(data) => &mut data.actor,
            EventData::TaskDeleted(data) => &mut data.actor,
            EventData::Project(data) => &mut data.actor,
            EventData::Lease(data) => &mut data.actor,
            EventData::Execution(data) => &mut data.actor,
            EventData::Comment(data) => &mut data.actor,
            EventData::Question(data) => &mut data.actor,
            EventData::Announcement(data) => &mut data.actor,
        };
        *actor = Some(name);
        self
    }

    /// The envelope of this event, with its position in the log.
    pub fn encode(&self, id: EventId, at: Timestamp) -> Bytes {
        Envelope { id, event: self.meta.kind.word(), data: &self.data, timestamp: at }.encode()
    }
}

/// An event with its position in the log. It is committed and never changes again.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: u64,
    pub at: Timestamp,
    /// Bytes of all earlier events of the log, also of those that retention has removed.
    pub bytes_before: u64,
    pub meta: EventMeta,
    /// The encoded envelope.
    pub body: Bytes,
    /// What the event changes in the texts that a search reads. An event that was read from the log has none.
    pub text: Option<Arc<TextChange>>,
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The seq of the last event; 0 when there was none yet.
    pub head: u64,
    /// Bytes of all events that the log has ever held.
    pub bytes: u64,
}

/// The time of an event and its place in the log's bytes. It tells how far behind a client is that
/// waits for this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMark {
    pub at: Timestamp,
    /// Bytes of all earlier events of the log.
    pub bytes_before: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_one_line_in_a_fixed_order() {
        let event = NewEvent::announcement(AnnouncementData {
            level: AnnouncementLevel::Info,
            message: "a\r\nb\u{2028}c\u{85}".parse().expect("valid"),
        });
        let body = event.encode(EventId::new(Epoch(1), 2), Timestamp::from_ms(0));
        assert_eq!(
            std::str::from_utf8(&body).expect("UTF-8"),
            "{\"id\":\"00000001-2\",\"event\":\"announcement\",\"data\":{\"level\":\"info\",\
             \"message\":\"a\\r\\nb\\u2028c\\u0085\",\"actor\":null},\"timestamp\":\"1970-01-01T00:00:00.000Z\"}"
        );
    }
}
