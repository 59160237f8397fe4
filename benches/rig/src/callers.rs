//! Connections that ask over HTTP, each again as soon as it has been answered.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::connection::Connection;
use crate::figures::Histogram;
use crate::marker::now_ns;

/// What a caller asks, one request after the other.
pub trait Load {
    /// Writes a request; `number` of them came before it.
    fn write(&self, out: &mut Vec<u8>, number: usize);

    /// Looks at the body of an answer.
    ///
    /// # Errors
    /// When it is not what was asked for.
    fn check(&self, _answer: &[u8]) -> anyhow::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Caller<L> {
    connection: Connection,
    load: L,
    requests: usize,
    sent_ns: u64,
    waits: bool,
}

#[expect(missing_debug_implementations, reason = "an event of epoll has nothing to show")]
pub struct Callers<L> {
    epoll: OwnedFd,
    callers: Vec<Caller<L>>,
    ready: Vec<epoll::Event>,
    /// Requests that were answered.
    pub answered: u64,
    pub latency: Histogram,
    /// The longest that anybody has waited, also for an answer that has not come.
    longest_ns: u64,
}

impl<L: Load> Callers<L> {
    pub fn open(hub: SocketAddr, loads: Vec<L>) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let callers = loads.into_iter().enumerate().map(|(number, load)| {
            let connection = Connection::open(hub)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection, data, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
            Ok(Caller { connection, load, requests: 0, sent_ns: 0, waits: false })
        });
        let callers: Vec<_> = callers.collect::<anyhow::Result<_>>()?;
        let ready = Vec::with_capacity(callers.len().max(1));
        Ok(Self { epoll, callers, ready, answered: 0, latency: Histogram::default(), longest_ns: 0 })
    }

    /// All of them begin.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.callers.iter_mut().try_for_each(Caller::ask)
    }

    /// One of them asks.
    pub fn ask(&mut self, number: usize) -> anyhow::Result<()> {
        self.callers[number].ask()
    }

    /// Takes what has been answered, without sleeping; who was answered asks again while it is to `go_on`.
    pub fn turn(&mut self, go_on: bool) -> anyhow::Result<()> {
        self.ready.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in &self.ready {
            let Caller { connection, load, waits, .. } = &mut self.callers[event.data.u64() as usize];
            // A large request does not go out at once.
            connection.flush()?;
            let mut checked = Ok(());
            connection.receive(|answer| {
                *waits = false;
                checked = load.check(answer);
            })?;
            checked?;
            let caller = &mut self.callers[event.data.u64() as usize];
            if caller.waits || caller.sent_ns == 0 {
                continue;
            }
            let waited = now_ns() - std::mem::take(&mut caller.sent_ns);
            self.latency.note(waited);
            self.longest_ns = self.longest_ns.max(waited);
            self.answered += 1;
            if go_on {
                caller.ask()?;
            }
        }
        Ok(())
    }

    /// The longest wait so far, including those that have not ended.
    pub fn longest(&self) -> Duration {
        let now = now_ns();
        let waiting = self.callers.iter().filter(|caller| caller.waits).map(|caller| now - caller.sent_ns);
        Duration::from_nanos(waiting.max().unwrap_or(0).max(self.longest_ns))
    }

    /// Whether everybody has been answered.
    pub fn rest(&self) -> bool {
        self.callers.iter().all(|caller| !caller.waits)
    }
}

impl<L: Load> Caller<L> {
    fn ask(&mut self) -> anyhow::Result<()> {
        self.load.write(self.connection.request(), self.requests);
        (self.requests, self.sent_ns, self.waits) = (self.requests + 1, now_ns(), true);
        self.connection.flush()
    }
}
