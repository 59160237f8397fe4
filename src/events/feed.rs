//! The feed: reads the log as one sequence, from the ring and from the store.
//!
//! The newest events come from the ring, older ones in pages from the store, both in the same form.
//! The next event is always `cursor + 1`, so no event is lost where the two meet.

use std::sync::Arc;

use crate::domain::clock::Timestamp;
use crate::domain::event::{Epoch, EventId, EventMark, StoredEvent};
use crate::store::{Reader, StoreError};

use super::batch::Batch;
use super::control::ResetReason;
use super::log_slice::LogSlice;
use super::options::StreamOptions;
use super::ring::{After, Ring};
use super::segment::{PAGE_BYTES, Segment};

/// Most events read from the store at once. A page is a short read transaction, however old its
/// events are.
const PAGE_EVENTS: usize = 512;

/// Where a client wants to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// With events from now on.
    #[default]
    Live,
    /// With the oldest event that the store holds.
    Earliest,
    /// After the event with this id, as the client sent it.
    After(String),
    /// With the first event at or after this time.
    Time(Timestamp),
}

/// Where a stream really starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartPosition {
    /// The seq after which it starts.
    pub cursor: u64,
    /// Whether the stream continues exactly where the client left off.
    pub resumed: bool,
    /// Why the stream could not resume, if it could not.
    pub reset: Option<ResetReason>,
}

/// How far a cursor is behind the head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    pub events: u64,
    /// Bytes of the events' envelopes.
    pub bytes: u64,
    /// How long the first of them has waited.
    pub ms: i64,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    Some(Arc<Batch>),
    UpToDate,
    /// Retention has removed what should come next; this is the seq of the oldest event left.
    Expired {
        oldest: u64,
    },
}

/// The events in the store after a cursor that the ring no longer holds.
#[derive(Debug)]
pub enum Page {
    Some(LogSlice),
    /// Retention has removed what should come next; this is the seq of the oldest event left.
    Expired {
        oldest: u64,
    },
}

/// The log, readable from any cursor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    pub ring: Arc<Ring>,
    reader: Reader,
}

impl Feed {
    pub fn new(ring: Arc<Ring>, reader: Reader) -> Self {
        Self { ring, reader }
    }

    pub fn id(&self, seq: u64) -> EventId {
        EventId::new(self.ring.epoch(), seq)
    }

    /// The position before the oldest event that the store holds.
    pub fn before_oldest(&self) -> u64 {
        self.reader.oldest().saturating_sub(1)
    }

    /// Finds where a stream starts.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn locate(&self, start: &Start) -> Result<StartPosition, StoreError> {
        let at = |cursor| StartPosition { cursor, resumed: false, reset: None };
        match start {
            Start::Live => Ok(at(self.ring.head())),
            Start::Earliest => Ok(at(self.before_oldest())),
            Start::Time(time) => {
                let time = *time;
                let first: u64 = self.reader.read(move |view| view.first_seq_at(time)).await?;
                Ok(at(first.saturating_sub(1)))
            }
            Start::After(id) => self.locate_after(id).await,
        }
    }

    async fn locate_after(&self, id: &str) -> Result<StartPosition, StoreError> {
        let reset = |cursor, reason| StartPosition { cursor, resumed: false, reset: Some(reason) };
        let seq = match id.trim().parse::<EventId>() {
            Ok(id) if id.epoch == self.epoch() => id.seq,
            _ => {
                return Ok(reset(self.before_oldest(), ResetReason::UnknownEpoch));
            }
        };
        if seq + 1 < self.ring.oldest() {
            let oldest = self.before_oldest();
            if seq < oldest {
                return Ok(reset(oldest, ResetReason::Expired));
            }
        }
        let head = self.ring.head();
        // The id may come from a list that was read from the store, which may be a moment ahead of
        // the ring.
        if seq > head && seq > self.committed_head().await? {
            return Ok(reset(head, ResetReason::Future));
        }
        Ok(StartPosition { cursor: seq, resumed: true, reset: None })
    }

    async fn committed_head(&self) -> Result<u64, StoreError> {
        self.reader.read(|view| Ok(view.head()?.seq)).await
    }

    pub fn epoch(&self) -> Epoch {
        self.ring.epoch()
    }

    /// How far behind the head each of these cursors is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn lags(&self, cursors: &[u64]) -> Result<Vec<Lag>, StoreError> {
        let (now, head, log_bytes) = (Timestamp::now(), self.ring.head(), self.ring.log_bytes());
        let mut marks: Vec<_> = cursors.iter().map(|cursor| self.ring.mark_after(*cursor)).collect();
        let missing: Vec<usize> =
            (0..cursors.len()).filter(|&at| marks[at].is_none() && cursors[at] < head).collect();
        if !missing.is_empty() {
            let seqs: Vec<u64> = missing.iter().map(|&at| cursors[at] + 1).collect();
            let found: Vec<_> = self.reader.read(move |view| view.marks(&seqs)).await?;
            missing.into_iter().zip(found).for_each(|(at, mark)| marks[at] = mark);
        }
        let lag = |(cursor, mark): (&u64, Option<EventMark>)| match mark {
            None => Lag::default(),
            Some(EventMark { at, bytes_before }) => Lag {
                events: head.saturating_sub(*cursor),
                bytes: log_bytes.saturating_sub(bytes_before),
                ms: now.ms_since(at).max(0),
            },
        };
        Ok(cursors.iter().zip(marks).map(lag).collect())
    }

    /// The events after `cursor`, encoded for `options`: at most `events_max` messages, and at most
    /// `PAGE_BYTES` unless it is one large message.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn next(
        &self,
        cursor: u64,
        options: &StreamOptions,
        events_max: usize,
    ) -> Result<Next, StoreError> {
        match self.ring.messages_after(cursor, options, events_max) {
            After::Some(batch) => Ok(Next::Some(batch)),
            After::UpToDate => Ok(Next::UpToDate),
            After::Behind => Ok(match self.page(cursor).await? {
                Page::Some(slice) => Next::Some(Arc::new(
                    Batch::messages(&slice, self.epoch(), options, events_max).replayed(),
                )),
                Page::Expired { oldest } => Next::Expired { oldest },
            }),
        }
    }

    /// Reads a page of the store: the events after `cursor`, which the ring no longer holds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn page(&self, cursor: u64) -> Result<Page, StoreError> {
        let read = self.reader.read(move |view| -> Result<_, StoreError> {
            let page = view.events_after(cursor, PAGE_EVENTS, PAGE_BYTES)?;
            match page.first().is_some_and(|event| event.seq == cursor + 1) {
                true => Ok(Ok(page)),
                false => Ok(Err(view.oldest()?)),
            }
        });
        let found: Result<Vec<StoredEvent>, u64> = read.await?;
        let segments = found
            .map(|page| Segment::encode(self.epoch(), page).into_iter().map(Arc::new).collect::<Vec<_>>());
        match segments {
            Ok(segments) => {
                let slice = LogSlice::new(&segments, cursor, usize::MAX, usize::MAX);
                Ok(Page::Some(slice.expect("a page begins right after the cursor")))
            }
            Err(oldest) => {
                // From now on no answer says that the log begins earlier.
                self.reader.saw_oldest(oldest);
                Ok(Page::Expired { oldest })
            }
        }
    }
}
