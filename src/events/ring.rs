//! The ring: the newest events, encoded, in memory, shared by all streams.
//!
//! A log rather than a channel: publishing appends once and wakes; it neither waits for a subscriber nor does
//! anything per subscriber. Events come in the batches of the store's commits. Each batch is one buffer of
//! frames; batches are cut and merged into segments of [`PAGE_BYTES`], so that a subscriber's pending events are
//! one slice of shared memory: one write, no copy. Bounded by bytes and by count; whole segments are dropped
//! from the old end, and whoever still needed them reads the store.
//!
//! Rejected: a broadcast channel, which copies or clones per subscriber and makes the slow ones lag; gap-free
//! seqs and a cursor need no such notion.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use tokio::sync::watch;

use crate::domain::event::{Epoch, EventId, EventMark, LogEnd, StoredEvent};
use crate::domain::filter::EventFilter;

use super::frame::Format;
use super::segment::{Entry, FRAME_BYTES, PAGE_BYTES, Segment, Taken};

/// Most events that a filter looks at in one take, so that a picky one does not hog its thread.
const SCAN_MAX: usize = 2048;

/// What a client wants to see, and how.
#[derive(Debug, Clone)]
pub struct Shape {
    pub filter: EventFilter,
    pub format: Format,
}

/// The answer to "what comes after this cursor?".
#[derive(Debug)]
pub enum Take {
    Some(Taken),
    /// Nothing yet.
    UpToDate,
    /// The ring has moved past the cursor: ask the store.
    Behind,
}

#[derive(Debug)]
pub struct Ring {
    epoch: Epoch,
    bytes_max: u64,
    events_max: u64,
    state: Mutex<State>,
    head: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Contiguous: each segment starts where the one before ends.
    segments: VecDeque<Arc<Segment>>,
    /// Segments at the new end that are not merged yet.
    unmerged: usize,
    bytes: u64,
    events: u64,
    head: u64,
    log_bytes: u64,
    /// The last slice built out of several segments; its neighbours in the crowd want the same.
    joined: Option<(u64, Taken)>,
}

