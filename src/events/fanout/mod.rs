//! Fan-out: a few threads write to the bare sockets of streams.
//!
//! Nearly all streams are answers of plain HTTP/1.1. For these, HTTP is done when the head of the
//! answer is out: only chunks follow, the same for all clients with the same options. So the server
//! gives away the socket (`handoff.rs`) to a thread that only writes pending events (`shard.rs`).
//! For this thread a client is a descriptor and a position in the log. With TLS, HTTP/2 and
//! HTTP/1.0 a stream stays the body of an answer, a [`Subscriber`]. Every stream begins as one.
//!
//! # The hand-off
//! 1. The server puts an offer of its socket (`handoff.rs`) into each request of plain HTTP/1.1. It does not know about
//!    streams.
//! 2. The handler answers with a body. The body sends `retry:`, `connected`, a `reset` and a snapshot. When only the log is
//!    left to send, the body claims the offer for a thread, and waits.
//! 3. The server polls hyper, sees the claim, and sees that everything written has left hyper's buffers. It takes the
//!    connection apart and gives away the socket with its permit. It does not end the body: hyper would then write the last
//!    chunk.
//! 4. The thread enters the client in its table, its group and its epoll.
//!
//! # Pace
//! New events wake a thread at once. A new client that has missed nothing waits up to 5 ms for
//! others: waking the thread costs a third of what connecting does. When the writer already has the
//! operations of the next commit, the thread waits up to 1 ms for their events, but never twice in
//! a row. Of ten changes made at once, the first is one commit and the others are the second. One
//! send to each client then costs half of two. After every 64 sends the thread yields its core.
//!
//! # Rejected
//! - A channel for each client: it needs memory and a wake-up for each.
//! - Writing from tasks of the runtime: it needs a wake-up and a poll for each.
//! - io_uring: 6 % less CPU in a prototype, for much more code.
//! - Vectored writes over segments: one round copies small segments together once, for all clients.

mod command_queue;
mod fetch;
mod groups;
mod key;
mod live;
mod member;
mod resync;
mod serve;
mod shard;
mod socket;
mod table;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::handoff::{Bare, Claimant, Offer};
use crate::vitals::Vitals;

use super::context::StreamContext;
use super::subscriber::Subscriber;
use command_queue::{Command, CommandQueue, PendingClient};
use member::Member;
use shard::Shard;

/// How long a new client that has missed nothing may wait, so that one wake-up serves several.
const DEFERRAL_TIME: Duration = Duration::from_millis(5);

/// The fan-out threads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fanout {
    queues: Arc<[Arc<CommandQueue>]>,
    next: Arc<AtomicUsize>,
    /// Notified of commands that may wait for others.
    deferred: Arc<Notify>,
}

