//! The open streams, their cursors, and the last streams that ended. Sending an event never waits
//! for this module.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::close_reason::{CloseNote, CloseReason};
use crate::domain::clock::Timestamp;
use crate::domain::token::Caller;
use crate::quota::Permit;

use super::disconnect_reason::DisconnectReason;
use super::options::StreamOptions;

/// How many ended streams the registry keeps: enough to see which clients keep leaving, few enough
/// to show at once.
const RECENT_DISCONNECTS_MAX: usize = 50;

/// The client that asks for a stream.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Its address, where known.
    pub ip: Option<IpAddr>,
    /// How its connection ends.
    pub close_note: CloseNote,
    /// Cancelled when the client loses its authorization. The stream then ends.
    pub gone: CancellationToken,
    /// Its permit of the limit on streams for each client, held as long as the stream is open.
    pub permit: Option<Arc<Permit<Caller>>>,
}

/// One stream.
#[derive(Debug)]
pub struct Client {
    pub id: u64,
    pub peer: Option<IpAddr>,
    pub since: Timestamp,
    pub options: Arc<StreamOptions>,
    cursor: AtomicU64,
    /// The shared cursor of the live clients of its thread, once the client was live.
    live_cursor: OnceLock<LiveCursor>,
    bytes: AtomicU64,
    events: AtomicU64,
    /// While the client has a part of the event after its cursor: when it was last up to date, in
    /// milliseconds since [`START`]. Otherwise 0. Also 0 for a client that never was up to date:
    /// opening streams must not hold up retention.
    half_sent_at: AtomicU64,
}

/// The zero of times within this process.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Stands for "is up to date", in place of a time.
const UP_TO_DATE: u64 = u64::MAX;

fn ms_since_start() -> u64 {
    // Never 0, which has another meaning.
    START.elapsed().as_millis() as u64 + 1
}

/// The cursor that all live clients of a thread share. It moves without a write to any of them.
pub type LiveCursor = Arc<AtomicU64>;

/// Says that the live cursor holds, in place of a seq.
const AT_LIVE_CURSOR: u64 = u64::MAX;

impl Client {
    /// The seq up to which the client was sent everything that passes its filter.
    pub fn cursor(&self) -> u64 {
        match (self.cursor.load(Relaxed), self.live_cursor.get()) {
            (AT_LIVE_CURSOR, Some(live_cursor)) => live_cursor.load(Relaxed),
            (cursor, _) => cursor,
        }
    }

    /// Events sent to it.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Bytes sent to it.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// A stream that has ended.
#[derive(Debug, Clone)]
pub struct Disconnect {
    pub client: Arc<Client>,
    pub at: Timestamp,
    pub reason: DisconnectReason,
}

/// Sums over all streams, ended ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub connected: u64,
    pub connections: u64,
    pub bytes: u64,
    pub events: u64,
    /// By reason; only those that have happened.
    pub disconnects: BTreeMap<DisconnectReason, u64>,
}

#[derive(Debug, Default)]
pub struct Registry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<u64, Arc<Client>>,
    recent_disconnects: VecDeque<Disconnect>,
    /// Without the numbers of open streams.
    totals: Totals,
}

/// Enters a client in the registry when the hub first sends it something: nobody reads the stream
/// of an answer to HEAD. Dropping it removes the client, however the stream ended.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    client: Option<Arc<Client>>,
    peer: Peer,
    options: Arc<StreamOptions>,
    /// Set when the hub ends the stream.
    reason: Option<DisconnectReason>,
    /// When the client was last up to date, in milliseconds since [`START`]: [`UP_TO_DATE`] while
    /// it is, 0 if it never was.
    behind_since: u64,
    is_half_sent: bool,
}

impl Registry {
    pub fn register(self: &Arc<Self>, peer: Peer, options: Arc<StreamOptions>) -> Registration {
        Registration {
            registry: self.clone(),
            client: None,
            peer,
            options,
            reason: None,
            behind_since: 0,
            is_half_sent: false,
        }
    }

