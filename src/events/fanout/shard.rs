//! A fan-out thread: its own epoll, a table of sockets, and the crowd, which is everybody who is up to date.
//!
//! ```text
//! loop: letters              -> new clients, pages of the store, the tick, the end
//!       the crowd is behind  -> what is new, encoded once for each group, one send for each client
//!       a tick, or the end   -> some of the table in each round
//!       somebody is behind   -> a turn for each (`serve.rs`)
//!       nothing to do        -> sleep until a socket or the bell says so
//! ```
//!
//! The crowd has one cursor. A client leaves it when its socket takes no more, keeping nothing but its place in the
//! log; when it has caught up it is in the crowd again. While a round goes on, what is published piles up in the
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

use crate::events::registry::{Crowd, DisconnectReason};
use crate::events::subscriber::Surroundings;
use crate::peer::{Ending, Patience};

use super::groups::Groups;
use super::mailbox::{Letter, Mailbox};
use super::member::{Member, State};
use super::socket::{self, Input};
use super::table::{Key, Table};

/// Sends between two offers to let another thread run: on one core the requests would wait for the whole crowd.
const SENDS_BEFORE_YIELD: u32 = 64;
/// Slots of the table that are looked at in one round of a tick, so that events do not wait for all of them.
const SWEEP_MAX: usize = 256;
/// Events of sockets that are taken at once.
const READY_MAX: usize = 256;
/// How long news may wait for the commit that is about to follow: a few times what it takes on a good disk, and nothing
/// to a person.
const LINGER_TIME: Duration = Duration::from_millis(1);
/// The bell, among the keys of clients.
const BELL: u64 = u64::MAX;

pub struct Shard {
    pub(super) mailbox: Arc<Mailbox>,
    epoll: OwnedFd,
    pub(super) around: Surroundings,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
    pub(super) cut_off: CancellationToken,
    pub(super) table: Table,
    pub(super) groups: Groups,
    /// The seq up to which the crowd was served.
    pub(super) position: u64,
    /// The same, for those who ask from outside.
    pub(super) crowd: Crowd,
    pub(super) crowd_size: usize,
    /// Whether a page of the store is on its way to the crowd: it was overtaken by the ring.
    pub(super) is_fetching: bool,
    /// Clients that have something to be sent.
    pub(super) queue: VecDeque<Key>,
    /// Clients that are ahead of the crowd.
    pub(super) ahead: Vec<Key>,
    /// What is no part of the log and was sent in part only: what is left of it.
    pub(super) tails: HashMap<Key, Bytes>,
    /// Clients that have sent more than was read at once.
    talkers: Vec<Key>,
    /// How far each tick has come, while there are any, and whom it is for.
    ticks: Vec<(Option<u64>, usize)>,
    /// How far the search for those has come who are no longer let in, while there is one.
    expulsion: Option<usize>,
    /// How far the farewells have come, while they are said.
    farewell: Option<usize>,
    pub(super) is_draining: bool,
    is_cut_off: bool,
    /// Until when news waits for more, while it does.
    lingers_until: Option<Instant>,
    sends: u32,
}

