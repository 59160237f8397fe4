//! The stream: sends every committed event, in order, to every client that listens.
//!
//! The ring holds the newest events in memory; the feed continues it with the store. Two kinds of
//! readers send them. A subscriber is a cursor over the feed and the body of an answer. A fan-out
//! thread writes to the bare sockets of many clients. This module reads the store and never writes
//! it. Of HTTP it knows only chunks.

mod batch;
mod context;
pub mod control;
mod disconnect_reason;
mod fanout;
mod feed;
mod fit;
pub mod frame;
mod handover;
mod keepalives;
mod log_slice;
mod options;
mod registry;
mod ring;
mod segment;
mod snapshot;
mod snapshot_copy;
mod stream_body;
mod subscriber;

pub use disconnect_reason::DisconnectReason;
pub use feed::{Feed, Lag, Start, StartPosition};
pub use options::StreamOptions;
pub use registry::{Client, Disconnect, Peer, Registry, Totals};
pub use ring::Ring;
pub use stream_body::EventStream;
pub use subscriber::BrokenOff;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::EventsConfig;
use crate::data_dir::DataDir;
use crate::domain::event::{EventId, LogEnd, StoredEvent};
use crate::domain::filter::EventFilter;
use crate::metrics::Latency;
use crate::store::{Reader, StoreError};
use crate::vitals::Vitals;

use context::StreamContext;
use fanout::Fanout;
use feed::Next;
use frame::Format;
use keepalives::Keepalives;
use snapshot::Snapshots;
use subscriber::Subscriber;

/// The stream, as other modules use it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    feed: Feed,
    snapshots: Snapshots,
    registry: Arc<Registry>,
    latency: Arc<Latency>,
    fanout: Fanout,
    /// Whether the last published events may have waited.
    has_lingered: Arc<AtomicBool>,
    /// The options of nearly all streams, shared.
    plain: Arc<StreamOptions>,
    /// Tells bodies and requests for history that something was published.
    news: watch::Sender<()>,
    keepalives: Keepalives,
    draining: CancellationToken,
}

/// A part of the log, for clients that poll instead of listening.
#[derive(Debug, Clone)]
pub struct History {
    /// The encoded events, separated by commas.
    pub events: Bytes,
    /// Where the next part starts: the last event that the filter saw.
    pub cursor: EventId,
}

/// The state of the broadcast.
#[derive(Debug, Clone)]
pub struct BroadcastStatus {
    pub head: EventId,
    /// The position before the oldest event held by the store.
    pub oldest: EventId,
    pub totals: Totals,
    pub ring_bytes: u64,
    pub ring_events: u64,
}