impl Ring {
    /// An empty ring behind a log that ends at `end`.
    pub fn new(epoch: Epoch, end: LogEnd, bytes_max: u64, events_max: u64) -> Self {
        let LogEnd { head, bytes: log_bytes } = end;
        Self {
            epoch,
            bytes_max,
            events_max,
            state: Mutex::new(State {
                segments: VecDeque::new(),
                unmerged: 0,
                bytes: 0,
                events: 0,
                head,
                log_bytes,
                joined: None,
            }),
            head: watch::Sender::new(head),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The seq of the last event.
    pub fn head(&self) -> u64 {
        self.state().head
    }

    /// The seq of the oldest event held; one more than the head when there is none.
    pub fn oldest(&self) -> u64 {
        let state = self.state();
        state.segments.front().map_or(state.head + 1, |segment| segment.first)
    }

    /// What is known of the event after `cursor`, if the ring still holds it.
    pub fn mark_after(&self, cursor: u64) -> Option<EventMark> {
        let state = self.state();
        let segment = state.segments.get(state.find(cursor + 1)?)?;
        let Entry { at, bytes_before, .. } = segment.entries[segment.index(cursor + 1)];
        Some(EventMark { at, bytes_before })
    }

    /// Bytes of all events that the log ever held.
    pub fn log_bytes(&self) -> u64 {
        self.state().log_bytes
    }

    /// Bytes and events held.
    pub fn size(&self) -> (u64, u64) {
        let state = self.state();
        (state.bytes, state.events)
    }

    /// Learns of every new head.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Appends committed events; `events` continue exactly where the ring ends.
    pub fn publish(&self, events: Vec<StoredEvent>) {
        let Some(last) = events.last() else {
            return;
        };
        let (last, log_bytes) = (last.seq, last.bytes_before + last.body.len() as u64);
        let segments = Segment::encode(self.epoch, events);
        {
            let mut state = self.state();
            for segment in segments {
                assert_eq!(segment.first, state.head + 1, "the log has no gaps");
                state.push(segment);
            }
            state.log_bytes = log_bytes;
            state.shrink(self.bytes_max, self.events_max);
        }
        self.head.send_replace(last);
    }

    /// What comes after `cursor`: at most `events_max` events, and at most `PAGE_BYTES` unless a single event is
    /// larger.
    pub fn take(&self, cursor: u64, shape: &Shape, events_max: usize) -> Take {
        let whole = shape.filter.is_empty() && shape.format == Format::Sse && events_max == usize::MAX;
        let segments = {
            let mut state = self.state();
            if cursor >= state.head {
                return Take::UpToDate;
            }
            let Some(start) = state.find(cursor + 1) else {
                return Take::Behind;
            };
            if whole {
                return Take::Some(state.slice(start, cursor));
            }
            // Shared, so that the filter runs without the lock.
            state.segments.range(start..).take(SCAN_MAX).cloned().collect::<Vec<_>>()
        };
        Take::Some(self.pick(&segments, cursor, shape, events_max))
    }

    fn pick(&self, segments: &[Arc<Segment>], cursor: u64, shape: &Shape, events_max: usize) -> Taken {
        let mut out = BytesMut::new();
        let mut taken = Taken::nothing(cursor);
        let pending = segments.iter().flat_map(|segment| {
            let skip = segment.index(cursor + 1);
            segment.entries.iter().enumerate().skip(skip).map(move |(at, entry)| (segment, at, entry))
        });
        for (segment, at, entry) in pending.take(SCAN_MAX) {
            if taken.events >= events_max as u64 {
                break;
            }
            let seq = segment.first + at as u64;
            if shape.filter.matches(&entry.meta) {
                let body = segment.body(at);
                if !out.is_empty() && out.len() + body.len() + FRAME_BYTES > PAGE_BYTES {
                    break;
                }
                let id = EventId::new(self.epoch, seq);
                shape.format.write(&mut out, id, entry.meta.kind.word(), body);
                taken.events += 1;
                taken.last = Some(seq);
                taken.published = taken.published.or(Some(entry.published));
            }
            taken.cursor = seq;
        }
        taken.bytes = out.freeze();
        taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl State {
    fn push(&mut self, segment: Segment) {
        let tail = self.segments.len() - self.unmerged;
        let bytes: usize = self.segments.range(tail..).map(|it| it.frames.len()).sum();
        if bytes + segment.frames.len() > PAGE_BYTES {
            if self.unmerged > 1 {
                let merged = Segment::merge(self.segments.range(tail..));
                self.segments.truncate(tail);
                self.segments.push_back(Arc::new(merged));
            }
            self.unmerged = 0;
        }
        self.head = segment.last();
        self.bytes += segment.weight;
        self.events += segment.entries.len() as u64;
        self.segments.push_back(Arc::new(segment));
        self.unmerged += 1;
    }

    fn shrink(&mut self, bytes_max: u64, events_max: u64) {
        // The newest segment always stays: a subscriber must be able to get the event it was woken for.
        while self.segments.len() > 1 && (self.bytes > bytes_max || self.events > events_max) {
            if let Some(oldest) = self.segments.pop_front() {
                self.bytes -= oldest.weight;
                self.events -= oldest.entries.len() as u64;
                self.unmerged = self.unmerged.min(self.segments.len());
            }
        }
    }

    /// The index of the segment that holds `seq`.
    fn find(&self, seq: u64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.first <= seq);
        after.checked_sub(1).filter(|at| seq <= self.segments[*at].last())
    }

    /// Everything after `cursor`, at most a segment's worth, as one slice.
    fn slice(&mut self, start: usize, cursor: u64) -> Taken {
        let first = self.segments[start].after(cursor);
        if first.cursor < self.segments[start].last() {
            return first;
        }
        let mut end = start + 1;
        let mut bytes = first.bytes.len();
        while let Some(next) = self.segments.get(end)
            && bytes + next.frames.len() <= PAGE_BYTES
        {
            bytes += next.frames.len();
            end += 1;
        }
        if end == start + 1 {
            return first;
        }
        let last = self.segments[end - 1].last();
        if let Some((from, taken)) = &self.joined
            && *from == cursor
            && taken.cursor == last
        {
            return taken.clone();
        }
        let mut out = BytesMut::with_capacity(bytes);
        out.extend_from_slice(&first.bytes);
        for segment in self.segments.range(start + 1..end) {
            out.extend_from_slice(&segment.frames);
        }
        let taken =
            Taken { bytes: out.freeze(), cursor: last, events: last - cursor, last: Some(last), ..first };
        self.joined = Some((cursor, taken.clone()));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::event::{EventKind, EventMeta};

    fn event(seq: u64, bytes: usize) -> StoredEvent {
        let kind = if seq.is_multiple_of(2) { EventKind::Announcement } else { EventKind::TaskDeleted };
        StoredEvent {
            seq,
            at: Timestamp::from_ms(seq as i64),
            bytes_before: 0,
            meta: EventMeta { kind, task: None },
            body: format!("<{seq}{}>", ".".repeat(bytes)).into(),
        }
    }

    fn everything() -> Shape {
        Shape { filter: EventFilter::default(), format: Format::Sse }
    }

    fn follow(ring: &Ring, mut cursor: u64, shape: &Shape) -> (String, u64) {
        let mut seen = String::new();
        while let Take::Some(taken) = ring.take(cursor, shape, usize::MAX) {
            assert!(taken.cursor > cursor, "a take moves on");
            cursor = taken.cursor;
            seen.push_str(std::str::from_utf8(&taken.bytes).expect("UTF-8"));
        }
        (seen, cursor)
    }

    #[test]
    fn every_cursor_sees_exactly_what_comes_after_it_however_batches_were_merged() {
        let ring = Ring::new(Epoch(1), LogEnd::default(), u64::MAX, u64::MAX);
        let mut seq = 0;
        for batch in [1, 1, 5, 1, 300, 2, 1, 1] {
            ring.publish(
                (0..batch)
                    .map(|_| {
                        seq += 1;
                        event(seq, 400)
                    })
                    .collect(),
            );
        }
        let (all, head) = follow(&ring, 0, &everything());
        assert_eq!(head, seq);
        let frames: Vec<_> = all.split_inclusive("\n\n").collect();
        assert_eq!(frames.len(), seq as usize);
        for cursor in 0..seq {
            let (seen, _) = follow(&ring, cursor, &everything());
            assert_eq!(seen, frames[cursor as usize..].concat(), "after {cursor}");
        }
    }

    #[test]
    fn a_filter_sees_its_part_in_order_and_moves_past_the_rest() {
        let ring = Ring::new(Epoch(1), LogEnd::default(), u64::MAX, u64::MAX);
        ring.publish((1..=9).map(|seq| event(seq, 0)).collect());
        let shape = Shape {
            filter: EventFilter { events: vec![EventKind::Announcement], ..EventFilter::default() },
            format: Format::Ndjson,
        };
        assert_eq!(follow(&ring, 0, &shape), ("<2>\n<4>\n<6>\n<8>\n".into(), 9));
        match ring.take(0, &shape, 2) {
            Take::Some(taken) => assert_eq!((taken.events, taken.cursor), (2, 4)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_oldest_go_first_and_their_readers_are_told() {
        let ring = Ring::new(Epoch(1), LogEnd::default(), u64::MAX, 10);
        for seq in 1..=100 {
            ring.publish(vec![event(seq, 0)]);
        }
        assert_eq!((ring.oldest(), ring.head()), (91, 100));
        assert!(matches!(ring.take(89, &everything(), usize::MAX), Take::Behind));
        assert_eq!(follow(&ring, 90, &everything()).1, 100);
        assert!(matches!(ring.take(100, &everything(), usize::MAX), Take::UpToDate));
    }

    #[test]
    fn a_crowd_at_one_cursor_shares_one_buffer() {
        let ring = Ring::new(Epoch(1), LogEnd::default(), u64::MAX, u64::MAX);
        (1..=20).for_each(|seq| ring.publish(vec![event(seq, 10)]));
        let take = || match ring.take(3, &everything(), usize::MAX) {
            Take::Some(taken) => taken.bytes,
            other => panic!("{other:?}"),
        };
        assert_eq!(take().as_ptr(), take().as_ptr());
    }
}
