//! Events: what happened, in the one form in which the hub stores, streams and returns it.
//!
//! The hub encodes an event exactly once, when it appends the event to the log. [`Envelope`] is the
//! only encoder. `data` nests nothing but lists. A field without a value is `null`, never absent.
//! So a client that copies the fields of `task_updated` over its own copy of the task has the
//! current task.

mod announcement;
mod data;
mod envelope;
mod id;
mod meta;

pub use announcement::{
    AnnouncementData, AnnouncementEventData, AnnouncementLevel, MESSAGE_CHARS_MAX, Message,
};
pub use data::{EventData, ExecutionEventData, TaskDeletedData, TaskEventData};
pub use envelope::{Envelope, encode};
pub use id::{Epoch, EventId};
pub use meta::{EventMeta, Facets, TaskMeta};

use bytes::Bytes;

use super::clock::Timestamp;
use super::execution::{Execution, ExecutionPhase};
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
    }
}

/// Something that happened and has no position in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub meta: EventMeta,
    pub data: EventData,
}

impl NewEvent {
    pub fn task_created(task: &Task) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskCreated,
                task: Some(TaskMeta { id: task.id, before: None, after: Some(Facets::of(task)) }),
            },
            data: EventData::Task(TaskEventData::of(task, Vec::new())),
        }
    }

    pub fn task_updated(before: &Task, after: &Task, changed: Vec<TaskField>) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskUpdated,
                task: Some(TaskMeta {
                    id: after.id,
                    before: Some(Facets::of(before)),
                    after: Some(Facets::of(after)),
                }),
            },
            data: EventData::Task(TaskEventData::of(after, changed)),
        }
    }

    pub fn task_deleted(task: &Task) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskDeleted,
                task: Some(TaskMeta { id: task.id, before: Some(Facets::of(task)), after: None }),
            },
            data: EventData::TaskDeleted(TaskDeletedData {
                task_id: task.id,
                title: task.title.clone(),
                actor: None,
            }),
        }
    }

    /// `task` is `None` when somebody deleted the task while the execution went on.
    pub fn execution(execution: &Execution, phase: ExecutionPhase, task: Option<&Task>) -> Self {
        let facets = task.map(Facets::of);
        Self {
            meta: EventMeta {
                kind: EventKind::ExecutionEvent,
                task: Some(TaskMeta { id: execution.task_id, before: facets.clone(), after: facets }),
            },
            data: EventData::Execution(ExecutionEventData::of(execution, phase)),
        }
    }

    pub fn announcement(data: AnnouncementData) -> Self {
        let AnnouncementData { level, message } = data;
        Self {
            meta: EventMeta { kind: EventKind::Announcement, task: None },
            data: EventData::Announcement(AnnouncementEventData { level, message, actor: None }),
        }
    }

    /// The same event, with `name` as the one who caused it.
    pub fn signed(mut self, name: TokenName) -> Self {
        let actor = match &mut self.data {
            EventData::Task(data) => &mut data.actor,
            EventData::TaskDeleted(data) => &mut data.actor,
            EventData::Execution(data) => &mut data.actor,
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
