//! A fan-out thread: owns an epoll, a table of sockets, and the live clients, which are up to date.
//!
//! ```text
//! loop: commands             -> new clients, pages of the store, the tick, the end
//!       live clients lag     -> new events, encoded once for each group, one send for each client
//!       a tick, or the end   -> a part of the table in each round
//!       a client is behind   -> one turn for each (`serve.rs`)
//!       nothing to do        -> sleep until a socket or a command wakes it
//! ```
//!
//! The live clients share one cursor. A client is no longer live when its socket takes no more; it
//! then has only its own position in the log. When it has caught up it is live again. Events that
//! are published during a round collect in the ring, and the next round takes them all: the more
//! work there is, the fewer sends it needs. For the same reason the first of two commits in a row
//! waits for the second.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::close_reason::CloseReason;
use crate::events::context::StreamContext;
use crate::events::disconnect_reason::DisconnectReason;
use crate::events::registry::LiveCursor;
use crate::user_timeout::UserTimeout;

use super::command_queue::{Command, CommandQueue};
use super::groups::Groups;
use super::key::Key;
use super::member::{Member, State};
use super::socket::{self, Input};
use super::table::Table;

/// Sends between two yields of the core. On a single core, requests would otherwise wait for all
/// live clients.
const SENDS_BEFORE_YIELD: u32 = 64;
/// Slots of the table that one round of a tick visits, so that events do not wait for the whole
/// table.
const SWEEP_MAX: usize = 256;
/// Socket events that one epoll call returns.
const READY_MAX: usize = 256;
/// How long new events may wait for the next commit: a few times what a commit takes on a good
/// disk, and too short for a person to notice.
const LINGER_TIME: Duration = Duration::from_millis(1);
/// Marks the wake-up among the keys of clients.
const WAKEUP: u64 = u64::MAX;

pub struct Shard {
    pub(super) commands: Arc<CommandQueue>,
    epoll: OwnedFd,
    pub(super) context: StreamContext,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
    pub(super) cut_off: CancellationToken,
    pub(super) table: Table,
    pub(super) groups: Groups,
    /// The live cursor: the seq up to which the live clients were served.
    pub(super) position: u64,
    /// The same value, for readers outside the thread.
    pub(super) live_cursor: LiveCursor,
    pub(super) live_count: usize,
    /// Whether a task reads a page of the store for the live clients, because the ring has
    /// overtaken them.
    pub(super) is_fetching: bool,
    /// Clients that wait for their turn to be sent something.
    pub(super) queue: VecDeque<Key>,
    /// Clients that are ahead of the live cursor.
    pub(super) ahead: Vec<Key>,
    /// The unsent rest of control messages.
    pub(super) tails: HashMap<Key, Bytes>,
    /// Clients that sent more than one call reads; the rest is read later.
    unread: Vec<Key>,
    /// The ticks in progress: their period, and the next slot to visit.
    ticks: Vec<(Option<u64>, usize)>,
    /// The next slot to check for revoked clients, while that goes on.
    revocation: Option<usize>,
    /// The next slot to send a goodbye to, while that goes on.
    goodbyes: Option<usize>,
    pub(super) is_draining: bool,
    is_cut_off: bool,
    /// Until when new events wait for more, if they do.
    lingers_until: Option<Instant>,
    sends: u32,
}

