//! The schemas of the messages in the event stream and in the stream of a log.
//!
//! `domain` and `events` encode the messages as bytes. This module only describes them: one flat
//! object for each kind, and the field `event` tells which kind it is. Generators make precise
//! types from such unions. A test checks every event that the integration tests receive against
//! these schemas.

use std::borrow::Cow;

use poem_openapi::registry::{MetaDiscriminatorObject, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

use crate::domain::clock::Timestamp;
use crate::domain::event::{
    AnnouncementEventData, CommentEventData, EventId, EventKind, ExecutionEventData, LeaseEventData,
    ProjectEventData, QuestionEventData, TaskDeletedData, TaskEventData,
};
use crate::domain::log::{LogCursor, LogEndData, LogOutputData, LogResetData};
use crate::events::control::{CheckpointData, ConnectedData, GoodbyeData, ResetData, SnapshotData};

/// A type that the hub sends as a stream of messages.
pub trait Message: Type + Send {
    /// The description of such a stream in the specification.
    const STREAM: &'static str;
}

/// One message of the event stream. Only describes the message and has no value.
#[derive(Debug)]
pub struct Event;

/// One message of the stream of a log. Only describes the message and has no value.
#[derive(Debug)]
pub struct LogEvent;

impl Message for Event {
    const STREAM: &'static str = "An endless stream. As `text/event-stream` each message is `id: …` and \
                                  `data: …`, where the data is one `Event` as a line of JSON; as \
                                  `application/x-ndjson` each line is one `Event`.";
}

impl Message for LogEvent {
    const STREAM: &'static str = "A stream that ends after the message `end`. As `text/event-stream` each message is \
                                  `id: …` and `data: …`, where the data is one `LogEvent` as a line of JSON; as \
                                  `application/x-ndjson` each line is one `LogEvent`.";
}

/// A kind of message: the name of its schema, its word in `event`, and its description.
struct Kind {
    schema: &'static str,
    word: &'static str,
    description: &'static str,
    data: MetaSchemaRef,
    register_data: fn(&mut Registry),
}

fn kind<D: Type>(schema: &'static str, word: &'static str, description: &'static str) -> Kind {
    Kind { schema, word, description, data: D::schema_ref(), register_data: D::register }
}

fn event_kinds() -> Vec<Kind> {
    vec![
        kind::<TaskEventData>("TaskCreatedEvent", EventKind::TaskCreated.word(), "A task was created."),
        kind::<TaskEventData>(
            "TaskUpdatedEvent",
            EventKind::TaskUpdated.word(),
            "A task's status, priority, assignee or any other field changed.",
        ),
        kind::<TaskDeletedData>("TaskDeletedEvent", EventKind::TaskDeleted.word(), "A task was deleted."),
        kind::<ExecutionEventData>(
            "ExecutionLifecycleEvent",
            EventKind::ExecutionEvent.word(),
            "An execution was queued, started or ended.",
        ),
        kind::<AnnouncementEventData>(
            "AnnouncementEvent",
            EventKind::Announcement.word(),
            "A message to everybody.",
        ),
        kind::<ProjectEventData>(
            "ProjectCreatedEvent",
            EventKind::ProjectCreated.word(),
            "A project was created.",
        ),
        kind::<ProjectEventData>(
            "ProjectUpdatedEvent",
            EventKind::ProjectUpdated.word(),
            "A project changed.",
        ),
        kind::<ProjectEventData>(
            "ProjectArchivedEvent",
            EventKind::ProjectArchived.word(),
            "A project was closed for new tasks.",
        ),
        kind::<ProjectEventData>(
            "ProjectDeletedEvent",
            EventKind::ProjectDeleted.word(),
            "A project was deleted.",
        ),
        kind::<LeaseEventData>(
            "LeaseLifecycleEvent",
            EventKind::LeaseEvent.word(),
            "A task was claimed, or its lease was renewed or has ended.",
        ),
        kind::<CommentEventData>(
            "CommentAddedEvent",
            EventKind::CommentAdded.word(),
            "Somebody has commented on a task.",
        ),
        kind::<QuestionEventData>(
            "QuestionAskedEvent",
            EventKind::QuestionAsked.word(),
            "A question waits for an answer.",
        ),
        kind::<QuestionEventData>(
            "QuestionAnsweredEvent",
            EventKind::QuestionAnswered.word(),
            "Somebody has answered a question.",
        ),
        kind::<QuestionEventData>(
            "QuestionExpiredEvent",
            EventKind::QuestionExpired.word(),
            "Nobody has answered a question in time, or its task was deleted.",
        ),
        kind::<ConnectedData>(
            "ConnectedEvent",
            "connected",
            "Control message: the stream is open and stands at this id.",
        ),
        kind::<SnapshotData>(
            "SnapshotEvent",
            "snapshot",
            "Control message on streams that asked for it: part of the tasks as they stood at one moment.",
        ),
        kind::<CheckpointData>(
            "CheckpointEvent",
            "checkpoint",
            "Control message on filtered streams: nothing matched up to this id.",
        ),
        kind::<ResetData>(
            "ResetEvent",
            "reset",
            "Control message: events are missing before this id; read again what you derived from the stream.",
        ),
        kind::<GoodbyeData>(
            "GoodbyeEvent",
            "goodbye",
            "Control message: the hub ends the stream; reconnect with this id.",
        ),
    ]
}

fn log_kinds() -> Vec<Kind> {
    vec![
        kind::<LogOutputData>("LogOutputEvent", "log", "A piece of the log; its id names the byte after it."),
        kind::<LogResetData>(
            "LogResetEvent",
            "reset",
            "You stood nowhere in this log; it follows from its beginning.",
        ),
        kind::<GoodbyeData>("LogGoodbyeEvent", "goodbye", "The hub ends the stream; reconnect with this id."),
        kind::<LogEndData>(
            "LogEndEvent",
            "end",
            "The execution has ended, and its whole log was sent. The last message.",
        ),
    ]
}

/// The schema of a kind of message. `id` is the schema of its id.
fn envelope(kind: &Kind, id: &MetaSchemaRef) -> MetaSchema {
    let described = |schema: MetaSchemaRef, description| {
        schema.merge(MetaSchema { description: Some(description), ..MetaSchema::ANY })
    };
    let word = MetaSchemaRef::Inline(Box::new(MetaSchema {
        enum_items: vec![kind.word.into()],
        ..MetaSchema::new("string")
    }));
    MetaSchema {
        description: Some(kind.description),
        required: vec!["id", "event", "data", "timestamp"],
        properties: vec![
            ("id", id.clone()),
            ("event", described(word, "Tells the kinds apart.")),
            ("data", kind.data.clone()),
            ("timestamp", described(Timestamp::schema_ref(), "When it happened.")),
        ],
        ..MetaSchema::new("object")
    }
}

/// The schema of an id, with a description of its use.
fn id<I: Type>(description: &'static str) -> MetaSchemaRef {
    I::schema_ref().merge(MetaSchema { description: Some(description), ..MetaSchema::ANY })
}

fn register_union<M: Type>(
    registry: &mut Registry,
    description: &'static str,
    id: &MetaSchemaRef,
    kinds: &[Kind],
) {
    for kind in kinds {
        (kind.register_data)(registry);
    }
    for kind in kinds {
        registry.create_schema::<M, _>(kind.schema.to_owned(), |_| envelope(kind, id));
    }
    registry.create_schema::<M, _>(M::name().into_owned(), |_| MetaSchema {
        description: Some(description),
        one_of: kinds.iter().map(|kind| MetaSchemaRef::Reference(kind.schema.to_owned())).collect(),
        discriminator: Some(MetaDiscriminatorObject {
            property_name: "event",
            mapping: kinds
                .iter()
                .map(|kind| (kind.word.to_owned(), format!("#/components/schemas/{}", kind.schema)))
                .collect(),
        }),
        ..MetaSchema::ANY
    });
}

/// Implements poem-openapi's traits for a union.
macro_rules! union_type {
    ($name:ident, $register:expr) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Reference(stringify!($name).into())
            }

            fn register(registry: &mut Registry) {
                $register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

union_type!(Event, |registry: &mut Registry| {
    let description = "One message of the stream: an event of the log, or a control message. Tell them apart by \
                       `event`, and pass over kinds you do not know: more may be added.";
    let id = id::<EventId>("The position in the log; resume after it with `Last-Event-ID`.");
    register_union::<Event>(registry, description, &id, &event_kinds());
});

union_type!(LogEvent, |registry: &mut Registry| {
    let description = "One message of the stream of a log. Tell them apart by `event`, and pass over kinds you do \
                       not know: more may be added.";
    let id = id::<LogCursor>("The byte of the log to go on with; resume there with `Last-Event-ID`.");
    register_union::<LogEvent>(registry, description, &id, &log_kinds());
});