impl Fanout {
    /// Prepares the threads. [`Fanout::start`] starts them.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn new(threads: usize) -> io::Result<Self> {
        let deferred = Arc::new(Notify::new());
        let queues = (0..threads).map(|_| CommandQueue::new(deferred.clone()).map(Arc::new));
        Ok(Self { queues: queues.collect::<io::Result<_>>()?, next: Arc::default(), deferred })
    }

    /// Starts the threads. They end when `context.draining` is cancelled and every client has its
    /// goodbye, or when `cut_off` is cancelled. `tasks` waits for them, on this runtime.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left.
    pub fn start(
        &self,
        context: &StreamContext,
        cut_off: CancellationToken,
        tasks: &TaskTracker,
        vitals: &Vitals,
    ) -> io::Result<()> {
        let mut threads = Vec::new();
        for (number, commands) in self.queues.iter().enumerate() {
            let (runtime, tasks, cut_off) = (Handle::current(), tasks.clone(), cut_off.clone());
            let shard = Shard::new(commands.clone(), context.clone(), runtime, tasks, cut_off)?;
            let (ends, ended) = oneshot::channel();
            let vital = vitals.hold("a fan-out thread");
            thread::Builder::new().name(format!("fanout-{number}")).spawn(move || {
                let _vital = vital;
                // Dropped when the thread ends, however it does.
                let _ends: oneshot::Sender<()> = ends;
                shard.run();
            })?;
            threads.push(ended);
        }
        let supervision = self.clone().supervise(threads, context.draining.clone(), cut_off);
        vitals.spawn(tasks, "the supervision of the fan-out threads", supervision);
        Ok(())
    }

    /// Wakes the threads for new events. With `can_linger` they may wait a moment for the next
    /// commit. Never blocks.
    pub fn wake_for_events(&self, can_linger: bool) {
        self.queues.iter().for_each(|commands| commands.wake_for_events(can_linger));
    }

    fn wake(&self) {
        self.queues.iter().for_each(|commands| commands.wake());
    }

    /// A keepalive is due for clients with this period, or for those that asked for none.
    pub fn tick(&self, seconds: Option<u64>) {
        self.post(|| Command::Tick(seconds));
    }

    /// Ends the streams of clients that have lost their authorization.
    pub fn revoke(&self) {
        self.post(|| Command::Revoke);
    }

    /// Claims the socket of a stream for one of the threads.
    ///
    /// # Errors
    /// The subscriber, if there is no thread or all of them are ending. The body then stays a body.
    pub fn claim(&self, subscriber: Subscriber, offer: &Offer) -> Result<(), Box<Subscriber>> {
        let first = self.next.fetch_add(1, Relaxed);
        let count = self.queues.len();
        let pending = (0..count).find_map(|at| self.queues[(first + at) % count].expect_client());
        match pending {
            // The client is announced before this check. So a thread that ends either sees the
            // announcement, or the check here sees the draining.
            Some(pending) if !subscriber.is_draining() => {
                offer.claim(Box::new(Claim { subscriber, pending }));
                Ok(())
            }
            _ => Err(Box::new(subscriber)),
        }
    }

    async fn supervise(
        self,
        threads: Vec<oneshot::Receiver<()>>,
        draining: CancellationToken,
        cut_off: CancellationToken,
    ) {
        let leash = StopGuard(self);
        let fanout = &leash.0;
        loop {
            // All are cancel safe.
            tokio::select! {
                () = draining.cancelled() => break,
                () = fanout.deferred.notified() => {
                    tokio::time::sleep(DEFERRAL_TIME).await;
                    fanout.wake();
                }
            }
        }
        fanout.post(|| Command::Drain);
        let ended = async {
            for thread in threads {
                // An error says that the sender is gone, which means that the thread has ended.
                let _ = thread.await;
            }
        };
        let mut ended = std::pin::pin!(ended);
        let mut is_cut_off = false;
        loop {
            // All are cancel safe.
            tokio::select! {
                () = &mut ended => return,
                () = cut_off.cancelled(), if !is_cut_off => {
                    is_cut_off = true;
                    fanout.post(|| Command::CutOff);
                }
                // A client that came at the last moment also gets its goodbye.
                () = fanout.deferred.notified() => fanout.wake(),
            }
        }
    }

    fn post(&self, command: impl Fn() -> Command) {
        self.queues.iter().for_each(|commands| commands.post(command()));
    }
}

/// Ends the threads when the runtime drops this task without an orderly end.
struct StopGuard(Fanout);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.post(|| Command::Drain);
        self.0.post(|| Command::CutOff);
    }
}

/// A stream whose socket has not arrived yet.
#[derive(Debug)]
struct Claim {
    subscriber: Subscriber,
    pending: PendingClient,
}

impl Claimant for Claim {
    fn take(self: Box<Self>, connection: Bare) {
        let is_urgent = self.subscriber.is_draining();
        let (handover, cursor) = self.subscriber.into_handover();
        // Nothing was published after its cursor. The next event wakes the thread.
        let lacks_nothing = !is_urgent && cursor == handover.live_after;
        self.pending.keep(Member::new(connection, handover, cursor), lacks_nothing);
    }
}
