//! The state of the event streams, as the API reports it.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::event::{EventId, EventKind};
use crate::domain::filter::EventFilter;
use crate::domain::id::TaskId;
use crate::domain::schema::word_enum;
use crate::domain::task::{Priority, PriorityFilter, Status};
use crate::domain::text::{Assignee, Tag};
use crate::events::frame::Format;
use crate::events::{Client, Disconnect, DisconnectReason, Events, Lag, Totals};
use crate::store::StoreError;

word_enum! {
    /// How the messages of a stream look.
    StreamFormat {
        /// server-sent events
        Sse = "sse",
        /// server-sent events with an `event:` line each (`named=true`)
        NamedSse = "named_sse",
        /// a line of JSON each (`Accept: application/x-ndjson`)
        Ndjson = "ndjson",
    }
}

impl From<Format> for StreamFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Sse => Self::Sse,
            Format::NamedSse => Self::NamedSse,
            Format::Ndjson => Self::Ndjson,
        }
    }
}

/// How the broadcasting stands.
#[derive(Debug, Object, Serialize)]
pub struct EventStatus {
    /// Always `active`: a hub that does not broadcast does not answer this.
    pub status: String,
    /// Streams that are open now.
    pub connected_clients: u64,
    /// Where to connect: a path on this hub.
    pub endpoint: String,
    /// Identifies this incarnation of the log; the first part of every event id.
    #[oai(validator(pattern = "^[0-9a-f]{8}$"))]
    pub epoch: String,
    /// The id of the last event; `{epoch}-0` before the first.
    pub head: EventId,
    /// The position before the oldest event that is still held; `since` with this id replays all of them.
    pub oldest: EventId,
    /// A comment is sent on every stream this often, in seconds.
    pub keepalive_seconds: u64,
    /// Streams opened since the start.
    pub total_connections: u64,
    /// Events sent to all streams together since the start.
    pub total_events_sent: u64,
    /// Bytes sent to all streams together since the start.
    pub total_bytes_sent: u64,
    /// Streams that have ended since the start, by reason.
    pub disconnects: DisconnectCounts,
    /// Events held in memory.
    pub ring_events: u64,
    /// Bytes of events held in memory.
    pub ring_bytes: u64,
    /// Each open stream, oldest first, when asked for with `clients=true`; otherwise null.
    #[oai(nullable)]
    pub clients: Option<Vec<ClientStatus>>,
    /// The last 50 streams that have ended, latest first, when asked for with `clients=true`; otherwise null.
    #[oai(nullable)]
    pub recent_disconnects: Option<Vec<DisconnectedClient>>,
}

/// How many streams have ended for which reason.
#[derive(Debug, Object, Serialize)]
pub struct DisconnectCounts {
    /// The client closed the connection.
    pub closed: u64,
    /// The client, or something on the way, broke it off.
    pub reset: u64,
    /// The client took nothing for too long: 25 seconds, or 50 when its buffers were full.
    pub timed_out: u64,
    /// The hub said goodbye.
    pub drained: u64,
    /// Its token was revoked or has expired, or the hub has begun to ask for one.
    pub revoked: u64,
    /// It could not be read on.
    pub failed: u64,
    /// Retention removed an event that was half sent.
    pub overtaken: u64,
    /// It had not ended in time when the hub stopped.
    pub cut_off: u64,
}

/// One open stream.
#[derive(Debug, Object, Serialize)]
pub struct ClientStatus {
    /// Counts the streams since the start.
    pub id: u64,
    /// The address at the other end; null when it is not known.
    #[oai(nullable)]
    pub address: Option<String>,
    /// When it connected.
    pub connected_at: Timestamp,
    /// How its messages look.
    pub format: StreamFormat,
    /// Whether it sees only some of the events.
    pub filtered: bool,
    /// Which.
    pub filter: ClientFilter,
    /// The last event that was handed to its connection or passed over by its filter.
    pub cursor: EventId,
    /// Events between its cursor and the head.
    pub lag_events: u64,
    /// Bytes of these events.
    pub lag_bytes: u64,
    /// How long the first of them has waited, in milliseconds.
    #[oai(validator(minimum(value = "0")))]
    pub lag_ms: i64,
    /// Events sent to it.
    pub events_sent: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
}

/// What a stream was opened with; an empty list lets everything pass.
#[derive(Debug, Object, Serialize)]
pub struct ClientFilter {
    /// Kinds of event.
    pub events: Vec<EventKind>,
    /// Tasks.
    pub task_id: Vec<TaskId>,
    /// Assignees of tasks.
    pub assignee: Vec<Assignee>,
    /// Statuses of tasks.
    pub status: Vec<Status>,
    /// Priorities of tasks.
    pub priority: Vec<Priority>,
    /// Whether tasks without a priority pass as well: `none` in the stream's `priority`.
    pub priority_none: bool,
    /// Tags of tasks.
    pub tag: Vec<Tag>,
}

