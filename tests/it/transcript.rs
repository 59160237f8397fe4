//! A transcript: messages with any texts, written one after the other in one format, and what a client has to
//! read from the bytes, however they arrive and wherever they break off.
//!
//! The property test and the fuzz target share it; they differ in where the texts come from. What is expected
//! is put together by hand from the texts, not by the types that encode them.

use std::collections::BTreeMap;

use bytes::BytesMut;
use serde_json::{Value, json};
use taskhub::domain::clock::Timestamp;
use taskhub::domain::event::{
    AnnouncementData, AnnouncementLevel, Epoch, EventId, MESSAGE_CHARS_MAX, NewEvent,
};
use taskhub::domain::execution::{Execution, ExecutionPhase};
use taskhub::domain::task::{Priority, Status, TAGS_MAX, Task, TaskField};
use taskhub::domain::text::{
    ARTIFACT_CHARS_MAX, NAME_CHARS_MAX, TITLE_CHARS_MAX, must_be_one_line, must_be_seen,
};
use taskhub::events::frame::Format;

use crate::parser::{Lines, Parser};

const FORMATS: [Format; 3] = [Format::Sse, Format::NamedSse, Format::Ndjson];
const TASK: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
const EXECUTION: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0f";
/// As many of the longest artifacts as one task may have.
const ARTIFACTS_MAX: usize = 16;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Created,
    Updated,
    Deleted,
    Execution,
    Announcement,
    Control,
    Keepalive,
    Retry,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Updated,
        Self::Deleted,
        Self::Execution,
        Self::Announcement,
        Self::Control,
        Self::Keepalive,
        Self::Retry,
    ];
}

/// Something to write, and the texts that go into its fields.
#[derive(Debug, Clone)]
pub struct Entry {
    pub kind: Kind,
    pub texts: Vec<String>,
}

impl Entry {
    fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }
}

/// Panics unless the entries are read as they were meant, in every format. `sizes`, over and over, are the
/// sizes of the pieces in which the bytes arrive.
pub fn check(entries: &[Entry], sizes: &[usize]) {
    for format in FORMATS {
        let mut transcript = Transcript::new(format);
        entries.iter().for_each(|entry| transcript.write(entry));
        transcript.check_every_cut();
        transcript.check_pieces(sizes);
    }
}

struct Transcript {
    format: Format,
    bytes: BytesMut,
    messages: Vec<Expected>,
    keepalives: usize,
    retries: usize,
}

struct Expected {
    /// The number of bytes with which the message is complete.
    end: usize,
    id: String,
    event: &'static str,
    data: Value,
}

impl Transcript {
    fn new(format: Format) -> Self {
        Self { format, bytes: BytesMut::new(), messages: Vec::new(), keepalives: 0, retries: 0 }
    }

    fn write(&mut self, entry: &Entry) {
        let id = EventId::new(Epoch(u32::MAX), self.messages.len() as u64 + 1);
        let (event, data) = match entry.kind {
            Kind::Keepalive => {
                self.keepalives += 1;
                return self.bytes.extend_from_slice(&self.format.keepalive());
            }
            Kind::Retry => {
                self.retries += 1;
                return self.bytes.extend_from_slice(&self.format.retry(self.retries as u64));
            }
            Kind::Control => {
                let data = json!({ entry.text(0): entry.text(1) });
                self.bytes.extend_from_slice(&self.format.control(id, "checkpoint", &data));
                ("checkpoint", data)
            }
            Kind::Created | Kind::Updated | Kind::Deleted | Kind::Execution | Kind::Announcement => {
                let (event, data) = event(entry);
                let body = event.encode(id, Timestamp::from_ms(0));
                let word = event.meta.kind.word();
                self.format.write(&mut self.bytes, id, word, &body);
                (word, data)
            }
        };
        self.messages.push(Expected { end: self.bytes.len(), id: id.to_string(), event, data });
    }

    /// The bytes may break off anywhere: what has come by then is the messages that are complete, and no more.
    fn check_every_cut(&self) {
        let mut reader = Reader::of(self.format);
        let mut complete = 0;
        for (at, byte) in self.bytes.iter().enumerate() {
            reader.feed(&[*byte]);
            complete += usize::from(self.messages.get(complete).is_some_and(|next| next.end == at + 1));
            assert_eq!(reader.messages(), complete, "messages in the first {} bytes of {self}", at + 1);
        }
        self.check_read(reader);
    }

