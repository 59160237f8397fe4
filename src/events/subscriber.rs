//! A subscriber: a cursor that walks the log at its own pace.
//!
//! ```text
//! loop: something pending in memory -> all of it, as one slice
//!       not in memory any more      -> a page from the store
//!       nothing new                 -> wait for an event, the keepalive tick, or the end
//! ```
//!
//! There is no replay phase and no live phase, so there is no moment between them in which an event could be
//! lost or doubled. The future holds at most one slice; a client that does not read holds nothing more.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

use super::control::{CheckpointData, ConnectedData, GoodbyeData, ResetData, ResetReason};
use super::feed::{Feed, Next, Position};
use super::registry::Registration;
use super::ring::Shape;

/// How long a client should wait before it reconnects after a loss it did not see coming.
const RETRY_MS: u64 = 3000;
/// At shutdown each client is sent away for its own time in this range, so that they come back spread out.
const GOODBYE_MS: std::ops::Range<u64> = 1000..5000;

/// The body of one stream. [`Subscriber::next`] until it answers `None`.
#[derive(Debug)]
pub struct Subscriber {
    feed: Feed,
    shape: Arc<Shape>,
    cursor: u64,
    /// The cursor at which the client was last told where it stands.
    told: u64,
    /// Messages that come before anything else.
    first: VecDeque<Bytes>,
    head: watch::Receiver<u64>,
    ticks: watch::Receiver<u64>,
    draining: CancellationToken,
    registration: Registration,
    ended: bool,
}

impl Subscriber {
    /// A stream that starts at `position`. `oldest` is the position before the oldest event held.
    pub(super) fn new(
        feed: Feed,
        shape: Shape,
        position: Position,
        oldest: u64,
        ticks: watch::Receiver<u64>,
        draining: CancellationToken,
        registration: Registration,
    ) -> Self {
        let format = shape.format;
        let (id, head) = (feed.id(position.cursor), feed.id(feed.ring.head()));
        let oldest = feed.id(oldest);
        let mut first = VecDeque::from([format.retry(RETRY_MS)]);
        // The reset comes before anything that would move the client's id past the gap.
        if let Some(reason) = position.reset {
            let data = ResetData { reason, oldest, head };
            first.push_back(format.control(id, "reset", data));
        }
        let data = ConnectedData { resumed: position.resumed, head, oldest };
        first.push_back(format.control(id, "connected", data));
        Self {
            head: feed.ring.watch(),
            shape: Arc::new(shape),
            cursor: position.cursor,
            told: position.cursor,
            first,
            ticks,
            draining,
            registration,
            ended: false,
            feed,
        }
    }

    /// The next bytes to write: whole messages, never empty. `None` at the end of the stream.
    ///
    /// # Cancel safety
    /// The cursor moves only when bytes are returned, so dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.first.is_empty() {
                let bytes: Vec<u8> = self.first.drain(..).flatten().collect();
                return Some(self.sent(0, bytes.into()));
            }
            if self.ended {
                return None;
            }
            if self.draining.is_cancelled() {
                return Some(self.goodbye());
            }
            // Armed before looking: what is published from here on wakes the wait below.
            self.head.borrow_and_update();
            match self.feed.next(self.cursor, &self.shape, usize::MAX).await {
                Ok(Next::Some(taken)) => {
                    self.cursor = taken.cursor;
                    if taken.bytes.is_empty() {
                        self.registration.sent(self.cursor, 0, 0);
                        // A picky filter over a deep replay lets others run, leaves at shutdown, and tells its
                        // client now and then how far it has come.
                        tokio::task::yield_now().await;
                        if self.ticks.has_changed().unwrap_or(false) {
                            self.ticks.mark_unchanged();
                            return Some(self.keepalive());
                        }
                        continue;
                    }
                    self.told = self.cursor;
                    self.ticks.mark_unchanged();
                    return Some(self.sent(taken.events, taken.bytes));
                }
                Ok(Next::Expired) => return Some(self.reset()),
                Ok(Next::UpToDate) => {
                    // All three are cancel safe: they only observe.
                    tokio::select! {
                        _ = self.head.changed() => {}
                        _ = self.draining.cancelled() => {}
                        ticked = self.ticks.changed() => match ticked {
                            Ok(()) => return Some(self.keepalive()),
                            Err(_) => self.ended = true,
                        }
                    }
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// A stream that cannot be read on ends: its client reconnects with the id it has.
    fn fail(&mut self, error: &StoreError) {
        tracing::error!(error = %error, event.seq = self.cursor, "a stream ended: the log cannot be read");
        self.ended = true;
    }

    fn reset(&mut self) -> Bytes {
        self.cursor = self.feed.before_oldest();
        self.told = self.cursor;
        let data = ResetData {
            reason: ResetReason::Expired,
            oldest: self.feed.id(self.cursor),
            head: self.feed.id(self.feed.ring.head()),
        };
        let id = self.feed.id(self.cursor);
        self.sent(0, self.shape.format.control(id, "reset", data))
    }

    /// A comment, or, when a filter has let the client's id fall behind, a message that brings it along.
    fn keepalive(&mut self) -> Bytes {
        let bytes = if self.cursor == self.told {
            self.shape.format.keepalive()
        } else {
            self.told = self.cursor;
            let data = CheckpointData { head: self.feed.id(self.feed.ring.head()) };
            self.shape.format.control(self.feed.id(self.cursor), "checkpoint", data)
        };
        self.sent(0, bytes)
    }

    fn goodbye(&mut self) -> Bytes {
        self.ended = true;
        let mut random = [0; 8];
        // Without randomness the clients come back together, which they survive.
        let _ = getrandom::fill(&mut random);
        let retry_ms = GOODBYE_MS.start + u64::from_le_bytes(random) % (GOODBYE_MS.end - GOODBYE_MS.start);
        let mut bytes = self.shape.format.retry(retry_ms).to_vec();
        let id = self.feed.id(self.cursor);
        bytes.extend_from_slice(&self.shape.format.control(id, "goodbye", GoodbyeData { retry_ms }));
        self.sent(0, bytes.into())
    }

    fn sent(&self, events: u64, bytes: Bytes) -> Bytes {
        self.registration.sent(self.cursor, events, bytes.len());
        bytes
    }
}
