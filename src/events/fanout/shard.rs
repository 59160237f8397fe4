//! A fan-out thread: its own epoll, a table of sockets, and the live clients, which are up to date.
//!
//! ```text
//! loop: commands             -> new clients, pages of the store, the tick, the end
//!       live clients lag     -> what is new, encoded once for each group, one send for each client
//!       a tick, or the end   -> some of the table in each round
//!       a client is behind   -> a turn for each (`serve.rs`)
//!       nothing to do        -> sleep until a socket or a command wakes it
//! ```
//!
//! The live clients share one cursor. A client is no longer live when its socket takes no more; it keeps nothing but its
//! position in the log. When it has caught up it is live again. While a round goes on, what is published piles up in the
//! ring, and the next round takes it all: the more there is to do, the fewer the sends. Of two commits in a row, the
//! first waits for the second for the same reason.

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

/// Sends between two offers to let another thread run: on one core requests would wait for all live clients.
const SENDS_BEFORE_YIELD: u32 = 64;
/// Slots of the table that are looked at in one round of a tick, so that events do not wait for all of them.
const SWEEP_MAX: usize = 256;
/// Events of sockets that are taken at once.
const READY_MAX: usize = 256;
/// How long new events may wait for the commit that is about to follow: a few times what it takes on a good disk, and nothing
/// to a person.
const LINGER_TIME: Duration = Duration::from_millis(1);
/// The wake-up, among the keys of clients.
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
    /// The seq up to which the live clients were served.
    pub(super) position: u64,
    /// The same, for those who ask from outside.
    pub(super) live_cursor: LiveCursor,
    pub(super) live_count: usize,
    /// Whether a page of the store is on its way for the live clients: the ring has overtaken them.
    pub(super) is_fetching: bool,
    /// Clients that have something to be sent.
    pub(super) queue: VecDeque<Key>,
    /// Clients that are ahead of the live cursor.
    pub(super) ahead: Vec<Key>,
    /// What is no part of the log and was sent in part only: what is left of it.
    pub(super) tails: HashMap<Key, Bytes>,
    /// Clients that have sent more than was read at once: the rest is read later.
    unread: Vec<Key>,
    /// How far each tick has come, while there are any, and whom it is for.
    ticks: Vec<(Option<u64>, usize)>,
    /// How far the search for those has come who are no longer let in, while there is one.
    revocation: Option<usize>,
    /// How far the goodbyes have come, while they are sent.
    goodbyes: Option<usize>,
    pub(super) is_draining: bool,
    is_cut_off: bool,
    /// Until when new events wait for more, while they do.
    lingers_until: Option<Instant>,
    sends: u32,
}

impl Shard {
    /// # Errors
    /// When the system has no descriptor to give.
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

    /// Serves until every client has got its goodbye.
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
        // It may have gone on its way here.
        self.revoke(key);
        self.serve(key);
    }

    /// Lets another thread run now and then; whether it did.
    pub(super) fn yields(&mut self) -> bool {
        self.sends += 1;
        let is_time = self.sends >= SENDS_BEFORE_YIELD;
        if is_time {
            self.sends = 0;
            thread::yield_now();
        }
        is_time
    }

    /// Its socket takes nothing more; the kernel says when it does.
    pub(super) fn block(&mut self, key: Key) {
        if let Some(member) = self.table.get(key) {
            member.state = State::Blocked;
            member.handover.registration.set_cursor(member.position.cursor);
            member.set_user_timeout(UserTimeout::Stalled);
        }
    }

    /// Takes a client out of everything.
    pub(super) fn take_out(&mut self, key: Key) -> Option<Member> {
        self.detach(key);
        let member = self.table.remove(key)?;
        self.groups.leave(member.group);
        self.tails.remove(&key);
        Some(member)
    }

    pub(super) fn end(&mut self, key: Key, how: impl FnOnce(Member)) {
        if let Some(mut member) = self.take_out(key) {
            let cursor = member.position.cursor;
            member.handover.registration.set_cursor(cursor);
            how(member);
        }
    }

    /// The kernel watches it no more.
    pub(super) fn unwatch(&self, member: &Member) {
        // One that is not watched needs no unwatching.
        let _ = epoll::delete(&self.epoll, &member.connection.socket);
    }

    /// One round of a tick, of revocations or of goodbyes; whether there is more.
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
        // Who is not done in its turn is behind those that are waiting now.
        for key in std::mem::take(&mut self.queue) {
            self.serve(key);
        }
        !self.queue.is_empty()
    }

    /// How long new events for the live clients are still to wait for more.
    fn pause(&mut self) -> Option<Duration> {
        // Who is sent away is first sent what there is.
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

    /// Sleeps until there is something to do, or for the `pause`; not at all when there is something already.
    fn wait(&mut self, is_busy: bool, pause: Option<Duration>, ready: &mut Vec<epoll::Event>) {
        let mut has_more = is_busy;
        if !is_busy {
            self.commands.set_asleep();
            // Looked at after that, so that whatever comes later wakes it.
            let is_urgent = pause.is_none() || !self.commands.can_linger();
            has_more = self.has_new_events() && is_urgent || !self.commands.is_empty() || self.is_done();
        }
        let time = if has_more { Some(Duration::ZERO) } else { pause };
        let timeout = time.map(|time| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
        // An interrupted wait finds nothing, and the next one what it missed.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
        self.commands.set_awake();
    }

    fn handle_ready(&mut self, event: epoll::Event) {
        let number = event.data.u64();
        if number == WAKEUP {
            // Only so that it can wake the thread again.
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
                // Once, however often the kernel says so.
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

/// However the thread ends, nobody must wait for it.
impl Drop for Shard {
    fn drop(&mut self) {
        self.commands.close();
    }
}
