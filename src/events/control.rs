//! Control messages: sent to clients, never stored in the log. Their id is the client's cursor.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::event::EventId;
use crate::domain::id::TaskId;
use crate::domain::schema::word_enum;
use crate::domain::task::{Task, TaskField};

word_enum! {
    /// Why a stream could not go on where its client left off.
    ResetReason {
        /// retention has removed events that the client has not seen; the stream goes on with the oldest one left
        Expired = "expired",
        /// the id is not of this hub's log; the stream starts with the oldest event
        UnknownEpoch = "unknown_epoch",
        /// the id is ahead of the log, which was restored from a copy; the stream goes on live
        Future = "future",
    }
}

/// The stream is open.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct ConnectedData {
    /// Whether the stream goes on exactly where the client left off.
    pub resumed: bool,
    /// The last event of the log at this moment.
    pub head: EventId,
    /// The position before the oldest event that is still held: `since` with this id replays all of them.
    pub oldest: EventId,
}

/// Part of the tasks as they stood at one moment. The parts are followed by `connected`.
///
/// The message's own id is the start of the log, `{epoch}-0`: a client that is cut off before it has all parts
/// reconnects with that and gets a new snapshot, never the rest of one that it did not see whole.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct SnapshotData {
    /// Counts the parts from 1. The first one starts a new snapshot: forget what you had.
    #[oai(validator(minimum(value = "1")))]
    pub part: u64,
    /// The last event that the tasks reflect, the same in every part; `connected` will have this id.
    pub cursor: EventId,
    /// Tasks that match the stream's filter, oldest first.
    pub tasks: Vec<Task>,
    /// What of these tasks was left out, since the stream was opened with `max_bytes`; absent when all is there.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Vec<OmittedFields>>,
}

/// Fields of a task that are empty or null in a snapshot only because they are long. `getTask` has them.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct OmittedFields {
    /// The task.
    pub task_id: TaskId,
    /// What was left out.
    pub fields: Vec<TaskField>,
}

/// Everything up to this message's id has been looked at; nothing matched the filter.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct CheckpointData {
    /// The last event of the log at this moment.
    pub head: EventId,
}

/// Events are missing before this point. State derived from the stream has to be read again.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct ResetData {
    /// Why.
    pub reason: ResetReason,
    /// The position before the oldest event that is still held.
    pub oldest: EventId,
    /// The last event of the log at this moment.
    pub head: EventId,
}

/// The hub ends this stream on purpose; reconnect with this message's id.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct GoodbyeData {
    /// How long to wait before reconnecting, in milliseconds; different for each client.
    #[oai(validator(minimum(value = "0")))]
    pub retry_ms: u64,
}
