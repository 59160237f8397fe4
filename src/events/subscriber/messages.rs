//! The messages of a subscriber that are not events: control messages, keepalives and the goodbye.

use bytes::Bytes;

use crate::domain::event::EventId;
use crate::events::control::{CheckpointData, ConnectedData, ResetData, ResetReason};
use crate::events::disconnect_reason::DisconnectReason;
use crate::events::ring::After;

use super::{Stage, Subscriber};

impl Subscriber {
    /// The id from which the client would resume: before the first event until it has a whole snapshot.
    pub(super) fn resume_id(&self) -> EventId {
        match self.stage {
            Stage::Waiting(_) | Stage::Sending(_) => self.context.feed.id(0),
            Stage::Following | Stage::Ended | Stage::BrokenOff => self.context.feed.id(self.cursor),
        }
    }

    /// The last event of the log. The cursor may be ahead of the ring: an event can be read from
    /// the store a moment before it is in the ring.
    pub(super) fn head(&self) -> EventId {
        self.context.feed.id(self.context.feed.ring.head().max(self.cursor))
    }

    /// Tells the client that events are missing before the cursor.
    pub(super) fn reset(&mut self, reason: ResetReason) -> Bytes {
        self.last_sent = self.cursor;
        let oldest = match reason {
            // Where the stream continues, from the same read of the log.
            ResetReason::Expired | ResetReason::UnknownEpoch => self.cursor,
            ResetReason::Future => self.context.feed.before_oldest(),
        };
        let data = ResetData { reason, oldest: self.context.feed.id(oldest), head: self.head() };
        self.options.format.control(self.resume_id(), "reset", data)
    }

    pub(super) fn connected(&mut self, resumed: bool) {
        let oldest = self.context.feed.id(self.context.feed.before_oldest());
        let data = ConnectedData { resumed, head: self.head(), oldest };
        self.first.push_back(self.options.format.control(self.resume_id(), "connected", data));
    }

    /// The message for a tick. The ticker ends only with the hub.
    pub(super) fn ticked(&mut self, goes_on: bool) -> Option<Bytes> {
        if goes_on {
            return Some(self.keepalive());
        }
        self.stage = Stage::Ended;
        None
    }

    /// A comment; or a checkpoint, when a filter has let the client's id fall behind.
    pub(super) fn keepalive(&mut self) -> Bytes {
        let bytes = if self.cursor == self.last_sent {
            self.options.format.keepalive()
        } else {
            self.last_sent = self.cursor;
            let data = CheckpointData { head: self.head() };
            self.options.format.control(self.resume_id(), "checkpoint", data)
        };
        self.sent(0, bytes)
    }

    /// The page that a client that follows the log has not got yet, and the goodbye.
    pub(super) fn goodbye(&mut self) -> Bytes {
        let mut bytes = Vec::new();
        let mut events = 0;
        if let Stage::Following = self.stage
            && let After::Some(batch) =
                self.context.feed.ring.messages_after(self.cursor, &self.options, usize::MAX)
        {
            (self.cursor, events) = (batch.until, batch.len());
            bytes.extend_from_slice(&batch.bytes);
        }
        let id = self.resume_id();
        self.stage = Stage::Ended;
        self.registration.ends(DisconnectReason::Drained);
        bytes.extend_from_slice(&self.options.format.goodbye(id));
        self.sent(events, bytes.into())
    }

    pub(super) fn sent(&mut self, events: u64, bytes: Bytes) -> Bytes {
        self.registration.sent(self.cursor, events, bytes.len());
        bytes
    }
}
