//! A slice of the log: the events after a cursor that are processed together.

use std::sync::Arc;

use super::segment::{Entry, Segment};

/// Consecutive events from the ring or from a page of the store. Never empty.
#[derive(Debug, Clone)]
pub struct LogSlice {
    segments: Vec<Arc<Segment>>,
    /// The seq before its first event.
    pub after: u64,
    /// The seq of its last event.
    pub until: u64,
}

/// One event of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub seq: u64,
    pub segment: &'a Segment,
    pub index: usize,
}

impl<'a> Event<'a> {
    pub fn entry(&self) -> &'a Entry {
        &self.segment.entries[self.index]
    }
}

impl LogSlice {
    /// The part of the consecutive `segments` after the cursor: at most `bytes_max` bytes, unless
    /// the first event alone is larger, and at most `events_max` events. `None` when no segment has
    /// an event after the cursor.
    pub fn new<'a>(
        segments: impl IntoIterator<Item = &'a Arc<Segment>>,
        after: u64,
        bytes_max: usize,
        events_max: usize,
    ) -> Option<Self> {
        let mut slice = Self { segments: Vec::new(), after, until: after };
        let mut bytes_left = bytes_max;
        for segment in segments {
            if segment.last() <= after {
                continue;
            }
            let index = segment.index(after + 1);
            let start = segment.start(index);
            let events_left = events_max - (slice.until - after) as usize;
            let rest = &segment.entries[index..];
            let rest = &rest[..rest.len().min(events_left)];
            let mut fitting = rest.partition_point(|entry| entry.end as usize - start <= bytes_left);
            if slice.segments.is_empty() {
                fitting = fitting.max(1);
            }
            if fitting > 0 {
                bytes_left = bytes_left.saturating_sub(rest[fitting - 1].end as usize - start);
                slice.until = segment.first + (index + fitting) as u64 - 1;
                slice.segments.push(segment.clone());
            }
            if slice.until < segment.last() {
                break;
            }
        }
        (!slice.segments.is_empty()).then_some(slice)
    }

    /// The part up to and including `until`; `None` when that is empty.
    pub fn limited(mut self, until: u64) -> Option<Self> {
        self.until = self.until.min(until);
        (self.until > self.after).then_some(self)
    }

    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let (after, until) = (self.after, self.until);
        self.segments.iter().flat_map(move |segment| {
            let from = segment.index(after + 1);
            let to = segment.index(until + 1).min(segment.entries.len());
            (from..to).map(move |index| Event { seq: segment.first + index as u64, segment, index })
        })
    }

    /// The segment that holds the whole slice, if one does.
    pub fn only_segment(&self) -> Option<&Segment> {
        match &self.segments[..] {
            [segment] => Some(segment),
            _ => None,
        }
    }
}
