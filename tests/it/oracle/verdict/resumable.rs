//! **Resumable**: after a cut at any byte, and over every end of the hub, the stream goes on exactly after the
//! last message that had arrived whole. A `reset` is honest only when retention has really removed what should
//! come next: nobody was ever shown an event that is not in the log.

use std::sync::Arc;

use crate::oracle::history::History;
use crate::oracle::imagination::OPERATIONS_MAX;
use crate::oracle::message::Message;
use crate::oracle::observer::{Asked, Ended, Log, Record, Visit};
use crate::oracle::schedule::Transport;
use crate::oracle::truth::Truth;

use super::Court;

pub fn resumable(history: &History, _: &Truth, court: &mut Court) {
    for observer in &history.observers {
        if observer.transport == Transport::LongPoll {
            polls_go_on(history, observer, court);
            continue;
        }
        for visit in &observer.visits {
            begins_where_it_left_off(history, observer, visit, court);
            ends_in_order(observer, visit, court);
            let follows_on = visit.messages().zip(visit.messages().skip(1));
            for (before, message) in follows_on {
                may_follow(history, observer, before, message, court);
            }
        }
    }
}

fn begins_where_it_left_off(history: &History, observer: &Log, visit: &Visit, court: &mut Court) {
    let Some(first) = visit.messages().next() else {
        return;
    };
    let resumed = first.data["resumed"] == true;
    let is_right = match (visit.asked, first.kind.as_str()) {
        // Whoever has no whole snapshot yet gets a new one.
        (Asked::Live | Asked::After(0), "snapshot") => observer.snapshot,
        // Or none at all, when the hub is about to end.
        (Asked::Live | Asked::After(0), "goodbye") => observer.snapshot && first.seq == 0,
        (Asked::Live, "connected") => !observer.snapshot && !resumed,
        (Asked::Earliest, "connected") => !resumed && (first.seq == 0 || is_lost(history, 0, first)),
        (Asked::After(seq), "connected") => resumed && first.seq == seq && !(observer.snapshot && seq == 0),
        (Asked::After(seq), "reset") => is_honest(history, observer, seq, first),
        _ => false,
    };
    court.holds(is_right, || format!("{}: {:?} was answered by {}", observer.name, visit.asked, first));
}

/// What comes at the beginning, around a snapshot and around a reset.
fn may_follow(
    history: &History,
    observer: &Log,
    before: &Arc<Message>,
    message: &Arc<Message>,
    court: &mut Court,
) {
    let is_right = match (before.kind.as_str(), message.kind.as_str()) {
        ("goodbye", _) => false,
        ("snapshot", "snapshot") => {
            message.data["cursor"] == before.data["cursor"]
                && message.data["part"].as_u64() == before.data["part"].as_u64().map(|part| part + 1)
        }
        ("snapshot", "connected") => {
            message.data["resumed"] == false && before.text("cursor") == message.id()
        }
        // The hub is about to end, and a part of a snapshot is none.
        ("snapshot", "goodbye") => message.seq == 0,
        ("snapshot", _) => false,
        ("reset", "snapshot") => observer.snapshot && message.data["part"] == 1,
        ("reset", "connected") => {
            !observer.snapshot && message.data["resumed"] == false && message.seq == before.seq
        }
        (_, "snapshot" | "connected") => false,
        (_, "reset") => is_honest(history, observer, before.seq, message),
        _ => true,
    };
    court.holds(is_right, || format!("{}: {} was followed by {}", observer.name, before, message));
}

/// A reset for somebody who has seen everything up to `seq`.
fn is_honest(history: &History, observer: &Log, seq: u64, reset: &Message) -> bool {
    let oldest = reset.seq_of("oldest");
    let stands_at = if observer.snapshot { 0 } else { oldest };
    reset.text("reason") == "expired" && reset.seq == stands_at && is_lost(history, seq, reset)
}

/// Whether retention may have removed what comes after `seq`, by the bounds that a message tells.
fn is_lost(history: &History, seq: u64, message: &Message) -> bool {
    is_beyond_retention(history, seq, message.seq_of("oldest"), message.seq_of("head"))
}

fn is_beyond_retention(history: &History, seq: u64, oldest: u64, head: u64) -> bool {
    // A commit reaches the ring, which knows the head, a moment after retention has counted it; one request
    // of each writer may be in it.
    let on_the_way = history.schedule.writers.len() as u64 * OPERATIONS_MAX;
    let keep = history.schedule.hub.retain_events_max;
    seq < oldest && keep.is_some_and(|keep| oldest + keep <= head + on_the_way)
}

fn ends_in_order(observer: &Log, visit: &Visit, court: &mut Court) {
    if let Ended::InOrder { torn } = visit.ended {
        let last = visit.messages().last();
        court.holds(!torn, || format!("{}: a message was torn by the end of the stream", observer.name));
        court.holds(last.is_some_and(|it| it.kind == "goodbye"), || {
            format!("{}: a stream ended without goodbye, after {last:?}", observer.name)
        });
    }
}

/// A position is gone only when retention has removed what comes after it.
fn polls_go_on(history: &History, observer: &Log, court: &mut Court) {
    let (mut position, mut gone) = (0, false);
    for record in observer.records() {
        match record {
            Record::Began { at, oldest, head } => {
                let is_lost = is_beyond_retention(history, position, *oldest, *head);
                court.holds(!gone || is_lost, || {
                    format!("{}: {position} was gone, with the oldest at {oldest} of {head}", observer.name)
                });
                (position, gone) = (*at, false);
            }
            Record::Message(event) => position = event.seq,
            Record::Stands(seq) => position = *seq,
            Record::Gone => gone = true,
            Record::Probed { .. } => {}
        }
    }
}
