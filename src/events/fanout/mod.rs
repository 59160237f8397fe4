//! Fan-out: the bare sockets of streams, written by a few threads of their own.
//!
//! Nearly all streams are answers of plain HTTP/1.1. For one of these, HTTP is done when its head is out: what
//! follows are chunks, the same for all who asked for the same. So its socket is taken out of the server's hands
//! (`handoff.rs`) and given to a thread whose only work is to write what is pending (`shard.rs`): a client there is
//! a descriptor and a position in the log. TLS, HTTP/2 and HTTP/1.0 keep the body of their answer, a
//! [`Subscriber`], which is also how every stream begins.
//!
//! # The hand-off
//! 1. The server puts an offer of its socket (`handoff.rs`) into each request of plain HTTP/1.1. It knows nothing of streams.
//! 2. The handler answers with a body. `retry:`, `connected`, a `reset` and a snapshot go out as a body does. When nothing is
//!    left to send but the log, the body claims the offer for a thread and waits.
//! 3. The server polls hyper, sees the claim, and sees that everything written has left hyper's buffers. It takes the
//!    connection apart and gives away the socket with its permit. If it failed the body instead, hyper would write the last
//!    chunk.
//! 4. The thread enters the client in its table, its group and its epoll.
//!
//! # Pace
//! A thread is woken at once for new events, and within 5 ms for a new client that lacks nothing: a switch to the thread and
//! back costs a third of what connecting does. When the writer already has the operations of the next commit, the thread waits
//! up to 1 ms for its events, but never twice in a row. Of ten changes at once the first is a commit by itself and the others
//! are the second, and one send to each client costs half of two. Every 64 sends the thread offers its core to others.
//!
//! # Rejected
//! A channel for each client: memory, and a wake-up each. Writing from the runtime's tasks: a wake-up and a poll each.
//! io_uring: 6 % less CPU in a prototype, for much more code. Vectored writes over segments: a round copies small ones
//! together once, for all clients.

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

/// How long a client that lacks nothing may wait for others, to wake its thread together.
const DEFERRAL_TIME: Duration = Duration::from_millis(5);

/// The fan-out threads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fanout {
    queues: Arc<[Arc<CommandQueue>]>,
    next: Arc<AtomicUsize>,
    /// Notified of commands that can wait for others.
    deferred: Arc<Notify>,
}

impl Fanout {
    /// Threads that are about to be started.
    ///
    /// # Errors
    /// When the system has no descriptor to give.
    pub fn new(threads: usize) -> io::Result<Self> {
        let deferred = Arc::new(Notify::new());
        let queues = (0..threads).map(|_| CommandQueue::new(deferred.clone()).map(Arc::new));
        Ok(Self { queues: queues.collect::<io::Result<_>>()?, next: Arc::default(), deferred })
    }

    /// Starts the threads. They end when `context.draining` is cancelled and every client has got its goodbye, or when
    /// `cut_off` is. `tasks` waits for them, and must be waited for on this runtime.
    ///
    /// # Errors
    /// When the system has no thread or descriptor to give.
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

    /// Something was published, and may wait for a moment for what follows. Never blocks.
    pub fn wake_for_events(&self, can_linger: bool) {
        self.queues.iter().for_each(|commands| commands.wake_for_events(can_linger));
    }

    fn wake(&self) {
        self.queues.iter().for_each(|commands| commands.wake());
    }

    /// A keepalive is due to those who want one every so many seconds, or to those who have not said.
    pub fn tick(&self, seconds: Option<u64>) {
        self.post(|| Command::Tick(seconds));
    }

    /// Has those sent away who are no longer let in.
    pub fn revoke(&self) {
        self.post(|| Command::Revoke);
    }

    /// Claims the socket of a stream for one of the threads.
    ///
    /// # Errors
    /// The subscriber, if there is no thread, or all of them are ending: then it is the body's, as ever.
    pub fn claim(&self, subscriber: Subscriber, offer: &Offer) -> Result<(), Box<Subscriber>> {
        let first = self.next.fetch_add(1, Relaxed);
        let count = self.queues.len();
        let pending = (0..count).find_map(|at| self.queues[(first + at) % count].expect_client());
        match pending {
            // Promised before this look: a thread that ends has seen either the promise or nobody who makes one.
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
                // An error says that the sender is gone, which is what is waited for.
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
                // A client that came at the last moment gets its goodbye, too.
                () = fanout.deferred.notified() => fanout.wake(),
            }
        }
    }

    fn post(&self, command: impl Fn() -> Command) {
        self.queues.iter().for_each(|commands| commands.post(command()));
    }
}

/// Ends the threads with the runtime, if it goes without an end in order.
struct StopGuard(Fanout);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.post(|| Command::Drain);
        self.0.post(|| Command::CutOff);
    }
}

/// A stream whose socket is on its way.
#[derive(Debug)]
struct Claim {
    subscriber: Subscriber,
    pending: PendingClient,
}

impl Claimant for Claim {
    fn take(self: Box<Self>, connection: Bare) {
        let is_urgent = self.subscriber.is_draining();
        let (handover, cursor) = self.subscriber.into_handover();
        // Nothing after its cursor was published yet: whatever will be wakes its thread.
        let lacks_nothing = !is_urgent && cursor == handover.live_after;
        self.pending.keep(Member::new(connection, handover, cursor), lacks_nothing);
    }
}