    /// The open streams, oldest first.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.state().clients.values().cloned().collect();
        clients.sort_by_key(|client| client.id);
        clients
    }

    /// The oldest event that is half sent to a client that was up to date within the last
    /// `time_max`.
    pub fn oldest_half_sent(&self, time_max: Duration) -> Option<u64> {
        let now = ms_since_start();
        let is_young = |at: u64| at > 0 && u128::from(now.saturating_sub(at)) < time_max.as_millis();
        let state = self.state();
        let clients = state.clients.values().filter(|client| is_young(client.half_sent_at.load(Relaxed)));
        clients.map(|client| client.cursor().saturating_add(1)).min()
    }

    /// The last streams that have ended, latest first.
    pub fn recent_disconnects(&self) -> Vec<Disconnect> {
        self.state().recent_disconnects.iter().rev().cloned().collect()
    }

    pub fn totals(&self) -> Totals {
        let state = self.state();
        let mut totals = state.totals.clone();
        totals.connected = state.clients.len() as u64;
        for client in state.clients.values() {
            totals.bytes += client.bytes();
            totals.events += client.events();
        }
        totals
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Registration {
    /// Records what the connection got.
    pub fn sent(&mut self, cursor: u64, events: u64, bytes: usize) {
        self.client().cursor.store(cursor, Relaxed);
        self.delivered(events, bytes);
    }

    /// The same, when the cursor is already recorded or is the live one.
    pub fn delivered(&mut self, events: u64, bytes: usize) {
        // Only the owner of the registration writes, so no update is lost between load and store.
        let add = |sum: &AtomicU64, more: u64| sum.store(sum.load(Relaxed) + more, Relaxed);
        let client = self.client();
        add(&client.events, events);
        add(&client.bytes, bytes as u64);
    }

    /// Records whether the client has a part of an event and needs the rest.
    pub fn note_half_sent(&mut self, is_half_sent: bool) {
        if std::mem::replace(&mut self.is_half_sent, is_half_sent) != is_half_sent {
            if self.behind_since == UP_TO_DATE {
                self.behind_since = ms_since_start();
            }
            let at = if is_half_sent { self.behind_since } else { 0 };
            self.client().half_sent_at.store(at, Relaxed);
        }
    }

    /// Records that the client has all events.
    pub fn note_up_to_date(&mut self) {
        self.behind_since = UP_TO_DATE;
    }

    /// Lets the client follow the live cursor of its thread, until [`Self::set_cursor`].
    pub fn follow(&mut self, live_cursor: &LiveCursor) {
        self.note_up_to_date();
        let client = self.client();
        client.live_cursor.get_or_init(|| live_cursor.clone());
        client.cursor.store(AT_LIVE_CURSOR, Relaxed);
    }

    /// Records the cursor of the client.
    pub fn set_cursor(&mut self, cursor: u64) {
        self.client().cursor.store(cursor, Relaxed);
    }

    /// How its connection ends.
    pub fn close_note(&self) -> &CloseNote {
        &self.peer.close_note
    }

    fn client(&mut self) -> &Arc<Client> {
        if self.client.is_none() {
            self.client = Some(self.enter());
        }
        self.client.as_ref().expect("it has just been entered")
    }

    fn enter(&self) -> Arc<Client> {
        let mut state = self.registry.state();
        state.totals.connections += 1;
        let client = Arc::new(Client {
            id: state.totals.connections,
            peer: self.peer.ip,
            since: Timestamp::now(),
            options: self.options.clone(),
            cursor: AtomicU64::default(),
            live_cursor: OnceLock::new(),
            bytes: AtomicU64::default(),
            events: AtomicU64::default(),
            half_sent_at: AtomicU64::default(),
        });
        state.clients.insert(client.id, client.clone());
        client
    }

    /// Cancelled when the client loses its authorization.
    pub fn gone(&self) -> &CancellationToken {
        &self.peer.gone
    }

    /// Records that the hub ends the stream, and why.
    pub fn ends(&mut self, reason: DisconnectReason) {
        self.reason = Some(reason);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let reason = self.reason.unwrap_or(match self.peer.close_note.close_reason() {
            CloseReason::Open => DisconnectReason::CutOff,
            CloseReason::Closed => DisconnectReason::Closed,
            CloseReason::Reset => DisconnectReason::Reset,
            CloseReason::TimedOut => DisconnectReason::TimedOut,
        });
        // Keep the last cursor of this client: the live cursor moves on.
        client.cursor.store(client.cursor(), Relaxed);
        let mut state = self.registry.state();
        state.clients.remove(&client.id);
        state.totals.bytes += client.bytes();
        state.totals.events += client.events();
        *state.totals.disconnects.entry(reason).or_default() += 1;
        if state.recent_disconnects.len() == RECENT_DISCONNECTS_MAX {
            state.recent_disconnects.pop_front();
        }
        state.recent_disconnects.push_back(Disconnect { client, at: Timestamp::now(), reason });
    }
}
