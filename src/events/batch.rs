//! A batch: encoded events for one write, and where each of them ends.
//!
//! A fan-out thread writes chunks of HTTP/1.1 to a socket. A write may stop within a chunk; the
//! ends then tell the position. The body of an answer gets whole messages, and hyper frames them.
//! Both carry the same events, in a different [`Framing`].

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::domain::event::{Epoch, EventId};

use super::fit;
use super::log_slice::{Event, LogSlice};
use super::options::StreamOptions;
use super::segment::{FRAME_BYTES, PAGE_BYTES};

/// How the events of a batch are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// As chunks of HTTP/1.1.
    Chunks,
    /// As messages, one after the other.
    Messages,
}

/// The position of a socket. It has everything up to and including the event `cursor`, and the
/// first `offset` bytes of the next event that passes its filter. An event always has the same
/// encoding, so a partial write needs no other state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub cursor: u64,
    pub offset: u32,
}

#[derive(Debug)]
pub struct Batch {
    /// Empty when no event passes the filter.
    pub bytes: Bytes,
    ends: Vec<End>,
    /// The seq after which it begins.
    pub after: u64,
    /// The seq of the last event that the filter saw.
    pub until: u64,
    /// When its first event was published, or read from the store.
    pub published: Option<Instant>,
}

/// Where in a batch an event ends.
#[derive(Debug, Clone, Copy)]
struct End {
    seq: u64,
    byte: usize,
}

impl Batch {
    /// The chunks of a slice for a client with these options. If the client gets events exactly as
    /// the ring holds them, the batch is one slice of shared memory.
    pub fn chunks(slice: &LogSlice, epoch: Epoch, options: &StreamOptions) -> Self {
        if let (Some(segment), true, true) =
            (slice.only_segment(), options.is_plain(), options.filter.is_empty())
        {
            let first = segment.index(slice.after + 1);
            let start = segment.start(first);
            let ends = slice
                .events()
                .map(|event| End { seq: event.seq, byte: event.entry().end as usize - start })
                .collect::<Vec<_>>();
            let bytes = segment.chunks.slice(start..start + ends.last().map_or(0, |it| it.byte));
            let published = Some(segment.entries[first].published);
            return Self { bytes, ends, after: slice.after, until: slice.until, published };
        }
        let matching = slice.events().filter(|event| options.filter.matches(&event.entry().meta));
        Self::chunks_of(slice, epoch, options, matching)
    }

    /// The chunks of `events` of a slice. The other events of the slice count as filtered out.
    pub fn chunks_of<'a>(
        slice: &LogSlice,
        epoch: Epoch,
        options: &StreamOptions,
        events: impl Iterator<Item = Event<'a>>,
    ) -> Self {
        let mut batch = Self::empty(slice);
        let mut out = BytesMut::new();
        for event in events {
            batch.push(&mut out, Framing::Chunks, epoch, options, event);
        }
        batch.until = slice.until;
        batch.bytes = out.freeze();
        batch
    }

    /// The messages of a slice for a client with these options: at most `events_max`, and at most
    /// [`PAGE_BYTES`] unless it is one large message.
    pub fn messages(slice: &LogSlice, epoch: Epoch, options: &StreamOptions, events_max: usize) -> Self {
        let mut batch = Self::empty(slice);
        let mut out = BytesMut::new();
        for event in slice.events() {
            if batch.ends.len() >= events_max {
                break;
            }
            if options.filter.matches(&event.entry().meta) {
                // Check the size before encoding: a buffer never shrinks, and lives as long as its
                // client needs it.
                let bytes = event.segment.body(event.index).len() + FRAME_BYTES;
                if !out.is_empty() && out.len() + bytes > PAGE_BYTES {
                    break;
                }
                batch.push(&mut out, Framing::Messages, epoch, options, event);
            }
            batch.until = event.seq;
        }
        batch.bytes = out.freeze();
        batch
    }

    fn empty(slice: &LogSlice) -> Self {
        Self {
            bytes: Bytes::new(),
            ends: Vec::new(),
            after: slice.after,
            until: slice.after,
            published: None,
        }
    }

    /// Encodes one more event.
    fn push(
        &mut self,
        out: &mut BytesMut,
        framing: Framing,
        epoch: Epoch,
        options: &StreamOptions,
        event: Event<'_>,
    ) {
        let Event { seq, segment, index } = event;
        let entry = event.entry();
        match (options.is_plain(), framing) {
            (true, Framing::Chunks) => {
                out.extend_from_slice(&segment.chunks[segment.start(index)..entry.end as usize]);
            }
            (true, Framing::Messages) => out.extend_from_slice(segment.frame(index)),
            (false, framing) => {
                let (id, kind) = (EventId::new(epoch, seq), entry.meta.kind.word());
                let body = fit::event(segment.body(index), options.line_bytes_max);
                match framing {
                    Framing::Chunks => drop(options.format.write_chunk(out, id, kind, &body)),
                    Framing::Messages => options.format.write(out, id, kind, &body),
                }
            }
        }
        self.ends.push(End { seq, byte: out.len() });
        self.published = self.published.or(Some(entry.published));
    }

    /// Keeps only the first event.
    pub fn first_only(mut self) -> Self {
        if let Some(first) = self.ends.first().copied() {
            self.ends.truncate(1);
            self.bytes.truncate(first.byte);
            self.until = first.seq;
        }
        self
    }

    /// Marks the batch as history: the time since its publication says nothing about the latency.
    pub fn replayed(self) -> Self {
        Self { published: None, ..self }
    }

    /// The position of a socket that has taken the first `bytes`.
    pub fn position(&self, bytes: usize) -> Position {
        if bytes == self.bytes.len() {
            return Position { cursor: self.until, offset: 0 };
        }
        let done = self.events(bytes) as usize;
        let before = done.checked_sub(1).map(|at| self.ends[at]);
        let offset = (bytes - before.map_or(0, |end| end.byte)) as u32;
        // Events that the filter dropped before a half-sent event are done.
        let cursor = match (offset, before) {
            (0, None) => self.after,
            (0, Some(end)) => end.seq,
            _ => self.ends[done].seq - 1,
        };
        Position { cursor, offset }
    }

    /// How many events end within the first `bytes`.
    pub fn events(&self, bytes: usize) -> u64 {
        match bytes == self.bytes.len() {
            true => self.ends.len() as u64,
            false => self.ends.partition_point(|end| end.byte <= bytes) as u64,
        }
    }

    /// The seq of the last event that ends within the first `bytes`.
    pub fn last(&self, bytes: usize) -> Option<u64> {
        Some(self.ends[self.events(bytes).checked_sub(1)? as usize].seq)
    }

    /// How many events it holds.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The seq of its first event.
    pub fn first_seq(&self) -> Option<u64> {
        self.ends.first().map(|end| end.seq)
    }

    /// The seq of its last event.
    pub fn last_seq(&self) -> Option<u64> {
        self.ends.last().map(|end| end.seq)
    }
}
