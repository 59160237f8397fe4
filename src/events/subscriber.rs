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
//!
//! A stream that asked for a snapshot begins with one, and begins anew with one when it cannot go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::event::EventId;
use crate::metrics::Latency;

use super::control::{CheckpointData, ConnectedData, GoodbyeData, ResetData, ResetReason};
use super::feed::{Feed, Next, Position};
use super::registry::{DisconnectReason, Registration};
use super::ring::{Shape, Take};
use super::segment::{PAGE_BYTES, Taken};
use super::snapshot::{Snapshot, Snapshots};

/// How long a client should wait before it reconnects after a loss it did not see coming.
const RETRY_MS: u64 = 3000;
/// At shutdown each client is sent away for its own time in this range, so that they come back spread out.
const GOODBYE_MS: std::ops::Range<u64> = 1000..5000;

/// What all streams have in common. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub feed: Feed,
    pub snapshots: Snapshots,
    /// Ticks when a keepalive is due.
    pub ticks: watch::Receiver<u64>,
    pub draining: CancellationToken,
    pub latency: Arc<Latency>,
}

/// The body of one stream. [`Subscriber::next`] until it answers `None`.
#[derive(Debug)]
pub struct Subscriber {
    hub: Surroundings,
    shape: Arc<Shape>,
    /// Whether state is sent before changes, also after a gap.
    with_snapshots: bool,
    stage: Stage,
    cursor: u64,
    /// The cursor at which the client was last told where it stands.
    told: u64,
    /// Bytes of the next page that were handed over already: of a large message only a part is copied at once.
    handed: usize,
    /// Messages that come before anything else.
    first: VecDeque<Bytes>,
    head: watch::Receiver<u64>,
    /// When the stream was opened: what was published before it is no measure of how fast it is served.
    opened: Instant,
    registration: Registration,
}

#[derive(Debug)]
enum Stage {
    /// Its snapshot is still to be taken.
    Beginning,
    Snapshot(Snapshot),
    Following,
    Ended,
}

impl Subscriber {
    /// A stream that starts at `position`, or, when `with_snapshot`, with the tasks as they stand.
    pub(super) fn new(
        hub: Surroundings,
        shape: Shape,
        position: Position,
        with_snapshots: bool,
        registration: Registration,
    ) -> Self {
        let mut subscriber = Self {
            head: hub.feed.ring.watch(),
            first: VecDeque::from([shape.format.retry(RETRY_MS)]),
            shape: Arc::new(shape),
            with_snapshots,
            stage: Stage::Following,
            cursor: position.cursor,
            told: position.cursor,
            handed: 0,
            opened: Instant::now(),
            registration,
            hub,
        };
        let begins = with_snapshots && !position.resumed;
        if begins {
            subscriber.stage = Stage::Beginning;
        }
        // The reset comes before anything that would move the client's id past the gap.
        if let Some(reason) = position.reset {
            let message = subscriber.reset(reason);
            subscriber.first.push_back(message);
        }
        if !begins {
            subscriber.connected(position.resumed);
        }
        subscriber
    }

