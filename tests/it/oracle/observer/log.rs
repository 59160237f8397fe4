//! What an observer has written down: its visits to the hub, each with what it asked and what came of it.

use std::sync::Arc;

use crate::oracle::filter::Filter;
use crate::oracle::message::Message;
use crate::oracle::schedule::Transport;

#[derive(Debug)]
pub struct Log {
    /// Its number and what it asked for, for whoever reads a violation.
    pub name: String,
    pub transport: Transport,
    pub filter: Filter,
    pub snapshot: bool,
    pub visits: Vec<Visit>,
    /// It waited for something that never came.
    pub is_stuck: bool,
}

/// A connection; for a long poll all of its requests in one life of the hub.
#[derive(Debug)]
pub struct Visit {
    pub asked: Asked,
    pub records: Vec<Record>,
    pub ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// What happens from now on, or a snapshot and that.
    Live,
    Earliest,
    /// What comes after this seq.
    After(u64),
    /// Nothing yet: a long poll asks again and again.
    Polling,
}

#[derive(Debug)]
pub enum Record {
    Message(Arc<Message>),
    /// A long poll took up a position, after it had asked where the log begins and ends.
    Began {
        at: u64,
        oldest: u64,
        head: u64,
    },
    /// Everything up to here has been looked at.
    Stands(u64),
    /// A long poll's position is gone; a [`Record::Began`] follows, taken from where the log begins now.
    Gone,
    /// After `seen` had arrived, what the store answered went up to `committed`.
    Probed {
        seen: u64,
        committed: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There was nobody.
    Refused,
    /// We have cut it; `torn` in the middle of a message.
    Cut { torn: bool },
    /// It broke off.
    Broken,
    /// The hub has ended it in order.
    InOrder { torn: bool },
    /// The hub has crashed and what came afterwards was thrown away.
    Crashed,
    /// Everything has been read.
    Finished,
    /// What should have come did not.
    Stuck,
}