    fn check_pieces(&self, sizes: &[usize]) {
        let mut reader = Reader::of(self.format);
        let mut rest = &self.bytes[..];
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
            reader.feed(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        reader.feed(rest);
        self.check_read(reader);
    }

    fn check_read(&self, reader: Reader) {
        let ids = self.messages.iter().map(|it| it.id.as_str());
        let texts: Vec<String> = match reader {
            Reader::Events(parser) => {
                assert!(parser.is_between_messages(), "something is left over of {self}");
                assert_eq!(parser.last_event_id, ids.clone().next_back().unwrap_or_default());
                assert_eq!(parser.comments, vec!["keepalive"; self.keepalives], "{self}");
                assert_eq!(parser.retry_ms, (self.retries > 0).then_some(self.retries as u64), "{self}");
                assert_eq!(parser.fields, self.fields(), "{self}");
                let kinds = self.messages.iter().map(|it| match self.format {
                    Format::NamedSse => it.event,
                    Format::Sse | Format::Ndjson => "message",
                });
                let read = parser.messages.iter().map(|it| (it.last_event_id.as_str(), it.kind.as_str()));
                assert!(read.eq(ids.zip(kinds)), "ids or types of {self}");
                parser.messages.into_iter().map(|it| it.data).collect()
            }
            Reader::Lines(lines) => {
                assert_eq!(lines.blank, self.keepalives, "{self}");
                lines.lines.into()
            }
        };
        assert_eq!(texts.len(), self.messages.len(), "{self}");
        for (text, expected) in texts.iter().zip(&self.messages) {
            let read: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.2000}"));
            let at = read["timestamp"].as_str().expect("a time");
            at.parse::<Timestamp>().expect("a time");
            let envelope =
                json!({ "id": expected.id, "event": expected.event, "data": expected.data, "timestamp": at });
            assert!(read == envelope, "read {text:.2000}\nfor {:.2000}", envelope.to_string());
        }
    }

    /// How many lines of each field there are: each message is one line of data.
    fn fields(&self) -> BTreeMap<String, usize> {
        let count = self.messages.len();
        let named = if self.format == Format::NamedSse { count } else { 0 };
        let fields = [("id", count), ("event", named), ("data", count), ("retry", self.retries)];
        fields.into_iter().filter(|(_, lines)| *lines > 0).map(|(name, it)| (name.to_owned(), it)).collect()
    }
}

impl std::fmt::Display for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A megabyte would bury what there is to see.
        let beginning = &self.bytes[..self.bytes.len().min(2000)];
        write!(f, "{:?}: {}", self.format, beginning.escape_ascii())
    }
}

/// The parser for a format.
enum Reader {
    Events(Parser),
    Lines(Lines),
}

impl Reader {
    fn of(format: Format) -> Self {
        match format {
            Format::Sse | Format::NamedSse => Self::Events(Parser::default()),
            Format::Ndjson => Self::Lines(Lines::default()),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(parser) => parser.feed(bytes),
            Self::Lines(lines) => lines.feed(bytes),
        }
    }

    fn messages(&self) -> usize {
        match self {
            Self::Events(parser) => parser.messages.len(),
            Self::Lines(lines) => lines.lines.len(),
        }
    }
}

/// Texts as a task may have them: each as it is wherever the rule of its field allows.
#[derive(Debug)]
pub struct Fields {
    pub title: String,
    pub assignee: Option<String>,
    pub tags: Vec<String>,
    pub artifacts: Vec<String>,
}

impl Fields {
    pub fn of(texts: &[String]) -> Self {
        let text = |index| texts.get(index).map_or("", String::as_str);
        Self {
            title: not_blank(text(0), TITLE_CHARS_MAX),
            assignee: name(text(1)),
            tags: distinct(texts.iter().filter_map(|text| name(text)), TAGS_MAX),
            artifacts: distinct(
                texts.iter().filter(|it| !it.is_empty()).map(|it| first_chars(it, ARTIFACT_CHARS_MAX)),
                ARTIFACTS_MAX,
            ),
        }
    }
}