impl Shard {
    /// # Errors
    /// When the system has no descriptor to give.
    pub fn new(
        mailbox: Arc<Mailbox>,
        around: Surroundings,
        runtime: Handle,
        tasks: TaskTracker,
        cut_off: CancellationToken,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, mailbox.bell(), EventData::new_u64(BELL), EventFlags::IN)?;
        let position = around.feed.ring.head();
        Ok(Self {
            mailbox,
            epoll,
            around,
            runtime,
            tasks,
            cut_off,
            table: Table::default(),
            groups: Groups::default(),
            position,
            crowd: Crowd::new(position.into()),
            crowd_size: 0,
            is_fetching: false,
            queue: VecDeque::new(),
            ahead: Vec::new(),
            tails: HashMap::new(),
            talkers: Vec::new(),
            ticks: Vec::new(),
            expulsion: None,
            farewell: None,
            is_draining: false,
            is_cut_off: false,
            lingers_until: None,
            sends: 0,
        })
    }

    /// Serves until everybody has been sent away.
    pub fn run(mut self) {
        let mut ready = Vec::with_capacity(READY_MAX);
        while !self.is_done() {
            for letter in self.mailbox.take() {
                self.read(letter);
            }
            let pause = self.pause();
            let mut is_busy = pause.is_none() && self.broadcast();
            is_busy |= self.sweep();
            is_busy |= self.serve_queue();
            is_busy |= self.hear_talkers();
            self.wait(is_busy, pause, &mut ready);
            for event in ready.drain(..) {
                self.hear(event);
            }
        }
    }

    fn is_done(&self) -> bool {
        let nobody = self.table.len() == 0 && !self.mailbox.expects_somebody() && self.mailbox.is_empty();
        self.is_draining && nobody
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Adopt(member) => self.adopt(*member),
            Letter::Page(Some(key), page) => self.take_page(key, page),
            Letter::Page(None, page) => self.take_page_for_crowd(page),
            Letter::Tick(seconds) if self.ticks.iter().any(|(of, _)| *of == seconds) => {}
            Letter::Tick(seconds) => self.ticks.push((seconds, 0)),
            Letter::Expel => self.expulsion = Some(0),
            Letter::Drain => {
                self.is_draining = true;
                self.farewell = Some(0);
            }
            Letter::CutOff => {
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
        (member.group, member.wish.shape) = self.groups.enter(&member.wish.shape);
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
        self.expel(key);
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
            member.wish.registration.stand(member.place.cursor);
            member.set_patience(Patience::Stalled);
        }
    }

    /// Takes a client out of everything.
    pub(super) fn take_out(&mut self, key: Key) -> Option<Member> {
        self.set_apart(key);
        let member = self.table.remove(key)?;
        self.groups.leave(member.group);
        self.tails.remove(&key);
        Some(member)
    }

    pub(super) fn end(&mut self, key: Key, how: impl FnOnce(Member)) {
        if let Some(mut member) = self.take_out(key) {
            let cursor = member.place.cursor;
            member.wish.registration.stand(cursor);
            how(member);
        }
    }

    /// The kernel watches it no more.
    pub(super) fn unwatch(&self, member: &Member) {
        // One that is not watched needs no unwatching.
        let _ = epoll::delete(&self.epoll, &member.connection.socket);
    }

    /// One round of a tick, or of the farewells; whether there is more.
    fn sweep(&mut self) -> bool {
        for (seconds, from) in std::mem::take(&mut self.ticks) {
            if let Some(to) = self.sweep_from(from, |shard, key| shard.tick(key, seconds)) {
                self.ticks.push((seconds, to));
            }
        }
        if let Some(from) = self.expulsion {
            self.expulsion = self.sweep_from(from, Self::expel);
        }
        if let Some(from) = self.farewell {
            self.farewell = self.sweep_from(from, Self::drain);
        }
        !self.ticks.is_empty() || self.expulsion.is_some() || self.farewell.is_some()
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

    /// How long the crowd's news is still to wait for more.
    fn pause(&mut self) -> Option<Duration> {
        // Who is sent away is first sent what there is.
        if !self.has_news() || self.is_draining || !self.mailbox.can_linger() {
            self.lingers_until = None;
            return None;
        }
        let now = Instant::now();
        let until = *self.lingers_until.get_or_insert(now + LINGER_TIME);
        let pause = until.checked_duration_since(now).filter(|pause| !pause.is_zero());
        if pause.is_none() {
            self.lingers_until = None;
            self.mailbox.has_lingered();
        }
        pause
    }

    fn has_news(&self) -> bool {
        !self.is_fetching && self.around.feed.ring.head() != self.position
    }

    /// Sleeps until there is something to do, or for the `pause`; not at all when there is something already.
    fn wait(&mut self, is_busy: bool, pause: Option<Duration>, ready: &mut Vec<epoll::Event>) {
        let mut has_more = is_busy;
        if !is_busy {
            self.mailbox.falls_asleep();
            // Looked at after that, so that whatever comes later rings.
            let is_urgent = pause.is_none() || !self.mailbox.can_linger();
            has_more = self.has_news() && is_urgent || !self.mailbox.is_empty() || self.is_done();
        }
        let time = if has_more { Some(Duration::ZERO) } else { pause };
        let timeout = time.map(|time| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
        // An interrupted wait finds nothing, and the next one what it missed.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
        self.mailbox.is_awake();
    }

    fn hear(&mut self, event: epoll::Event) {
        let number = event.data.u64();
        if number == BELL {
            // Only so that it can ring again.
            let _ = rustix::io::read(self.mailbox.bell(), &mut [0; 8]);
            return;
        }
        let (key, flags) = (Key::from_u64(number), event.flags);
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.hear_input(key, flags);
        }
        if let Some(member) = self.table.get(key)
            && member.state == State::Blocked
            && flags.contains(EventFlags::OUT)
        {
            member.set_patience(Patience::Usual);
            self.serve(key);
        }
    }

    fn hear_input(&mut self, key: Key, flags: EventFlags) {
        let Some(Member { connection, .. }) = self.table.get(key) else {
            return;
        };
        match socket::ignore_input(&connection.socket, &connection.fate) {
            Input::End => self.end(key, drop),
            Input::Silence if flags.intersects(EventFlags::HUP | EventFlags::ERR) => {
                connection.fate.note(Ending::Closed);
                self.end(key, drop);
            }
            Input::Silence => {}
            Input::More => {
                // Once, however often the kernel says so.
                if let Some(member) = self.table.get(key)
                    && !std::mem::replace(&mut member.is_talking, true)
                {
                    self.talkers.push(key);
                }
            }
        }
    }

    fn hear_talkers(&mut self) -> bool {
        for key in std::mem::take(&mut self.talkers) {
            if let Some(member) = self.table.get(key) {
                member.is_talking = false;
                self.hear_input(key, EventFlags::empty());
            }
        }
        !self.talkers.is_empty()
    }
}

/// However the thread ends, nobody must wait for it.
impl Drop for Shard {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}
