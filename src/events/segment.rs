//! A segment: consecutive events, encoded, in one piece of memory that every stream shares.
//!
//! It knows where each event begins and ends, so any part of it is a slice. It never changes: a batch is cut
//! into segments, and small ones are merged into a new one.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::domain::clock::Timestamp;
use crate::domain::event::{Epoch, EventId, EventMeta, StoredEvent};

use super::frame::Format;

/// Most bytes of a segment, and of whatever is handed out at once, unless it is a single event: large enough that
/// a burst costs few writes. One such page on its way and one waiting are what a client that does not read holds,
/// be it alone or with memory that the ring has long dropped.
pub const PAGE_BYTES: usize = 32 << 10;
/// Most bytes that a frame adds to its envelope: `id`, `event` and `data` with the longest id and name.
pub const FRAME_BYTES: usize = 64;

/// Part of the stream, ready to be written.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Whole messages; empty when the filter matched none of what was looked at.
    pub bytes: Bytes,
    /// The seq of the last event that was looked at.
    pub cursor: u64,
    /// Messages in `bytes`.
    pub events: u64,
    /// The seq of the last event in `bytes`; `None` when they are empty.
    pub last: Option<u64>,
    /// When the first event in `bytes` was published; absent when it came from the store.
    pub published: Option<Instant>,
}

impl Taken {
    /// Nothing yet, having looked at everything up to `cursor`.
    pub fn nothing(cursor: u64) -> Self {
        Self { bytes: Bytes::new(), cursor, events: 0, last: None, published: None }
    }
}

/// Consecutive events as [`Format::Sse`] frames.
#[derive(Debug)]
pub struct Segment {
    pub first: u64,
    /// Bytes of memory that it takes, what filters look at included.
    pub weight: u64,
    pub frames: Bytes,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    /// Where its frame ends in the segment.
    end: u32,
    body: u32,
    pub at: Timestamp,
    /// Bytes of all events of the log before it.
    pub bytes_before: u64,
    pub published: Instant,
    pub meta: EventMeta,
}

impl Segment {
    /// Cuts a batch into segments; one event alone may make a large one.
    pub fn encode(epoch: Epoch, events: Vec<StoredEvent>) -> Vec<Self> {
        let published = Instant::now();
        let mut segments = Vec::new();
        let mut events = events.into_iter().peekable();
        while let Some(first) = events.peek().map(|event| event.seq) {
            let mut frames = BytesMut::new();
            let mut entries = Vec::new();
            let mut weight = 0;
            while let Some(event) = events.next_if(|event| {
                frames.is_empty() || frames.len() + event.body.len() + FRAME_BYTES <= PAGE_BYTES
            }) {
                let id = EventId::new(epoch, event.seq);
                Format::Sse.write(&mut frames, id, event.meta.kind.word(), &event.body);
                weight += event.meta.weight();
                let (end, body) = (frames.len() as u32, event.body.len() as u32);
                let StoredEvent { at, bytes_before, meta, .. } = event;
                entries.push(Entry { end, body, at, bytes_before, published, meta });
            }
            weight += frames.len() as u64;
            segments.push(Self { first, weight, frames: frames.freeze(), entries });
        }
        segments
    }

    pub fn merge<'a>(segments: impl Iterator<Item = &'a Arc<Segment>> + Clone) -> Self {
        let bytes = segments.clone().map(|it| it.frames.len()).sum();
        let mut frames = BytesMut::with_capacity(bytes);
        let mut entries = Vec::with_capacity(segments.clone().map(|it| it.entries.len()).sum());
        let first = segments.clone().next().map_or(0, |it| it.first);
        let weight = segments.clone().map(|it| it.weight).sum();
        for segment in segments {
            let base = frames.len() as u32;
            frames.extend_from_slice(&segment.frames);
            entries.extend(
                segment.entries.iter().cloned().map(|entry| Entry { end: entry.end + base, ..entry }),
            );
        }
        Self { first, weight, frames: frames.freeze(), entries }
    }

    pub fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// The index of `seq`, or of the first event when `seq` lies before the segment.
    pub fn index(&self, seq: u64) -> usize {
        seq.saturating_sub(self.first) as usize
    }

    /// What comes after `cursor`: at most [`PAGE_BYTES`] unless the first event alone is larger.
    pub fn after(&self, cursor: u64) -> Taken {
        let index = self.index(cursor + 1);
        let start = match index {
            0 => 0,
            _ => self.entries[index - 1].end as usize,
        };
        let rest = &self.entries[index..];
        let fitting = rest.partition_point(|entry| entry.end as usize <= start + PAGE_BYTES).max(1);
        let cursor = self.first + (index + fitting) as u64 - 1;
        Taken {
            bytes: self.frames.slice(start..rest[fitting - 1].end as usize),
            cursor,
            events: fitting as u64,
            last: Some(cursor),
            published: Some(rest[0].published),
        }
    }

    /// The encoded envelope of an event: its frame without `id:`, `data:` and the empty line.
    pub fn body(&self, index: usize) -> &[u8] {
        const BLANK_LINE: usize = "\n\n".len();
        let entry = &self.entries[index];
        let end = entry.end as usize - BLANK_LINE;
        &self.frames[end - entry.body as usize..end]
    }
}
