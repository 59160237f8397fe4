//! A client of a fan-out thread: a bare socket, and a position in the log.

use bytes::Bytes;

use crate::events::batch::{Batch, Position};
use crate::events::disconnect_reason::DisconnectReason;
use crate::events::handover::Handover;
use crate::handoff::Bare;
use crate::user_timeout::UserTimeout;

use super::key::GroupId;
use super::socket;

#[derive(Debug)]
pub struct Member {
    pub connection: Bare,
    pub handover: Handover,
    pub state: State,
    /// The position of a client that is not live.
    pub position: Position,
    /// Whether a keepalive is due, to be sent as soon as possible.
    pub is_due: bool,
    /// Whether the client sent more than one call reads.
    pub is_unread: bool,
    /// Whether the client has its last page.
    pub is_last: bool,
    /// Set, with the reason, when the connection closes after the pending rest.
    pub leaves: Option<DisconnectReason>,
    pub group: GroupId,
    /// Its index in the live list of its group, while it is live.
    pub index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Up to date: served together with all other live clients.
    Live,
    /// Its socket takes no more.
    Blocked,
    /// It has missed something and waits for its turn.
    Queued,
    /// It is ahead of the live cursor and waits for it.
    Ahead,
    /// A task reads a page of the store for it.
    Fetching,
}

/// How a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Whole,
    /// The socket takes no more.
    Part,
    /// The connection has ended; its reason is recorded.
    Ended,
}

impl Member {
    pub fn new(connection: Bare, handover: Handover, cursor: u64) -> Self {
        Self {
            connection,
            handover,
            state: State::Queued,
            position: Position { cursor, offset: 0 },
            is_due: false,
            is_unread: false,
            is_last: false,
            leaves: None,
            group: GroupId::default(),
            index: 0,
        }
    }

    /// Sends a batch from the byte `from` on, and records how far it came.
    pub fn send(&mut self, batch: &Batch, from: usize) -> Sent {
        let bytes = &batch.bytes[from..];
        let sent = match bytes.is_empty() {
            true => 0,
            false => match self.write(bytes) {
                Ok(sent) => sent,
                Err(ended) => return ended,
            },
        };
        self.position = batch.position(from + sent);
        self.handover.last_sent = batch.last(from + sent).unwrap_or(self.handover.last_sent);
        let events = batch.events(from + sent) - batch.events(from);
        self.handover.registration.delivered(events, sent);
        self.handover.registration.note_half_sent(self.position.offset > 0);
        if sent == bytes.len() { Sent::Whole } else { Sent::Part }
    }

    /// Writes bytes that are not part of the log. Returns what the socket did not take.
    pub fn send_beside(&mut self, mut bytes: Bytes) -> Result<Bytes, Sent> {
        let sent = self.write(&bytes)?;
        self.handover.registration.delivered(0, sent);
        Ok(bytes.split_off(sent))
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Sent> {
        socket::write(&self.connection.socket, bytes).map_err(|error| {
            self.connection.close_note.note_error(&error);
            Sent::Ended
        })
    }

    pub fn set_user_timeout(&self, user_timeout: UserTimeout) {
        // This fails only for a dead socket, and the next write reports that.
        let _ = user_timeout.set(&self.connection.socket);
    }

    /// Ends the connection after a whole message.
    pub fn close(mut self, reason: DisconnectReason) {
        self.handover.registration.ends(reason);
        socket::close(self.connection.socket);
    }

    /// Ends the connection within a message. The missing last chunk tells the client that the
    /// answer is not complete.
    pub fn break_off(mut self, reason: DisconnectReason) {
        self.handover.registration.ends(reason);
    }
}
