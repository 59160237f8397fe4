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
    /// Whether a keepalive is due, to be sent as soon as it can be.
    pub is_due: bool,
    /// Whether it has sent more than was read at once.
    pub is_unread: bool,
    /// Whether it was given the last page that it gets.
    pub is_last: bool,
    /// Set when it is to be closed, and why, once it was sent what is kept for it.
    pub leaves: Option<DisconnectReason>,
    pub group: GroupId,
    /// Where it is in the list of its group while it is live.
    pub index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Up to date: served together with all that are.
    Live,
    /// Its socket takes nothing more.
    Blocked,
    /// It has something to be sent and waits for its turn.
    Queued,
    /// It is ahead of the live cursor and waits for it.
    Ahead,
    /// Its page of the store is on its way.
    Fetching,
}

/// How a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Whole,
    /// The socket takes nothing more.
    Part,
    /// The connection has ended; how is noted.
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

    /// Sends a batch, from where the last one has stopped, and notes how far that came.
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

    /// Writes what is no part of the log; answers what the socket did not take.
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
        // A socket that refuses is dead already, and the next write will say so.
        let _ = user_timeout.set(&self.connection.socket);
    }

    /// Ends the connection after a whole message.
    pub fn close(mut self, reason: DisconnectReason) {
        self.handover.registration.ends(reason);
        socket::close(self.connection.socket);
    }

    /// Ends the connection in the middle of a message, so that nobody takes what there is for all of it.
    pub fn break_off(mut self, reason: DisconnectReason) {
        self.handover.registration.ends(reason);
    }
}