/// A stream that has ended.
#[derive(Debug, Object, Serialize)]
pub struct DisconnectedClient {
    /// Counts the streams since the start.
    pub id: u64,
    /// The address at the other end; null when it is not known.
    #[oai(nullable)]
    pub address: Option<String>,
    /// When it connected.
    pub connected_at: Timestamp,
    /// When it ended.
    pub disconnected_at: Timestamp,
    /// Why.
    pub reason: DisconnectReason,
    /// How its messages look.
    pub format: StreamFormat,
    /// The last event that was handed to its connection or passed over by its filter.
    pub cursor: EventId,
    /// Events sent to it.
    pub events_sent: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
}

impl EventStatus {
    /// # Errors
    /// [`StoreError`] when it cannot be found out how long the events that a client is behind have waited.
    pub async fn of(log: &Events, with_clients: bool) -> Result<Self, StoreError> {
        let status = log.status();
        let (clients, recent_disconnects) = match with_clients {
            false => (None, None),
            true => {
                let recent_disconnects = log.recent_disconnects();
                let gone = recent_disconnects.iter().map(|it| DisconnectedClient::of(log, it)).collect();
                (Some(clients(log).await?), Some(gone))
            }
        };
        Ok(Self {
            status: "active".to_owned(),
            connected_clients: status.totals.connected,
            endpoint: "/api/events/stream".to_owned(),
            epoch: status.head.epoch.to_string(),
            head: status.head,
            oldest: status.oldest,
            keepalive_seconds: log.keepalive_seconds(),
            total_connections: status.totals.connections,
            total_events_sent: status.totals.events,
            total_bytes_sent: status.totals.bytes,
            disconnects: DisconnectCounts::of(&status.totals),
            ring_events: status.ring_events,
            ring_bytes: status.ring_bytes,
            clients,
            recent_disconnects,
        })
    }
}

async fn clients(log: &Events) -> Result<Vec<ClientStatus>, StoreError> {
    let clients = log.clients();
    let cursors: Vec<u64> = clients.iter().map(|client| client.cursor()).collect();
    let lags = log.lags(&cursors).await?;
    let each = clients.iter().zip(cursors).zip(lags);
    Ok(each.map(|((client, cursor), lag)| ClientStatus::of(log, client, cursor, lag)).collect())
}

impl ClientStatus {
    fn of(log: &Events, client: &Client, cursor: u64, lag: Lag) -> Self {
        Self {
            id: client.id,
            address: client.peer.map(|address| address.to_string()),
            connected_at: client.since,
            format: client.options.format.into(),
            filtered: !client.options.filter.is_empty(),
            filter: ClientFilter::of(&client.options.filter),
            cursor: log.id(cursor),
            lag_events: lag.events,
            lag_bytes: lag.bytes,
            lag_ms: lag.ms,
            events_sent: client.events(),
            bytes_sent: client.bytes(),
        }
    }
}

impl ClientFilter {
    fn of(filter: &EventFilter) -> Self {
        let EventFilter { events, task_ids, facets } = filter.clone();
        Self {
            events: events.into(),
            task_id: task_ids.into(),
            assignee: facets.assignees.into(),
            status: facets.statuses.into(),
            priority_none: facets.priorities.contains(&PriorityFilter::None),
            priority: Priority::ALL
                .iter()
                .copied()
                .filter(|it| facets.priorities.contains(&Some(*it).into()))
                .collect(),
            tag: facets.tags.into(),
        }
    }
}

impl DisconnectedClient {
    fn of(log: &Events, disconnect: &Disconnect) -> Self {
        let client = &disconnect.client;
        Self {
            id: client.id,
            address: client.peer.map(|address| address.to_string()),
            connected_at: client.since,
            disconnected_at: disconnect.at,
            reason: disconnect.reason,
            format: client.options.format.into(),
            cursor: log.id(client.cursor()),
            events_sent: client.events(),
            bytes_sent: client.bytes(),
        }
    }
}

impl DisconnectCounts {
    fn of(totals: &Totals) -> Self {
        let count = |reason| totals.disconnects.get(&reason).copied().unwrap_or_default();
        Self {
            closed: count(DisconnectReason::Closed),
            reset: count(DisconnectReason::Reset),
            timed_out: count(DisconnectReason::TimedOut),
            drained: count(DisconnectReason::Drained),
            revoked: count(DisconnectReason::Revoked),
            failed: count(DisconnectReason::Failed),
            overtaken: count(DisconnectReason::Overtaken),
            cut_off: count(DisconnectReason::CutOff),
        }
    }
}