/// A text for a field that may not be blank.
pub fn not_blank(text: &str, chars_max: usize) -> String {
    let text = first_chars(text, chars_max);
    match must_be_seen(&text) {
        Err(_) => first_chars(&format!("x{text}"), chars_max),
        Ok(()) => text,
    }
}

fn name(text: &str) -> Option<String> {
    let is_of_one_line = |c: &char| !c.is_control() && !",\u{2028}\u{2029}".contains(*c);
    let printable: String = text.chars().filter(is_of_one_line).collect();
    Some(first_chars(&printable, NAME_CHARS_MAX)).filter(|name| must_be_one_line(name).is_ok())
}

fn first_chars(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

fn distinct(texts: impl Iterator<Item = String>, max: usize) -> Vec<String> {
    let mut kept = Vec::new();
    for text in texts {
        if kept.len() < max && !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

/// The event of an entry and its `data`.
fn event(entry: &Entry) -> (NewEvent, Value) {
    let fields = Fields::of(&entry.texts);
    let told = |changed: &[&str]| {
        json!({
            "task_id": TASK, "project": "default", "key": "default-1", "title": fields.title, "status": "review", "priority": "high",
            "assignee": fields.assignee, "tags": fields.tags, "artifacts": fields.artifacts,
            "blocked_by": [], "ready": false, "auto_start": false, "lease": null, "attempts": 0, "attempts_max": 3,
            "waiting_for": [], "version": 7, "created_at": Timestamp::from_ms(0),
            "changed": changed, "reason": null, "actor": null,
        })
    };
    let task = task(&fields);
    match entry.kind {
        Kind::Updated => {
            let changed = vec![TaskField::Title, TaskField::Assignee];
            (NewEvent::task_updated(&task, &task, changed, None), told(&["title", "assignee"]))
        }
        Kind::Deleted => (
            NewEvent::task_deleted(&task),
            json!({ "task_id": TASK, "project": "default", "key": "default-1", "title": fields.title, "actor": null }),
        ),
        Kind::Execution => execution(entry, &task),
        Kind::Announcement => {
            let message = not_blank(entry.text(0), MESSAGE_CHARS_MAX);
            let data = json!({ "level": "critical", "message": message, "actor": null });
            let message = message.parse().expect("a message");
            (NewEvent::announcement(AnnouncementData { level: AnnouncementLevel::Critical, message }), data)
        }
        _ => (NewEvent::task_created(&task), told(&[])),
    }
}

fn task(fields: &Fields) -> Task {
    Task {
        id: TASK.parse().expect("an id"),
        project: Default::default(),
        key: "default-1".parse().expect("a key"),
        title: fields.title.parse().expect("a title"),
        description: Default::default(),
        status: Status::Review,
        priority: Some(Priority::High),
        assignee: fields.assignee.as_deref().map(|it| it.parse().expect("a name")),
        tags: fields.tags.iter().map(|it| it.parse().expect("a tag")).collect(),
        artifacts: fields.artifacts.iter().map(|it| it.parse().expect("a path")).collect(),
        script: None,
        blocked_by: vec![],
        ready: false,
        auto_start: false,
        lease: None,
        attempts: 0,
        attempts_max: 3,
        waiting_for: vec![],
        version: 7,
        created_at: Timestamp::from_ms(0),
        updated_at: Timestamp::from_ms(0),
    }
}

/// Its texts are the hub's own and have no rule; here they are anything, of any length.
fn execution(entry: &Entry, task: &Task) -> (NewEvent, Value) {
    let reason = entry.texts.get(2).cloned();
    let data = json!({
        "task_id": TASK, "execution_event": "failed", "execution_id": EXECUTION,
        "session_name": entry.text(0), "log_file": entry.text(1), "exit_code": -1, "duration_ms": 5,
        "reason": reason, "attempt": 1, "attempts_max": 1, "not_before": null, "actor": null,
    });
    let queued = Execution::queued(EXECUTION.parse().expect("an id"), 1, task.id, Timestamp::from_ms(0));
    let execution = Execution {
        session_name: entry.text(0).to_owned(),
        log_file: entry.text(1).to_owned(),
        exit_code: Some(-1),
        reason,
        started_at: Some(Timestamp::from_ms(0)),
        ended_at: Some(Timestamp::from_ms(5)),
        ..queued
    };
    (NewEvent::execution(&execution, ExecutionPhase::Failed, Some(task)), data)
}
