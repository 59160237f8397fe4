//! The ring: the newest events, encoded, in memory, shared by all streams.
//!
//! It is a log, not a channel. Publishing appends once and wakes the threads; it does not wait for
//! a subscriber and does no work for each subscriber. Events come in the batches of the store's
//! commits. The ring cuts and merges them into segments of [`PAGE_BYTES`]. So the pending events of
//! a socket are one slice of shared memory: one write, no copy. The ring is bounded by bytes and by
//! count, and drops whole segments from the old end. A client that still needs them reads the
//! store.
//!
//! Rejected: a broadcast channel. It copies or clones for each subscriber and makes slow ones lose
//! messages. With gap-free seqs and a cursor, no message can get lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::domain::event::{Epoch, EventMark, LogEnd, StoredEvent};

use super::batch::Batch;
use super::log_slice::LogSlice;
use super::options::StreamOptions;
use super::segment::{Entry, PAGE_BYTES, Segment};

/// Most events that a filter sees in one call, so that a filter that few events pass does not block
/// its thread.
pub const SCAN_MAX: usize = 2048;

/// The answer to "what comes after this cursor?".
#[derive(Debug)]
pub enum After<T> {
    Some(T),
    /// Nothing yet.
    UpToDate,
    /// The ring has moved past the cursor: ask the store.
    Behind,
}

#[derive(Debug)]
pub struct Ring {
    epoch: Epoch,
    /// Set by [`EventsConfig`](crate::config::EventsConfig), as is the next one.
    bytes_max: u64,
    events_max: u64,
    state: Mutex<State>,
    /// A copy of the head of the state, to be read without the lock.
    head: AtomicU64,
    published: Notify,
    /// The last batch that was built for the body of an answer. Most bodies want the same one.
    joined: Mutex<Option<Arc<Batch>>>,
}

