//! The only way to reach a fan-out thread: commands that it takes between its rounds, and an
//! eventfd that wakes it.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

use crate::events::feed::Page;
use crate::store::StoreError;

use super::key::Key;
use super::member::Member;

#[derive(Debug)]
pub enum Command {
    /// Serve this client from now on.
    Adopt(Box<Member>),
    /// A page of the store, for one client or for all live ones.
    Page(Option<Key>, Result<Page, StoreError>),
    /// A keepalive is due for clients with this period, or for those that asked for none.
    Tick(Option<u64>),
    /// Some client has lost its authorization.
    Revoke,
    /// Send every client its goodbye.
    Drain,
    /// Break off the clients that are left.
    CutOff,
}

#[derive(Debug)]
pub struct CommandQueue {
    pending: Mutex<Vec<Command>>,
    /// Set while the thread sleeps, or is about to. It then needs a wake-up.
    asleep: AtomicBool,
    wakeup: OwnedFd,
    /// Whether the last published events may wait for the next ones.
    can_linger: AtomicBool,
    /// Whether the thread will take more commands.
    open: AtomicBool,
    /// Clients that are announced and have not arrived.
    expected: AtomicUsize,
    /// Notified of a command that may wait for others.
    deferred: Arc<Notify>,
}

/// An announced client. The thread does not end before the client arrives or this is dropped.
#[derive(Debug)]
pub struct PendingClient {
    commands: Arc<CommandQueue>,
    is_urgent: bool,
}

impl CommandQueue {
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn new(deferred: Arc<Notify>) -> io::Result<Self> {
        Ok(Self {
            pending: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            wakeup: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            can_linger: AtomicBool::new(false),
            open: AtomicBool::new(true),
            expected: AtomicUsize::new(0),
            deferred,
        })
    }

    pub fn post(&self, command: Command) {
        self.put(command);
        self.wake();
    }

    fn put(&self, command: Command) {
        // After the thread has ended, a command is dropped, and the connection in it too.
        if self.open.load(SeqCst) {
            self.pending().push(command);
        }
    }

    /// Wakes the thread unless it is awake. Never blocks.
    pub fn wake(&self) {
        if self.asleep.swap(false, SeqCst) {
            // It fails only when the counter is full, and then the thread is awake.
            let _ = rustix::io::write(&self.wakeup, &1_u64.to_ne_bytes());
        }
    }

    /// Wakes the thread for new events, which it may let wait for a moment.
    pub fn wake_for_events(&self, can_linger: bool) {
        self.can_linger.store(can_linger, SeqCst);
        self.wake();
    }

    /// The rest of the same events waits no more.
    pub fn has_lingered(&self) {
        self.can_linger.store(false, SeqCst);
    }

    pub fn can_linger(&self) -> bool {
        self.can_linger.load(SeqCst)
    }

    /// Announces a client, unless the thread has ended.
    pub fn expect_client(self: &Arc<Self>) -> Option<PendingClient> {
        self.expected.fetch_add(1, SeqCst);
        let expect_client = PendingClient { commands: self.clone(), is_urgent: true };
        self.open.load(SeqCst).then_some(expect_client)
    }

    pub fn take(&self) -> Vec<Command> {
        mem::take(&mut self.pending())
    }

    pub fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    pub fn expects_client(&self) -> bool {
        // A write, not only a read: a client announced after this call sees everything that
        // happened before it.
        self.expected.fetch_add(0, SeqCst) > 0
    }

    /// The thread is about to sleep, unless it still finds something to do.
    pub fn set_asleep(&self) {
        self.asleep.store(true, SeqCst);
    }

    pub fn set_awake(&self) {
        self.asleep.store(false, SeqCst);
    }

    /// The eventfd that wakes the thread.
    pub fn wakeup(&self) -> &OwnedFd {
        &self.wakeup
    }

    /// The thread takes no command from here on.
    pub fn close(&self) {
        self.open.store(false, SeqCst);
        self.pending().clear();
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Command>> {
        self.pending.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl PendingClient {
    /// Hands the client over. A wake-up for each client costs more than all the rest. So a client
    /// that has missed nothing waits a moment, or until something is published.
    pub fn keep(mut self, member: Member, lacks_nothing: bool) {
        self.commands.put(Command::Adopt(Box::new(member)));
        if lacks_nothing {
            self.commands.deferred.notify_one();
            self.is_urgent = false;
        }
    }
}

impl Drop for PendingClient {
    fn drop(&mut self) {
        self.commands.expected.fetch_sub(1, SeqCst);
        if self.is_urgent {
            self.commands.wake();
        }
    }
}
