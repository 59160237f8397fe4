//! Events: what happened, in the one form in which it is stored, streamed and returned.
//!
//! An event is encoded exactly once, when it is appended to the log; [`Envelope`] is the only encoder.
//! `data` never nests beyond lists, and a field without a value is `null`, never absent: a client that
//! copies the fields of `task_updated` over its own copy of the task ends up with the task.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use bytes::Bytes;
use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};

use super::clock::Timestamp;
use super::execution::{Execution, ExecutionPhase};
use super::id::{ExecutionId, TaskId};
use super::schema::{text_type, word_enum};
use super::task::{Priority, Status, Task, TaskField};
use super::text::{Artifact, Assignee, NOT_BLANK_PATTERN, Tag, Title, TokenName, is_blank};

/// Longest message of an announcement, in characters.
pub const MESSAGE_CHARS_MAX: usize = 2000;

/// Identifies one incarnation of the event log: 8 hex digits, drawn when the log is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The position of an event in the log, and the cursor of a client that has seen it: `{epoch}-{seq}`.
///
/// `seq` is gap-free, starts at 1 and is never reused; 0 stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    pub epoch: Epoch,
    pub seq: u64,
}

impl EventId {
    pub fn new(epoch: Epoch, seq: u64) -> Self {
        Self { epoch, seq }
    }

    fn meta() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[0-9a-f]{8}-[0-9]{1,19}$".into()),
            example: Some("7c1e9a42-1042".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (epoch, seq) = text.split_once('-')?;
            let digits = |text: &str, ok: fn(&u8) -> bool| text.bytes().all(|b| ok(&b));
            let canonical = epoch.len() == 8
                && digits(epoch, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
                && matches!(seq.len(), 1..=19)
                && digits(seq, u8::is_ascii_digit)
                && (seq == "0" || !seq.starts_with('0'));
            canonical.then_some(())?;
            let epoch = Epoch(u32::from_str_radix(epoch, 16).ok()?);
            Some(Self::new(epoch, seq.parse().ok().filter(|seq| *seq <= i64::MAX as u64)?))
        };
        parse().ok_or_else(|| "expected an event id such as 7c1e9a42-1042".to_owned())
    }
}

text_type!(EventId, "event_id");

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

word_enum! {
    /// How much an announcement matters.
    AnnouncementLevel {
        /// good to know
        Info = "info",
        /// something may not work as usual
        Warning = "warning",
        /// something needs attention now
        Critical = "critical",
    }
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

/// A system-wide message to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct AnnouncementData {
    /// How much it matters.
    pub level: AnnouncementLevel,
    /// What to tell people, in plain text.
    pub message: Message,
}

/// What somebody tells everybody.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct AnnouncementEventData {
    /// How much it matters.
    pub level: AnnouncementLevel,
    /// What to tell people, in plain text.
    pub message: Message,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

/// The text of an announcement: 1–2,000 characters, not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    fn meta() -> MetaSchema {
        MetaSchema {
            min_length: Some(1),
            max_length: Some(MESSAGE_CHARS_MAX),
            pattern: Some(NOT_BLANK_PATTERN.into()),
            example: Some("Maintenance at 18:00 UTC".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Message {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_blank(text) || text.chars().count() > MESSAGE_CHARS_MAX {
            return Err(format!("must be 1 to {MESSAGE_CHARS_MAX} characters and not blank"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_type!(Message, "message");

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

/// Something that happened, before it has a place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub meta: EventMeta,
    pub data: EventData,
}

/// Every kind has an `actor`, null until the event is [`NewEvent::signed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EventData {
    Task(TaskEventData),
    TaskDeleted(TaskDeletedData),
    Execution(ExecutionEventData),
    Announcement(AnnouncementEventData),
}

impl NewEvent {
    pub fn task_created(task: &Task) -> Self {
        Self {
            meta: EventMeta {
                kind: EventKind::TaskCreated,
                task: Some(TaskMeta { id: task.id, before: None, after: Some(Facets::of(task)) }),
            },
            data: EventData::Task(task_data(task, Vec::new())),
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
            data: EventData::Task(task_data(after, changed)),
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

    /// `task` is absent when it has been deleted while the execution went on.
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

    /// The same event, caused by `name`.
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

    /// The envelope of this event at its place in the log.
    pub fn encode(&self, id: EventId, at: Timestamp) -> Bytes {
        Envelope { id, event: self.meta.kind.word(), data: &self.data, timestamp: at }.encode()
    }
}

fn task_data(task: &Task, changed: Vec<TaskField>) -> TaskEventData {
    TaskEventData {
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
    }
}

/// JSON in which every line break is escaped, also those that JSON does not ask for: U+0085, U+2028 and U+2029
/// end a line for many who read a stream line by line (`str.splitlines` in Python, and what is built on it).
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{85}', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            let break_ = from.chars().next().unwrap_or_default();
            write!(writer, "{before}\\u{:04x}", u32::from(break_))?;
            rest = &from[break_.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// `{id, event, data, timestamp}`: the one form of every message, in this order. The id is the cursor at which the
/// stream stands after it: an [`EventId`], or a byte of a log.
#[derive(Debug, Serialize)]
pub struct Envelope<'a, I, D> {
    pub id: I,
    pub event: &'a str,
    pub data: D,
    pub timestamp: Timestamp,
}

impl<I: Serialize, D: Serialize> Envelope<'_, I, D> {
    /// One line of JSON, without a line break of any kind.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(512);
        let mut serializer = Serializer::with_formatter(&mut bytes, OneLine);
        self.serialize(&mut serializer).expect("an envelope has string keys and no fallible parts");
        bytes.into()
    }
}

/// An event with its place in the log: committed, and so never to change again.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: u64,
    pub at: Timestamp,
    /// Bytes of all events of the log before it, those that were removed included.
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
    /// Bytes of all events that it ever held.
    pub bytes: u64,
}

/// Where an event stands in time and in the log's bytes: how far behind somebody is who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMark {
    pub at: Timestamp,
    /// Bytes of all events of the log before it.
    pub bytes_before: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_has_one_spelling() {
        let id = EventId::new(Epoch(0x7c1e9a42), 1042);
        assert_eq!(id.to_string(), "7c1e9a42-1042");
        assert_eq!("7c1e9a42-1042".parse(), Ok(id));
        for odd in [
            "",
            "-",
            "7c1e9a42",
            "7c1e9a42-",
            "7c1e9a42-01",
            "7C1E9A42-1",
            "7c1e9a4-1",
            "7c1e9a42-+1",
            "7c1e9a42-9999999999999999999",
            "+c1e9a42-1",
            "7c1e9a42-1-1",
        ] {
            assert!(odd.parse::<EventId>().is_err(), "{odd:?}");
        }
    }

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