#[derive(Debug)]
struct State {
    /// Contiguous: each segment starts where the one before ends.
    segments: VecDeque<Arc<Segment>>,
    /// Segments at the new end that are not yet merged.
    unmerged: usize,
    bytes: u64,
    events: u64,
    head: u64,
    log_bytes: u64,
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
            }),
            head: AtomicU64::new(head),
            published: Notify::new(),
            joined: Mutex::new(None),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The seq of the last event.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
    }

    /// The seq of the oldest event in the ring; head + 1 when the ring is empty.
    pub fn oldest(&self) -> u64 {
        let state = self.state();
        state.segments.front().map_or(state.head + 1, |segment| segment.first)
    }

    /// The mark of the event after `cursor`, if the ring still holds it.
    pub fn mark_after(&self, cursor: u64) -> Option<EventMark> {
        let state = self.state();
        let segment = state.segments.get(state.find(cursor + 1)?)?;
        let Entry { at, bytes_before, .. } = segment.entries[segment.index(cursor + 1)];
        Some(EventMark { at, bytes_before })
    }

    /// Bytes of all events that were ever in the log.
    pub fn log_bytes(&self) -> u64 {
        self.state().log_bytes
    }

    /// The bytes and events in the ring.
    pub fn size(&self) -> (u64, u64) {
        let state = self.state();
        (state.bytes, state.events)
    }

    /// Waits for the next batch, or returns at once if one came since the last wait. Only one task
    /// may wait.
    pub async fn published(&self) {
        self.published.notified().await;
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
            // Within the lock: a reader that sees the events also sees the head, and the other way
            // round.
            self.head.store(last, Ordering::SeqCst);
        }
        self.published.notify_one();
    }

    /// The events after `cursor`: at most `bytes_max` bytes, unless the first event alone is
    /// larger, and at most `events_max` events.
    pub fn after(&self, cursor: u64, bytes_max: usize, events_max: usize) -> After<LogSlice> {
        let state = self.state();
        if cursor >= state.head {
            return After::UpToDate;
        }
        let slice = state
            .find(cursor + 1)
            .and_then(|at| LogSlice::new(state.segments.range(at..), cursor, bytes_max, events_max));
        slice.map_or(After::Behind, After::Some)
    }

    /// The events after `cursor` as messages for the body of an answer: at most `events_max`, and
    /// at most `PAGE_BYTES` unless a single event is larger.
    pub fn messages_after(
        &self,
        cursor: u64,
        options: &StreamOptions,
        events_max: usize,
    ) -> After<Arc<Batch>> {
        let shared = options.filter.is_empty() && options.is_plain() && events_max == usize::MAX;
        let bytes_max = if shared { PAGE_BYTES } else { usize::MAX };
        let slice = match self.after(cursor, bytes_max, SCAN_MAX) {
            After::Some(slice) => slice,
            After::UpToDate => return After::UpToDate,
            After::Behind => return After::Behind,
        };
        // Encode outside the lock.
        if !shared {
            return After::Some(Arc::new(Batch::messages(&slice, self.epoch, options, events_max)));
        }
        let same = |batch: &&Arc<Batch>| (batch.after, batch.until) == (slice.after, slice.until);
        if let Some(batch) = self.joined().as_ref().filter(same) {
            return After::Some(batch.clone());
        }
        let batch = Arc::new(Batch::messages(&slice, self.epoch, options, usize::MAX));
        *self.joined() = Some(batch.clone());
        After::Some(batch)
    }

    fn joined(&self) -> MutexGuard<'_, Option<Arc<Batch>>> {
        self.joined.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl State {
    fn push(&mut self, segment: Segment) {
        let tail = self.segments.len() - self.unmerged;
        let bytes: usize = self.segments.range(tail..).map(|it| it.chunks.len()).sum();
        if bytes + segment.chunks.len() > PAGE_BYTES {
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
        // The newest segment always stays: a subscriber must be able to get the event that woke it.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::event::{EventKind, EventMeta, Subject};
    use crate::domain::filter::EventFilter;
    use crate::events::frame::Format;

    fn event(seq: u64, bytes: usize) -> StoredEvent {
        let kind = if seq.is_multiple_of(2) { EventKind::Announcement } else { EventKind::TaskDeleted };
        StoredEvent {
            seq,
            at: Timestamp::from_ms(seq as i64),
            bytes_before: 0,
            meta: EventMeta { kind, subject: Subject::Hub },
            body: format!("<{seq}{}>", ".".repeat(bytes)).into(),
            text: None,
        }
    }

    fn everything() -> StreamOptions {
        StreamOptions::new(EventFilter::default(), Format::Sse)
    }

    fn follow(ring: &Ring, mut cursor: u64, options: &StreamOptions) -> (String, u64) {
        let mut seen = String::new();
        while let After::Some(batch) = ring.messages_after(cursor, options, usize::MAX) {
            assert!(batch.until > cursor, "a take moves on");
            cursor = batch.until;
            seen.push_str(std::str::from_utf8(&batch.bytes).expect("UTF-8"));
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
        let filter = EventFilter { events: vec![EventKind::Announcement].into(), ..EventFilter::default() };
        let options = StreamOptions::new(filter, Format::Ndjson);
        assert_eq!(follow(&ring, 0, &options), ("<2>\n<4>\n<6>\n<8>\n".into(), 9));
        match ring.messages_after(0, &options, 2) {
            After::Some(batch) => assert_eq!((batch.len(), batch.until), (2, 4)),
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
        assert!(matches!(ring.messages_after(89, &everything(), usize::MAX), After::Behind));
        assert_eq!(follow(&ring, 90, &everything()).1, 100);
        assert!(matches!(ring.messages_after(100, &everything(), usize::MAX), After::UpToDate));
    }

    #[test]
    fn a_crowd_at_one_cursor_shares_one_buffer() {
        let ring = Ring::new(Epoch(1), LogEnd::default(), u64::MAX, u64::MAX);
        (1..=20).for_each(|seq| ring.publish(vec![event(seq, 10)]));
        let take = || match ring.messages_after(3, &everything(), usize::MAX) {
            After::Some(batch) => batch.bytes.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(take().as_ptr(), take().as_ptr());
    }
}