    /// The next bytes to write, never empty. `None` at the end of the stream.
    ///
    /// # Cancel safety
    /// The cursor moves only when bytes are returned, so dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.first.is_empty() {
                let bytes: Vec<u8> = self.first.drain(..).flatten().collect();
                if !bytes.is_empty() {
                    return Some(self.sent(0, bytes.into()));
                }
            }
            match &mut self.stage {
                Stage::Ended => return None,
                Stage::Beginning if self.hub.draining.is_cancelled() => return Some(self.goodbye()),
                Stage::Beginning => match self.hub.snapshots.take(&self.shape).await {
                    Ok(snapshot) => {
                        (self.cursor, self.told) = (snapshot.cursor, snapshot.cursor);
                        self.stage = Stage::Snapshot(snapshot);
                    }
                    Err(error) => self.fail(&error),
                },
                // Goodbye has to wait for its end: nothing can be said in the middle of a message.
                Stage::Snapshot(snapshot) => match snapshot.next().await {
                    Ok(Some(bytes)) => return Some(self.sent(0, bytes)),
                    Ok(None) => {
                        self.stage = Stage::Following;
                        self.connected(false);
                    }
                    Err(error) => self.fail(&error),
                },
                Stage::Following => {
                    if let Some(bytes) = self.follow().await {
                        return Some(bytes);
                    }
                }
            }
        }
    }

    /// One step along the log; `None` when it had nothing to say.
    async fn follow(&mut self) -> Option<Bytes> {
        if self.handed == 0 && self.hub.draining.is_cancelled() {
            return Some(self.goodbye());
        }
        // Armed before looking: what is published from here on wakes the wait below.
        self.head.borrow_and_update();
        match self.hub.feed.next(self.cursor, &self.shape, usize::MAX).await {
            Ok(Next::Some(taken)) if taken.bytes.is_empty() => {
                self.cursor = taken.cursor;
                self.registration.sent(self.cursor, 0, 0);
                // A picky filter over a deep replay lets others run, leaves at shutdown, and tells its client now
                // and then how far it has come.
                tokio::task::yield_now().await;
                if self.handed == 0 && self.hub.ticks.has_changed().unwrap_or(false) {
                    self.hub.ticks.mark_unchanged();
                    return Some(self.keepalive());
                }
                None
            }
            Ok(Next::Some(taken)) => Some(self.hand_over(taken)),
            Ok(Next::Expired) if self.handed > 0 => {
                self.fail(&"retention has removed a message that was half sent");
                None
            }
            Ok(Next::Expired) => {
                self.cursor = self.hub.feed.before_oldest();
                if self.with_snapshots {
                    self.stage = Stage::Beginning;
                }
                let message = self.reset(ResetReason::Expired);
                Some(self.sent(0, message))
            }
            Ok(Next::UpToDate) => {
                // All three are cancel safe: they only observe.
                tokio::select! {
                    _ = self.head.changed() => None,
                    _ = self.hub.draining.cancelled() => None,
                    ticked = self.hub.ticks.changed() => match ticked {
                        Ok(()) => Some(self.keepalive()),
                        Err(_) => {
                            self.stage = Stage::Ended;
                            None
                        }
                    }
                }
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Hands a page over, or the next part of it: of a large message that nobody shares, what is on its way is
    /// a copy of a part, and the rest is read again when that has gone.
    fn hand_over(&mut self, taken: Taken) -> Bytes {
        self.hub.ticks.mark_unchanged();
        if let Some(published) = taken.published
            && published >= self.opened
        {
            self.hub.latency.note(published.elapsed());
        }
        let rest = taken.bytes.slice(self.handed..);
        if !taken.shared && rest.len() > PAGE_BYTES {
            self.handed += PAGE_BYTES;
            return self.sent(0, Bytes::copy_from_slice(&rest[..PAGE_BYTES]));
        }
        let bytes = match std::mem::take(&mut self.handed) {
            0 => rest,
            _ => Bytes::copy_from_slice(&rest),
        };
        self.cursor = taken.cursor;
        self.told = self.cursor;
        self.sent(taken.events, bytes)
    }

    /// A stream that cannot be read on ends: its client reconnects with the id it has.
    fn fail(&mut self, reason: &dyn std::fmt::Display) {
        tracing::error!(error = %reason, event.seq = self.cursor, "a stream ended: it cannot be read on");
        self.registration.ends(DisconnectReason::Failed);
        self.stage = Stage::Ended;
    }

    /// The place in the log from which the client would go on: none before it has a whole snapshot.
    fn place(&self) -> EventId {
        match self.stage {
            Stage::Beginning | Stage::Snapshot(_) => self.hub.feed.id(0),
            Stage::Following | Stage::Ended => self.hub.feed.id(self.cursor),
        }
    }

    /// Says that events are missing before the cursor.
    fn reset(&mut self, reason: ResetReason) -> Bytes {
        self.told = self.cursor;
        let feed = &self.hub.feed;
        let (oldest, head) = (feed.id(feed.before_oldest()), feed.id(feed.ring.head()));
        self.shape.format.control(self.place(), "reset", ResetData { reason, oldest, head })
    }

    fn connected(&mut self, resumed: bool) {
        let feed = &self.hub.feed;
        let (oldest, head) = (feed.id(feed.before_oldest()), feed.id(feed.ring.head()));
        let data = ConnectedData { resumed, head, oldest };
        self.first.push_back(self.shape.format.control(self.place(), "connected", data));
    }

    /// A comment, or, when a filter has let the client's id fall behind, a message that brings it along.
    fn keepalive(&mut self) -> Bytes {
        let bytes = if self.cursor == self.told {
            self.shape.format.keepalive()
        } else {
            self.told = self.cursor;
            let feed = &self.hub.feed;
            let data = CheckpointData { head: feed.id(feed.ring.head()) };
            self.shape.format.control(self.place(), "checkpoint", data)
        };
        self.sent(0, bytes)
    }

    /// What a client that keeps up has not got yet, and a farewell.
    fn goodbye(&mut self) -> Bytes {
        let mut bytes = Vec::new();
        let mut events = 0;
        if let Stage::Following = self.stage
            && let Take::Some(taken) = self.hub.feed.ring.take(self.cursor, &self.shape, usize::MAX)
        {
            (self.cursor, events) = (taken.cursor, taken.events);
            bytes.extend_from_slice(&taken.bytes);
        }
        let id = self.place();
        self.stage = Stage::Ended;
        self.registration.ends(DisconnectReason::Drained);
        let mut random = [0; 8];
        // Without randomness the clients come back together, which they survive.
        let _ = getrandom::fill(&mut random);
        let retry_ms = GOODBYE_MS.start + u64::from_le_bytes(random) % (GOODBYE_MS.end - GOODBYE_MS.start);
        bytes.extend_from_slice(&self.shape.format.retry(retry_ms));
        bytes.extend_from_slice(&self.shape.format.control(id, "goodbye", GoodbyeData { retry_ms }));
        self.sent(events, bytes.into())
    }

    fn sent(&self, events: u64, bytes: Bytes) -> Bytes {
        self.registration.sent(self.cursor, events, bytes.len());
        bytes
    }
}
