//! Everything that was written down in one schedule.

use std::sync::Arc;

use serde_json::Value;

use super::message::Message;
use super::observer::{self, Record, Visit};
use super::schedule::Schedule;
use super::writer;

pub struct History {
    pub schedule: Schedule,
    pub observers: Vec<observer::Log>,
    pub writers: Vec<writer::Log>,
    /// The last event.
    pub head: u64,
    /// What `GET /api/tasks` said at the end, by the filter that was asked for.
    pub lists: Vec<(String, Vec<Value>)>,
    /// What `GET /api/questions` said at the end.
    pub questions: Vec<Value>,
    /// What `GET /api/executions` said at the end.
    pub executions: Vec<Value>,
}

/// A part of the log of which an observer can say what is in it, as far as its filter shows it.
#[derive(Debug)]
pub struct Span {
    /// It begins after this seq.
    pub after: u64,
    /// And goes up to this one.
    pub to: u64,
    pub events: Vec<Arc<Message>>,
}

impl History {
    pub fn list(&self, query: &str) -> &[Value] {
        let found = self.lists.iter().find(|(known, _)| known == query);
        &found.expect("every list was asked for").1
    }
}

impl Visit {
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.records.iter().filter_map(|record| match record {
            Record::Message(message) => Some(message),
            _ => None,
        })
    }
}

impl observer::Log {
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.visits.iter().flat_map(|visit| &visit.records)
    }

    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.visits.iter().flat_map(Visit::messages)
    }

    /// Events of the log, in the order of arrival.
    pub fn events(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages().filter(|message| message.is_event())
    }

    /// What it has seen without a break that it was told of.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut open: Option<Span> = None;
        for record in self.records() {
            let begin = |after| Some(Span { after, to: after, events: Vec::new() });
            match record {
                Record::Message(message) => match message.kind.as_str() {
                    "connected" if open.as_ref().is_some_and(|it| it.to == message.seq) => {}
                    "connected" => spans.extend(std::mem::replace(&mut open, begin(message.seq))),
                    // The snapshot that follows has a place of its own.
                    "reset" if self.snapshot => spans.extend(open.take()),
                    "reset" => spans.extend(std::mem::replace(&mut open, begin(message.seq))),
                    "snapshot" => spans.extend(open.take()),
                    // A goodbye before the snapshot was there.
                    _ if open.is_none() && !message.is_event() => {}
                    _ => {
                        let span = open.get_or_insert_with(|| Span {
                            after: message.seq - 1,
                            to: 0,
                            events: Vec::new(),
                        });
                        span.to = message.seq;
                        if message.is_event() {
                            span.events.push(message.clone());
                        }
                    }
                },
                Record::Began { at, .. } => spans.extend(std::mem::replace(&mut open, begin(*at))),
                Record::Stands(seq) => open.iter_mut().for_each(|span| span.to = *seq),
                Record::Gone | Record::Probed { .. } => {}
            }
        }
        spans.extend(open);
        spans
    }
}