impl Events {
    /// A stream behind a log that ends at `end`. Large snapshots are written to unnamed files in `directory`.
    /// Ends all its streams when `draining` is cancelled.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn new(
        reader: Reader,
        end: LogEnd,
        directory: DataDir,
        config: &EventsConfig,
        latency: Arc<Latency>,
        draining: CancellationToken,
    ) -> io::Result<Self> {
        let epoch = reader.epoch();
        let ring = Ring::new(epoch, end, config.ring_bytes_max, config.ring_events_max);
        Ok(Self {
            snapshots: Snapshots::new(reader.clone(), directory),
            feed: Feed::new(Arc::new(ring), reader),
            latency,
            fanout: Fanout::new(config.fanout_threads())?,
            has_lingered: Arc::default(),
            plain: Arc::new(StreamOptions::new(EventFilter::default(), Format::Sse)),
            news: watch::Sender::new(()),
            registry: Arc::new(Registry::default()),
            keepalives: Keepalives::new(config.keepalive_seconds),
            draining,
        })
    }

    /// Starts the background tasks and the fan-out threads. The tasks end when the streams drain.
    /// The threads end when they have said goodbye to all clients, or when `cut_off` is cancelled.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left.
    pub fn start(&self, cut_off: CancellationToken, tasks: &TaskTracker, vitals: &Vitals) -> io::Result<()> {
        let (fanout, draining) = (self.fanout.clone(), self.draining.clone());
        let ticking = self.keepalives.clone().run(draining, move |seconds| fanout.tick(seconds));
        vitals.spawn(tasks, "the keepalives", ticking);
        vitals.spawn(tasks, "the waking of streams", self.clone().tell_news());
        self.fanout.start(&self.context(), cut_off, tasks, vitals)
    }

    /// Takes committed events, in order. Only the store's writer calls it. With `more_follow`, a
    /// fan-out thread may wait for the next commit, but not twice in a row. This halves the sends,
    /// and delays events by one commit at most.
    pub fn publish(&self, events: Vec<StoredEvent>, more_follow: bool) {
        self.feed.ring.publish(events);
        let can_linger = more_follow && !self.has_lingered.load(Relaxed);
        self.has_lingered.store(can_linger, Relaxed);
        self.fanout.wake_for_events(can_linger);
    }

    /// Ends the streams of clients that have lost their authorization, by their [`Peer::gone`].
    pub fn revoke(&self) {
        // Bodies watch it themselves.
        self.fanout.revoke();
    }

    /// Wakes the bodies and the requests for history together, so that publishing does not have to.
    async fn tell_news(self) {
        loop {
            // Both are cancel safe.
            tokio::select! {
                () = self.feed.ring.published() => self.news.send_modify(|()| {}),
                () = self.draining.cancelled() => break,
            }
        }
        // The last one: who waits for events looks up, and finds that the hub is draining.
        self.news.send_modify(|()| {});
    }

    /// Opens a stream. `with_snapshots`: it begins with a snapshot of the tasks, unless it can
    /// resume where its client left off. It sends a new snapshot when retention overtakes its
    /// client.
    ///
    /// # Errors
    /// [`StoreError`] when the start position cannot be found.
    pub async fn subscribe(
        &self,
        start: &Start,
        options: StreamOptions,
        with_snapshots: bool,
        peer: Peer,
    ) -> Result<EventStream, StoreError> {
        let mut position = self.feed.locate(start).await?;
        // A client without a whole snapshot has the position 0.
        position.resumed &= !(with_snapshots && position.cursor == 0);
        let keepalive_seconds =
            options.keepalive_seconds.filter(|seconds| *seconds != self.keepalive_seconds());
        let options = StreamOptions { keepalive_seconds, ..options };
        let options = if options == *self.plain { self.plain.clone() } else { Arc::new(options) };
        let registration = self.registry.register(peer, options.clone());
        let subscriber = Subscriber::new(self.context(), options, position, with_snapshots, registration);
        Ok(EventStream::new(subscriber, self.fanout.clone()))
    }

    fn context(&self) -> StreamContext {
        StreamContext {
            feed: self.feed.clone(),
            snapshots: self.snapshots.clone(),
            news: self.news.subscribe(),
            ticks: self.ticks(None),
            keepalives: self.keepalives.clone(),
            draining: self.draining.clone(),
            latency: self.latency.clone(),
        }
    }

    /// Finds where to start.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn locate(&self, start: &Start) -> Result<StartPosition, StoreError> {
        self.feed.locate(start).await
    }

    /// At most `limit` matching events after `cursor`; when there are none, waits for the first one until
    /// `deadline`. `None` when retention has removed what should come next.
    ///
    /// # Errors
    /// [`StoreError`]
    ///
    /// # Cancel safety
    /// Reads only.
    pub fn history(
        &self,
        mut cursor: u64,
        filter: EventFilter,
        mut limit: usize,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<History>, StoreError>> + Send {
        let options = StreamOptions::new(filter, Format::Ndjson);
        let mut news = self.news.subscribe();
        // A block, which holds what it takes only once; the arguments of an async fn are held twice.
        async move {
            let mut lines = BytesMut::new();
            let scan_until = Instant::now() + SCAN_TIME_MAX;
            while limit > 0 {
                // Armed before looking.
                news.mark_unchanged();
                // Few events pass the filter of a long log: answer with what was found so far. The
                // cursor continues.
                if self.draining.is_cancelled() || Instant::now() >= scan_until.max(deadline) {
                    break;
                }
                match self.feed.next(cursor, &options, limit).await? {
                    Next::Some(batch) => {
                        cursor = batch.until;
                        limit -= batch.len() as usize;
                        lines.extend_from_slice(&batch.bytes);
                        // The page is full. The next request continues.
                        if lines.len() >= HISTORY_BYTES_MAX {
                            break;
                        }
                    }
                    Next::Expired { .. } => return Ok(None),
                    Next::UpToDate if !lines.is_empty() => break,
                    Next::UpToDate => {
                        // Both are cancel safe. The hub also tells news when it drains.
                        tokio::select! {
                            _ = news.changed() => {}
                            _ = tokio::time::sleep_until(deadline) => break,
                        }
                    }
                }
            }
            Ok(Some(History { events: joined_by_commas(lines), cursor: self.feed.id(cursor) }))
        }
    }

    /// Changes when a keepalive of this period is due.
    pub fn ticks(&self, keepalive_seconds: Option<u64>) -> watch::Receiver<()> {
        self.keepalives.ticks(keepalive_seconds)
    }

    /// Cancelled when all streams have to end.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// A keepalive is sent this often.
    pub fn keepalive_seconds(&self) -> u64 {
        self.keepalives.usual()
    }

    /// The id of `seq` in this log.
    pub fn id(&self, seq: u64) -> EventId {
        self.feed.id(seq)
    }

    /// The oldest event that must stay in the store: the oldest in the ring, or one that is half
    /// sent to a client that was up to date within the last `half_sent_time_max`. A client that
    /// takes longer is broken off when retention removes its event.
    pub fn oldest_in_use(&self, half_sent_time_max: Duration) -> u64 {
        let half_sent = self.registry.oldest_half_sent(half_sent_time_max);
        half_sent.unwrap_or(u64::MAX).min(self.feed.ring.oldest())
    }

    /// The last event that was published.
    pub fn head(&self) -> EventId {
        self.feed.id(self.feed.ring.head())
    }

    pub fn status(&self) -> BroadcastStatus {
        let oldest = self.feed.before_oldest();
        let (ring_bytes, ring_events) = self.feed.ring.size();
        BroadcastStatus {
            head: self.feed.id(self.feed.ring.head()),
            oldest: self.feed.id(oldest),
            totals: self.registry.totals(),
            ring_bytes,
            ring_events,
        }
    }

    /// The open streams, oldest first.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        self.registry.clients()
    }

    /// The last streams that have ended, latest first.
    pub fn recent_disconnects(&self) -> Vec<Disconnect> {
        self.registry.recent_disconnects()
    }

    /// How far behind the head each of these cursors is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn lags(&self, cursors: &[u64]) -> Result<Vec<Lag>, StoreError> {
        self.feed.lags(cursors).await
    }
}

/// After this time a request for history is answered even if nothing was found yet.
const SCAN_TIME_MAX: Duration = Duration::from_secs(2);

/// After this many bytes a page of history is full, whatever its limit: many pages must fit in
/// memory.
const HISTORY_BYTES_MAX: usize = 1 << 20;

/// Turns lines into the inside of a JSON array. An envelope holds no line break of its own.
fn joined_by_commas(mut lines: BytesMut) -> Bytes {
    lines.truncate(lines.len().saturating_sub(1));
    for byte in &mut lines[..] {
        if *byte == b'\n' {
            *byte = b',';
        }
    }
    lines.freeze()
}
