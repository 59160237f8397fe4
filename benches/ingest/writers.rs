//! Connections that change tasks over HTTP, each again as soon as it has been answered: one by one, or in batches.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::{Context, ensure};
use memchr::memmem;
use rig::connection::Connection;
use rig::figures::Histogram;
use rig::hub::post;
use rig::marker::now_ns;
use rig::publisher::request;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde_json::{Value, json};

use crate::{TASKS_EACH, batches};

/// What a writer sends. The tasks are its own, so that nobody else decides whether an update changes anything.
enum Load {
    Single { tasks: Vec<String> },
    Batches { bodies: [String; 2] },
}

struct Writer {
    connection: Connection,
    load: Load,
    requests: usize,
    sent_ns: u64,
    waits: bool,
}

pub struct Writers {
    epoll: OwnedFd,
    writers: Vec<Writer>,
    ready: Vec<epoll::Event>,
    /// Changes in each request.
    batch: usize,
    /// Changes that were answered.
    pub answered: u64,
    pub latency: Histogram,
}

impl Writers {
    /// With a batch, each request has so many changes.
    pub fn open(hub: SocketAddr, count: usize, batch: Option<usize>) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let writers = (0..count).map(|number| {
            let load = Load::new(hub, batch)?;
            let connection = Connection::open(hub)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection, data, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
            Ok(Writer { connection, load, requests: 0, sent_ns: 0, waits: false })
        });
        let writers = writers.collect::<anyhow::Result<_>>()?;
        let (ready, latency) = (Vec::with_capacity(count), Histogram::default());
        Ok(Self { epoll, writers, ready, batch: batch.unwrap_or(1), answered: 0, latency })
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
            // A large batch does not go out at once.
            writer.connection.flush()?;
            let (mut answered, mut refused) = (false, false);
            writer.connection.receive(|answer| {
                answered = true;
                refused |= self.batch > 1 && memmem::find(answer, br#""problem""#).is_some();
            })?;
            ensure!(!refused, "an operation of a batch was refused");
            if !answered {
                continue;
            }
            self.latency.note(now_ns() - writer.sent_ns);
            self.answered += self.batch as u64;
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
        let out = self.connection.request();
        match &self.load {
            Load::Single { tasks } => {
                let status = ["inprogress", "todo"][self.requests / tasks.len() % 2];
                let path = format!("/api/tasks/status/{}", tasks[self.requests % tasks.len()]);
                request(out, "PUT", &path, &format!(r#"{{"new_status":"{status}"}}"#));
            }
            Load::Batches { bodies } => {
                request(out, "POST", "/api/tasks/batch", &bodies[self.requests % bodies.len()]);
            }
        }
        (self.requests, self.sent_ns, self.waits) = (self.requests + 1, now_ns(), true);
        self.connection.flush()
    }
}

impl Load {
    fn new(hub: SocketAddr, batch: Option<usize>) -> anyhow::Result<Self> {
        let Some(batch) = batch else {
            let tasks = (0..TASKS_EACH).map(|_| create(hub)).collect::<anyhow::Result<_>>()?;
            return Ok(Self::Single { tasks });
        };
        let creates = vec![json!({"action": "create", "task": task()}); batch];
        let created = post(hub, "/api/tasks/batch", &json!({"operations": creates, "atomic": true}))?;
        let results = created["results"].as_array().context("a batch without results")?;
        let tasks: Vec<_> =
            results.iter().map(|result| id(&result["task"])).collect::<anyhow::Result<_>>()?;
        let body = |operations| json!({"operations": operations}).to_string();
        Ok(Self::Batches { bodies: batches::both(&tasks).map(body) })
    }
}

fn create(hub: SocketAddr) -> anyhow::Result<String> {
    id(&post(hub, "/api/tasks", &task())?)
}

fn task() -> Value {
    json!({"title": crate::TITLE, "tags": ["bench"]})
}

fn id(task: &Value) -> anyhow::Result<String> {
    Ok(task["id"].as_str().context("a task without an id")?.to_owned())
}
