//! The only way to a fan-out thread: letters that it reads between its rounds, and a bell that wakes it.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

use crate::events::feed::Page;
use crate::store::StoreError;

use super::member::Member;
use super::table::Key;

#[derive(Debug)]
pub enum Letter {
    /// A client to be served from now on.
    Adopt(Box<Member>),
    /// A page of the store, for one client or for the crowd.
    Page(Option<Key>, Result<Page, StoreError>),
    /// A keepalive is due to those who want one every so many seconds, or to those who have not said.
    Tick(Option<u64>),
    /// Somebody is no longer let in.
    Expel,
    /// Everybody is to be sent away.
    Drain,
    /// Whoever is still there is to be cut off.
    CutOff,
}

#[derive(Debug)]
pub struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    /// Set while the thread sleeps, or is about to: then it has to be woken.
    asleep: AtomicBool,
    bell: OwnedFd,
    /// Whether what was published last may wait for what follows it.
    can_linger: AtomicBool,
    /// Whether somebody will read.
    open: AtomicBool,
    /// Clients that are on their way.
    promised: AtomicUsize,
    /// Told of a letter that can wait for others.
    can_wait: Arc<Notify>,
}

/// A client that is on its way: the thread does not end before it is there, or the promise is dropped.
#[derive(Debug)]
pub struct Promise {
    mailbox: Arc<Mailbox>,
    is_urgent: bool,
}

impl Mailbox {
    /// # Errors
    /// When the system has no descriptor to give.
    pub fn new(can_wait: Arc<Notify>) -> io::Result<Self> {
        Ok(Self {
            letters: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            can_linger: AtomicBool::new(false),
            open: AtomicBool::new(true),
            promised: AtomicUsize::new(0),
            can_wait,
        })
    }

    pub fn post(&self, letter: Letter) {
        self.put(letter);
        self.wake();
    }

    fn put(&self, letter: Letter) {
        // One that nobody reads is dropped, and with it the connection in it.
        if self.open.load(SeqCst) {
            self.letters().push(letter);
        }
    }

    /// Wakes the thread unless it is awake. Never blocks.
    pub fn wake(&self) {
        if self.asleep.swap(false, SeqCst) {
            // It fails only when it has rung more often than can be counted, and then it rings.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Wakes the thread for what was published, which it may let wait for a moment.
    pub fn wake_for_news(&self, can_linger: bool) {
        self.can_linger.store(can_linger, SeqCst);
        self.wake();
    }

    /// What is left of the same news waits no more.
    pub fn has_lingered(&self) {
        self.can_linger.store(false, SeqCst);
    }

    pub fn can_linger(&self) -> bool {
        self.can_linger.load(SeqCst)
    }

    /// Promises a client, unless the thread has ended.
    pub fn promise(self: &Arc<Self>) -> Option<Promise> {
        self.promised.fetch_add(1, SeqCst);
        let promise = Promise { mailbox: self.clone(), is_urgent: true };
        self.open.load(SeqCst).then_some(promise)
    }

    pub fn take(&self) -> Vec<Letter> {
        mem::take(&mut self.letters())
    }

    pub fn is_empty(&self) -> bool {
        self.letters().is_empty()
    }

    pub fn expects_somebody(&self) -> bool {
        // Written, not only read: whoever promises after this has seen everything that came before it.
        self.promised.fetch_add(0, SeqCst) > 0
    }

    /// The thread is about to sleep, unless it finds that there is something to do after all.
    pub fn falls_asleep(&self) {
        self.asleep.store(true, SeqCst);
    }

    pub fn is_awake(&self) {
        self.asleep.store(false, SeqCst);
    }

    /// What rings.
    pub fn bell(&self) -> &OwnedFd {
        &self.bell
    }

    /// Nobody reads from here on.
    pub fn close(&self) {
        self.open.store(false, SeqCst);
        self.letters().clear();
    }

    fn letters(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.letters.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Promise {
    /// Keeps it. Waking the thread for each single client costs more than all the rest, so one that lacks nothing
    /// waits for a moment, or until something is published.
    pub fn keep(mut self, member: Member, lacks_nothing: bool) {
        self.mailbox.put(Letter::Adopt(Box::new(member)));
        if lacks_nothing {
            self.mailbox.can_wait.notify_one();
            self.is_urgent = false;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.mailbox.promised.fetch_sub(1, SeqCst);
        if self.is_urgent {
            self.mailbox.wake();
        }
    }
}
