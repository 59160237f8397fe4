//! Connections that change tasks over HTTP, each again as soon as it has been answered.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::Context;
use rig::connection::Connection;
use rig::figures::Histogram;
use rig::hub::post;
use rig::marker::now_ns;
use rig::publisher::request;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde_json::json;

use crate::TASKS_EACH;

struct Writer {
    connection: Connection,
    /// Its own, so that nobody else decides whether an update changes anything.
    tasks: Vec<String>,
    updates: usize,
    sent_ns: u64,
    waits: bool,
}

pub struct Writers {
    epoll: OwnedFd,
    writers: Vec<Writer>,
    ready: Vec<epoll::Event>,
    pub answered: u64,
    pub latency: Histogram,
}

impl Writers {
    pub fn open(hub: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let writers = (0..count).map(|number| {
            let tasks = (0..TASKS_EACH).map(|_| create(hub)).collect::<anyhow::Result<_>>()?;
            let connection = Connection::open(hub)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection, data, EventFlags::IN | EventFlags::ET)?;
            Ok(Writer { connection, tasks, updates: 0, sent_ns: 0, waits: false })
        });
        let writers = writers.collect::<anyhow::Result<_>>()?;
        let (ready, latency) = (Vec::with_capacity(count), Histogram::default());
        Ok(Self { epoll, writers, ready, answered: 0, latency })
    }

    /// All of them begin.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.writers.iter_mut().try_for_each(Writer::write)
    }

    /// Takes what has been answered, without sleeping; who was answered writes again while it is to `go_on`.
    pub fn turn(&mut self, go_on: bool) -> anyhow::Result<()> {
        self.ready.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in &self.ready {
            let writer = &mut self.writers[event.data.u64() as usize];
            let mut answered = false;
            writer.connection.receive(|_| answered = true)?;
            if !answered {
                continue;
            }
            self.latency.note(now_ns() - writer.sent_ns);
            self.answered += 1;
            writer.waits = false;
            if go_on {
                writer.write()?;
            }
        }
        Ok(())
    }

    /// Whether everybody has been answered.
    pub fn rest(&self) -> bool {
        self.writers.iter().all(|writer| !writer.waits)
    }
}

impl Writer {
    fn write(&mut self) -> anyhow::Result<()> {
        let status = ["inprogress", "todo"][self.updates / self.tasks.len() % 2];
        let path = format!("/api/tasks/status/{}", self.tasks[self.updates % self.tasks.len()]);
        request(self.connection.request(), "PUT", &path, &format!(r#"{{"new_status":"{status}"}}"#));
        (self.updates, self.sent_ns, self.waits) = (self.updates + 1, now_ns(), true);
        self.connection.flush()
    }
}

fn create(hub: SocketAddr) -> anyhow::Result<String> {
    let task = post(hub, "/api/tasks", &json!({"title": crate::TITLE, "tags": ["bench"]}))?;
    Ok(task["id"].as_str().context("a task without an id")?.to_owned())
}