impl Shard {
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn new(
        commands: Arc<CommandQueue>,
        context: StreamContext,
        runtime: Handle,
        tasks: TaskTracker,
        cut_off: CancellationToken,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, commands.wakeup(), EventData::new_u64(WAKEUP), EventFlags::IN)?;
        let position = context.feed.ring.head();
        Ok(Self {
            commands,
            epoll,
            context,
            runtime,
            tasks,
            cut_off,
            table: Table::default(),
            groups: Groups::default(),
            position,
            live_cursor: LiveCursor::new(position.into()),
            live_count: 0,
            is_fetching: false,
            queue: VecDeque::new(),
            ahead: Vec::new(),
            tails: HashMap::new(),
            unread: Vec::new(),
            ticks: Vec::new(),
            revocation: None,
            goodbyes: None,
            is_draining: false,
            is_cut_off: false,
            lingers_until: None,
            sends: 0,
        })
    }

    /// Serves until every client has its goodbye.
    pub fn run(mut self) {
        let mut ready = Vec::with_capacity(READY_MAX);
        while !self.is_done() {
            for command in self.commands.take() {
                self.read(command);
            }
            let pause = self.pause();
            let mut is_busy = pause.is_none() && self.broadcast();
            is_busy |= self.sweep();
            is_busy |= self.serve_queue();
            is_busy |= self.read_rest();
            self.wait(is_busy, pause, &mut ready);
            for event in ready.drain(..) {
                self.handle_ready(event);
            }
        }
    }

    fn is_done(&self) -> bool {
        let nobody = self.table.len() == 0 && !self.commands.expects_client() && self.commands.is_empty();
        self.is_draining && nobody
    }

    fn read(&mut self, command: Command) {
        match command {
            Command::Adopt(member) => self.adopt(*member),
            Command::Page(Some(key), page) => self.take_page(key, page),
            Command::Page(None, page) => self.take_page_for_live(page),
            Command::Tick(seconds) if self.ticks.iter().any(|(of, _)| *of == seconds) => {}
            Command::Tick(seconds) => self.ticks.push((seconds, 0)),
            Command::Revoke => self.revocation = Some(0),
            Command::Drain => {
                self.is_draining = true;
                self.goodbyes = Some(0);
            }
            Command::CutOff => {
                self.is_cut_off = true;
                for key in self.table.keys() {
                    self.end(key, |member| member.break_off(DisconnectReason::CutOff));
                }
            }
        }
    }

    fn adopt(&mut self, mut member: Member) {
        if self.is_cut_off {
            return member.break_off(DisconnectReason::CutOff);
        }
        (member.group, member.handover.options) = self.groups.enter(&member.handover.options);
        let key = self.table.insert(member);
        let member = self.table.get(key).expect("it has just been inserted");
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let added =
            epoll::add(&self.epoll, &member.connection.socket, EventData::new_u64(key.to_u64()), interest);
        if let Err(error) = added {
            tracing::error!(error = %error, "a stream ended: its socket cannot be watched");
            return self.end(key, |member| member.break_off(DisconnectReason::Failed));
        }
        // The client may have been revoked during the handover.
        self.revoke(key);
        self.serve(key);
    }

    /// Counts a send, and yields the core now and then. Returns whether it did.
    pub(super) fn yields(&mut self) -> bool {
        self.sends += 1;
        let is_time = self.sends >= SENDS_BEFORE_YIELD;
        if is_time {
            self.sends = 0;
            thread::yield_now();
        }
        is_time
    }

    /// Marks a client whose socket takes no more. epoll reports when it does again.
    pub(super) fn block(&mut self, key: Key) {
        if let Some(member) = self.table.get(key) {
            member.state = State::Blocked;
            member.handover.registration.set_cursor(member.position.cursor);
            member.set_user_timeout(UserTimeout::Stalled);
        }
    }

    /// Removes a client from all lists and returns it.
    pub(super) fn take_out(&mut self, key: Key) -> Option<Member> {
        self.detach(key);
        let member = self.table.remove(key)?;
        self.groups.leave(member.group);
        self.tails.remove(&key);
        Some(member)
    }

    /// Removes a client, records its cursor, and passes it to `how`, which ends its connection: [`Member::close`] after
    /// a whole message, [`Member::break_off`] within one, `drop` when the connection has ended already.
    pub(super) fn end(&mut self, key: Key, how: impl FnOnce(Member)) {
        if let Some(mut member) = self.take_out(key) {
            let cursor = member.position.cursor;
            member.handover.registration.set_cursor(cursor);
            how(member);
        }
    }

    /// Removes a client from epoll.
    pub(super) fn unwatch(&self, member: &Member) {
        // It fails for a socket that is not watched, which is fine.
        let _ = epoll::delete(&self.epoll, &member.connection.socket);
    }

    /// One round of the ticks, revocations and goodbyes. Returns whether there is more.
    fn sweep(&mut self) -> bool {
        for (seconds, from) in std::mem::take(&mut self.ticks) {
            if let Some(to) = self.sweep_from(from, |shard, key| shard.tick(key, seconds)) {
                self.ticks.push((seconds, to));
            }
        }
        if let Some(from) = self.revocation {
            self.revocation = self.sweep_from(from, Self::revoke);
        }
        if let Some(from) = self.goodbyes {
            self.goodbyes = self.sweep_from(from, Self::drain);
        }
        !self.ticks.is_empty() || self.revocation.is_some() || self.goodbyes.is_some()
    }

    fn sweep_from(&mut self, from: usize, mut each: impl FnMut(&mut Self, Key)) -> Option<usize> {
        let to = self.table.slots().min(from + SWEEP_MAX);
        for slot in from..to {
            if let Some(key) = self.table.key_at(slot) {
                each(self, key);
                self.yields();
            }
        }
        (to < self.table.slots()).then_some(to)
    }

    fn serve_queue(&mut self) -> bool {
        // A client that needs another turn comes after those that wait now.
        for key in std::mem::take(&mut self.queue) {
            self.serve(key);
        }
        !self.queue.is_empty()
    }

    /// How long new events for the live clients should still wait for more.
    fn pause(&mut self) -> Option<Duration> {
        // While draining, clients get all events first.
        if !self.has_new_events() || self.is_draining || !self.commands.can_linger() {
            self.lingers_until = None;
            return None;
        }
        let now = Instant::now();
        let until = *self.lingers_until.get_or_insert(now + LINGER_TIME);
        let pause = until.checked_duration_since(now).filter(|pause| !pause.is_zero());
        if pause.is_none() {
            self.lingers_until = None;
            self.commands.has_lingered();
        }
        pause
    }

    fn has_new_events(&self) -> bool {
        !self.is_fetching && self.context.feed.ring.head() != self.position
    }

    /// Sleeps until there is something to do, or for the `pause`; returns at once when there is
    /// something already.
    fn wait(&mut self, is_busy: bool, pause: Option<Duration>, ready: &mut Vec<epoll::Event>) {
        let mut has_more = is_busy;
        if !is_busy {
            self.commands.set_asleep();
            // Checked after `set_asleep`: anything that comes later wakes the thread.
            let is_urgent = pause.is_none() || !self.commands.can_linger();
            has_more = self.has_new_events() && is_urgent || !self.commands.is_empty() || self.is_done();
        }
        let time = if has_more { Some(Duration::ZERO) } else { pause };
        let timeout = time.map(|time| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
        // An interrupted wait returns nothing; the next one returns what it missed.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
        self.commands.set_awake();
    }

    fn handle_ready(&mut self, event: epoll::Event) {
        let number = event.data.u64();
        if number == WAKEUP {
            // Resets the eventfd, so that it can wake the thread again.
            let _ = rustix::io::read(self.commands.wakeup(), &mut [0; 8]);
            return;
        }
        let (key, flags) = (Key::from_u64(number), event.flags);
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.read_input(key, flags);
        }
        if let Some(member) = self.table.get(key)
            && member.state == State::Blocked
            && flags.contains(EventFlags::OUT)
        {
            member.set_user_timeout(UserTimeout::Usual);
            self.serve(key);
        }
    }

    fn read_input(&mut self, key: Key, flags: EventFlags) {
        let Some(Member { connection, .. }) = self.table.get(key) else {
            return;
        };
        match socket::ignore_input(&connection.socket, &connection.close_note) {
            Input::End => self.end(key, drop),
            Input::Silence if flags.intersects(EventFlags::HUP | EventFlags::ERR) => {
                connection.close_note.note(CloseReason::Closed);
                self.end(key, drop);
            }
            Input::Silence => {}
            Input::More => {
                // Only once, however often epoll reports it.
                if let Some(member) = self.table.get(key)
                    && !std::mem::replace(&mut member.is_unread, true)
                {
                    self.unread.push(key);
                }
            }
        }
    }

    fn read_rest(&mut self) -> bool {
        for key in std::mem::take(&mut self.unread) {
            if let Some(member) = self.table.get(key) {
                member.is_unread = false;
                self.read_input(key, EventFlags::empty());
            }
        }
        !self.unread.is_empty()
    }
}

/// However the thread ends, nothing may wait for it.
impl Drop for Shard {
    fn drop(&mut self) {
        self.commands.close();
    }
}
