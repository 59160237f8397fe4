//! A client of a fan-out thread: a bare socket, and a place in the log.

use std::sync::Arc;

use bytes::Bytes;

use crate::events::parcel::{Parcel, Place};
use crate::events::registry::{DisconnectReason, Registration};
use crate::events::ring::Shape;
use crate::handoff::Bare;
use crate::peer::Patience;

use super::groups::GroupId;
use super::socket;

#[derive(Debug)]
pub struct Member {
    pub connection: Bare,
    pub wish: Wish,
    pub state: State,
    /// The place of one that is not in the crowd.
    pub place: Place,
    /// Whether it is to be told that its stream lives, when it can be.
    pub is_due: bool,
    /// Whether it has sent more than was read at once, and is to be heard again.
    pub is_talking: bool,
    /// Whether it was given the last page that it gets.
    pub is_last: bool,
    /// Set when it is to be closed, and why, once it was sent what is kept for it.
    pub leaves: Option<DisconnectReason>,
    pub group: GroupId,
    /// Where it is in the list of its group while it is in the crowd.
    pub index: usize,
}

/// What a client has asked for, and how far along it is in being told.
#[derive(Debug)]
pub struct Wish {
    pub shape: Arc<Shape>,
    /// Whether state is sent before changes, also after a gap.
    pub with_snapshots: bool,
    /// The seq of the last message it was sent, which it would resume after.
    pub told: u64,
    /// The head when it came: what was published before it is no measure of how fast it is served.
    pub live_after: u64,
    pub registration: Registration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Up to date: what comes next comes with everybody's.
    Crowd,
    /// Its socket takes nothing more.
    Blocked,
    /// It has something to be sent and waits for its turn.
    Queued,
    /// It is ahead of the crowd and waits for it.
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
    pub fn new(connection: Bare, wish: Wish, cursor: u64) -> Self {
        Self {
            connection,
            wish,
            state: State::Queued,
            place: Place { cursor, offset: 0 },
            is_due: false,
            is_talking: false,
            is_last: false,
            leaves: None,
            group: GroupId::default(),
            index: 0,
        }
    }

    /// Sends a parcel, from where the last one has stopped, and notes how far it came.
    pub fn send(&mut self, parcel: &Parcel, from: usize) -> Sent {
        let bytes = &parcel.bytes[from..];
        let sent = match bytes.is_empty() {
            true => 0,
            false => match self.write(bytes) {
                Ok(sent) => sent,
                Err(ended) => return ended,
            },
        };
        self.place = parcel.place(from + sent);
        self.wish.told = parcel.last(from + sent).unwrap_or(self.wish.told);
        let events = parcel.events(from + sent) - parcel.events(from);
        self.wish.registration.delivered(events, sent);
        self.wish.registration.note_half_sent((self.place.offset > 0).then_some(self.place.cursor));
        if sent == bytes.len() { Sent::Whole } else { Sent::Part }
    }

    /// Writes what is no part of the log; answers what the socket did not take.
    pub fn send_beside(&mut self, mut bytes: Bytes) -> Result<Bytes, Sent> {
        let sent = self.write(&bytes)?;
        self.wish.registration.delivered(0, sent);
        Ok(bytes.split_off(sent))
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Sent> {
        socket::write(&self.connection.socket, bytes).map_err(|error| {
            self.connection.fate.note_error(&error);
            Sent::Ended
        })
    }

    pub fn set_patience(&self, patience: Patience) {
        // A socket that refuses is dead already, and the next write will say so.
        let _ = patience.set(&self.connection.socket);
    }

    /// Ends the connection after a whole message.
    pub fn close(mut self, reason: DisconnectReason) {
        self.wish.registration.ends(reason);
        socket::close(self.connection.socket);
    }

    /// Ends the connection in the middle of a message, so that nobody takes what there is for all of it.
    pub fn break_off(mut self, reason: DisconnectReason) {
        self.wish.registration.ends(reason);
    }
}
