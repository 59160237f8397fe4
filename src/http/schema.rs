//! The event union as the specification describes it.
//!
//! Events are encoded in `domain` and `events`, as bytes; here is only their description: one flat object a
//! kind, told apart by `event`, since that is what generators turn into types that narrow. A test checks
//! every event that the integration tests receive against it.

use std::borrow::Cow;

use poem_openapi::registry::{MetaDiscriminatorObject, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

use crate::domain::clock::Timestamp;
use crate::domain::event::{
    AnnouncementData, EventId, EventKind, ExecutionEventData, TaskDeletedData, TaskEventData,
};
use crate::events::control::{CheckpointData, ConnectedData, GoodbyeData, ResetData, SnapshotData};

/// One message of the stream. It has no value of its own.
#[derive(Debug)]
pub struct Event;

/// A kind of message: its schema's name, its word, and what it is.
struct Kind {
    schema: &'static str,
    word: &'static str,
    description: &'static str,
    data: MetaSchemaRef,
}

fn kinds() -> Vec<Kind> {
    fn kind<D: Type>(schema: &'static str, word: &'static str, description: &'static str) -> Kind {
        Kind { schema, word, description, data: D::schema_ref() }
    }
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
        kind::<AnnouncementData>(
            "AnnouncementEvent",
            EventKind::Announcement.word(),
            "A message to everybody.",
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

fn envelope(kind: &Kind) -> MetaSchema {
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
            (
                "id",
                described(
                    EventId::schema_ref(),
                    "The position in the log; resume after it with `Last-Event-ID`.",
                ),
            ),
            ("event", described(word, "Tells the kinds apart.")),
            ("data", kind.data.clone()),
            ("timestamp", described(Timestamp::schema_ref(), "When it happened.")),
        ],
        ..MetaSchema::new("object")
    }
}

impl Type for Event {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Event".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Event".into())
    }

    fn register(registry: &mut Registry) {
        TaskEventData::register(registry);
        TaskDeletedData::register(registry);
        ExecutionEventData::register(registry);
        AnnouncementData::register(registry);
        ConnectedData::register(registry);
        SnapshotData::register(registry);
        CheckpointData::register(registry);
        ResetData::register(registry);
        GoodbyeData::register(registry);
        let kinds = kinds();
        for kind in &kinds {
            registry.create_schema::<Self, _>(kind.schema.to_owned(), |_| envelope(kind));
        }
        registry.create_schema::<Self, _>("Event".to_owned(), |_| MetaSchema {
            description: Some(
                "One message of the stream: an event of the log, or a control message. Tell them apart by \
                 `event`, and pass over kinds you do not know: more may be added.",
            ),
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

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}
