//! A segment: consecutive encoded events in one piece of memory that all streams share.
//!
//! Each event is a whole chunk of an HTTP/1.1 answer. So a thread can write any run of events to a
//! socket as it is, and can resume a partial write from an event and an offset into its chunk. A
//! segment never changes: the ring cuts a batch into segments, and merges small segments into a new
//! one.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::domain::clock::Timestamp;
use crate::domain::event::{Epoch, EventId, EventMeta, StoredEvent};

use super::frame::{CHUNK_END, Format};

/// Most bytes of a segment, and of what a connection gets at once, unless it is a single event. It
/// is large enough that a burst costs few writes. When a stream is the body of an answer, a client
/// that does not read holds two such pages: one in transit and one waiting.
pub const PAGE_BYTES: usize = 32 << 10;
/// Most bytes that a frame adds to its envelope: `id`, `event` and `data` with the longest id and
/// name, and the chunk.
pub const FRAME_BYTES: usize = 76;

/// Consecutive events as [`Format::Sse`], each a chunk.
#[derive(Debug)]
pub struct Segment {
    /// The seq of its first event.
    pub first: u64,
    /// Bytes of memory that the segment takes, with the metadata for filters.
    pub weight: u64,
    pub chunks: Bytes,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    /// Where its chunk ends in the segment.
    pub end: u32,
    /// Bytes of its message. The chunk ends with the message.
    frame: u32,
    /// Bytes of its envelope. The message ends with the envelope.
    body: u32,
    pub at: Timestamp,
    /// Bytes of all earlier events of the log.
    pub bytes_before: u64,
    pub published: Instant,
    pub meta: EventMeta,
}

impl Segment {
    /// Cuts a batch into segments. A single large event may exceed [`PAGE_BYTES`].
    pub fn encode(epoch: Epoch, events: Vec<StoredEvent>) -> Vec<Self> {
        let published = Instant::now();
        let mut segments = Vec::new();
        let mut events = events.into_iter().peekable();
        while let Some(first) = events.peek().map(|event| event.seq) {
            let mut chunks = BytesMut::new();
            let mut entries = Vec::new();
            let mut weight = 0;
            while let Some(event) = events.next_if(|event| {
                chunks.is_empty() || chunks.len() + event.body.len() + FRAME_BYTES <= PAGE_BYTES
            }) {
                let id = EventId::new(epoch, event.seq);
                let frame = Format::Sse.write_chunk(&mut chunks, id, event.meta.kind.word(), &event.body);
                weight += event.meta.weight();
                let (end, frame, body) = (chunks.len() as u32, frame as u32, event.body.len() as u32);
                let StoredEvent { at, bytes_before, meta, .. } = event;
                entries.push(Entry { end, frame, body, at, bytes_before, published, meta });
            }
            weight += chunks.len() as u64;
            segments.push(Self { first, weight, chunks: chunks.freeze(), entries });
        }
        segments
    }

    pub fn merge<'a>(segments: impl Iterator<Item = &'a Arc<Segment>> + Clone) -> Self {
        let bytes = segments.clone().map(|it| it.chunks.len()).sum();
        let mut chunks = BytesMut::with_capacity(bytes);
        let mut entries = Vec::with_capacity(segments.clone().map(|it| it.entries.len()).sum());
        let first = segments.clone().next().map_or(0, |it| it.first);
        let weight = segments.clone().map(|it| it.weight).sum();
        for segment in segments {
            let base = chunks.len() as u32;
            chunks.extend_from_slice(&segment.chunks);
            entries.extend(
                segment.entries.iter().cloned().map(|entry| Entry { end: entry.end + base, ..entry }),
            );
        }
        Self { first, weight, chunks: chunks.freeze(), entries }
    }

    pub fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// The index of `seq`, or of the first event when `seq` lies before the segment.
    pub fn index(&self, seq: u64) -> usize {
        seq.saturating_sub(self.first) as usize
    }

    /// Where the chunk of an event begins.
    pub fn start(&self, index: usize) -> usize {
        match index {
            0 => 0,
            _ => self.entries[index - 1].end as usize,
        }
    }

    /// The message of an event.
    pub fn frame(&self, index: usize) -> &[u8] {
        let entry = &self.entries[index];
        let end = entry.end as usize - CHUNK_END.len();
        &self.chunks[end - entry.frame as usize..end]
    }

    /// The encoded envelope of an event: its message without `id:`, `data:` and the empty line.
    pub fn body(&self, index: usize) -> &[u8] {
        const BLANK_LINE: usize = "\n\n".len();
        let entry = &self.entries[index];
        let end = entry.end as usize - CHUNK_END.len() - BLANK_LINE;
        &self.chunks[end - entry.body as usize..end]
    }
}
