//! Connections that ask over HTTP, each again as soon as it has been answered.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use rig::connection::Connection;
use rig::figures::Histogram;
use rig::marker::now_ns;
use rig::publisher::request;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// What a caller asks.
#[derive(Debug, Clone)]
pub enum Load {
    /// Gives its tasks another status, one after the other.
    Changes(Vec<String>),
    /// Gets its tasks, one after the other.
    Gets(Vec<String>),
    /// Gets the same address.
    Same(String),
}

struct Caller {
    connection: Connection,
    load: Load,
    requests: usize,
    sent_ns: u64,
    waits: bool,
}

pub struct Callers {
    epoll: OwnedFd,
    callers: Vec<Caller>,
    ready: Vec<epoll::Event>,
    pub answered: u64,
    pub latency: Histogram,
    /// The longest that anybody has waited, also for an answer that has not come.
    longest_ns: u64,
}

impl Callers {
    pub fn open(hub: SocketAddr, loads: Vec<Load>) -> anyhow::Result<Self> {
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

    /// Takes what has been answered, without sleeping; who was answered asks again while it is to `go_on`.
    pub fn turn(&mut self, go_on: bool) -> anyhow::Result<()> {
        self.ready.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in &self.ready {
            let caller = &mut self.callers[event.data.u64() as usize];
            let mut answered = false;
            caller.connection.receive(|_| answered = true)?;
            if !answered {
                continue;
            }
            let waited = now_ns() - caller.sent_ns;
            self.latency.note(waited);
            self.longest_ns = self.longest_ns.max(waited);
            self.answered += 1;
            caller.waits = false;
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

impl Caller {
    fn ask(&mut self) -> anyhow::Result<()> {
        let out = self.connection.request();
        match &self.load {
            Load::Changes(tasks) => {
                let status = ["inprogress", "todo"][self.requests / tasks.len() % 2];
                let path = format!("/api/tasks/status/{}", tasks[self.requests % tasks.len()]);
                request(out, "PUT", &path, &format!(r#"{{"new_status":"{status}"}}"#));
            }
            Load::Gets(tasks) => get(out, &format!("/api/tasks/{}", tasks[self.requests % tasks.len()])),
            Load::Same(path) => get(out, path),
        }
        (self.requests, self.sent_ns, self.waits) = (self.requests + 1, now_ns(), true);
        self.connection.flush()
    }
}

fn get(out: &mut Vec<u8>, path: &str) {
    out.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
}
