//! A parcel: what a socket is given at once, as chunks of its answer, and where in it each event ends.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::domain::event::{Epoch, EventId};

use super::fit;
use super::ring::Shape;
use super::stretch::{Event, Stretch};

/// Where a socket stands: it has everything up to and including the event `cursor`, and of the next one that its
/// filter lets pass the first `offset` bytes. An event looks the same whenever it is encoded, so this is all that
/// has to be kept of a write that stopped halfway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub cursor: u64,
    pub offset: u32,
}

#[derive(Debug)]
pub struct Parcel {
    pub bytes: Bytes,
    ends: Vec<End>,
    /// The seq after which it begins.
    after: u64,
    /// The seq of the last event that was looked at.
    until: u64,
    /// When its first event was published, or read from the store.
    pub published: Option<Instant>,
}

/// Where in a parcel an event ends.
#[derive(Debug, Clone, Copy)]
struct End {
    seq: u64,
    byte: usize,
}

impl Parcel {
    /// What a client of this `shape` gets of a stretch. As the log holds it, a run of events is one slice of shared
    /// memory.
    pub fn of(stretch: &Stretch, epoch: Epoch, shape: &Shape) -> Self {
        if let (Some(segment), true, true) =
            (stretch.only_segment(), shape.is_plain(), shape.filter.is_empty())
        {
            let first = segment.index(stretch.after + 1);
            let start = segment.start(first);
            let ends = stretch
                .events()
                .map(|event| End { seq: event.seq, byte: event.entry().end as usize - start })
                .collect::<Vec<_>>();
            let bytes = segment.chunks.slice(start..start + ends.last().map_or(0, |it| it.byte));
            let published = Some(segment.entries[first].published);
            return Self { bytes, ends, after: stretch.after, until: stretch.until, published };
        }
        let matching = stretch.events().filter(|event| shape.filter.matches(&event.entry().meta));
        Self::of_events(stretch, epoch, shape, matching)
    }

    /// These events of a stretch, of which the others were looked at, too.
    pub fn of_events<'a>(
        stretch: &Stretch,
        epoch: Epoch,
        shape: &Shape,
        events: impl Iterator<Item = Event<'a>>,
    ) -> Self {
        let mut out = BytesMut::new();
        let mut parcel = Self {
            bytes: Bytes::new(),
            ends: Vec::new(),
            after: stretch.after,
            until: stretch.until,
            published: None,
        };
        for Event { seq, segment, index } in events {
            let entry = &segment.entries[index];
            if shape.is_plain() {
                out.extend_from_slice(&segment.chunks[segment.start(index)..entry.end as usize]);
            } else {
                let (id, kind) = (EventId::new(epoch, seq), entry.meta.kind.word());
                let body = fit::event(segment.body(index), shape.line_bytes_max);
                shape.format.write_chunk(&mut out, id, kind, &body);
            }
            parcel.ends.push(End { seq, byte: out.len() });
            parcel.published = parcel.published.or(Some(entry.published));
        }
        parcel.bytes = out.freeze();
        parcel
    }

    /// Its first event alone.
    pub fn first_only(mut self) -> Self {
        if let Some(first) = self.ends.first().copied() {
            self.ends.truncate(1);
            self.bytes.truncate(first.byte);
            self.until = first.seq;
        }
        self
    }

    /// The place of a socket that has taken the first `bytes`.
    pub fn place(&self, bytes: usize) -> Place {
        if bytes == self.bytes.len() {
            return Place { cursor: self.until, offset: 0 };
        }
        let done = self.events(bytes) as usize;
        let before = done.checked_sub(1).map(|at| self.ends[at]);
        let offset = (bytes - before.map_or(0, |end| end.byte)) as u32;
        // Whatever the filter has passed over before an event that is half sent is done with.
        let cursor = match (offset, before) {
            (0, None) => self.after,
            (0, Some(end)) => end.seq,
            _ => self.ends[done].seq - 1,
        };
        Place { cursor, offset }
    }

    /// How many events have ended within the first `bytes`.
    pub fn events(&self, bytes: usize) -> u64 {
        match bytes == self.bytes.len() {
            true => self.ends.len() as u64,
            false => self.ends.partition_point(|end| end.byte <= bytes) as u64,
        }
    }

    /// The seq of the last of these.
    pub fn last(&self, bytes: usize) -> Option<u64> {
        Some(self.ends[self.events(bytes).checked_sub(1)? as usize].seq)
    }

    pub fn first(&self) -> Option<u64> {
        self.ends.first().map(|end| end.seq)
    }
}
