//! What the body of an answer is handed at once: messages without chunks, which HTTP adds by itself.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::domain::event::{Epoch, EventId};

use super::fit;
use super::ring::Shape;
use super::segment::{FRAME_BYTES, PAGE_BYTES};
use super::stretch::Stretch;

/// Part of the stream, ready to be written.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Whole messages; empty when the filter matched none of what was looked at.
    pub bytes: Bytes,
    /// The seq after which it begins.
    pub after: u64,
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
    /// The part of `stretch` that a client of this `shape` gets: at most `events_max` messages, and at most
    /// [`PAGE_BYTES`] unless it is one large message.
    pub fn of(stretch: &Stretch, epoch: Epoch, shape: &Shape, events_max: usize) -> Self {
        let mut out = BytesMut::new();
        let mut taken = Self {
            bytes: Bytes::new(),
            after: stretch.after,
            cursor: stretch.after,
            events: 0,
            last: None,
            published: None,
        };
        for event in stretch.events() {
            if taken.events >= events_max as u64 {
                break;
            }
            let entry = event.entry();
            if shape.filter.matches(&entry.meta) {
                let body = fit::event(event.segment.body(event.index), shape.line_bytes_max);
                let frame = shape.is_plain().then(|| event.segment.frame(event.index));
                let length = frame.map_or(body.len() + FRAME_BYTES, <[u8]>::len);
                if !out.is_empty() && out.len() + length > PAGE_BYTES {
                    break;
                }
                match frame {
                    Some(frame) => out.extend_from_slice(frame),
                    None => {
                        let id = EventId::new(epoch, event.seq);
                        shape.format.write(&mut out, id, entry.meta.kind.word(), &body);
                    }
                }
                taken.events += 1;
                taken.last = Some(event.seq);
                taken.published = taken.published.or(Some(entry.published));
            }
            taken.cursor = event.seq;
        }
        taken.bytes = out.freeze();
        taken
    }

    /// Out of the past: how long ago it was published is no measure of how fast it is served.
    pub fn replayed(self) -> Self {
        Self { published: None, ..self }
    }
}
