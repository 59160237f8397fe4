//! The hub that is measured: the binary as a process of its own, and what the kernel says of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::Value;

use crate::crowd::{Ask, Crowd};
use crate::interrupt;
use crate::publisher::{Load, Publisher};

/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at the memory: short enough to see a page of a replay come and go.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// The kernel counts a process's time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: u64 = 100;

/// A running hub. Killed when it is dropped.
#[derive(Debug)]
pub struct Hub {
    child: Child,
    pub address: SocketAddr,
}

impl Hub {
    /// Starts a hub on the data in `directory` and waits until it is ready.
    pub fn start(directory: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]);
        command.arg(directory).args(flags).stdin(Stdio::null()).stderr(Stdio::piped());
        // What is measured must not depend on who measures.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TASKHUB_"))
        {
            command.env_remove(name);
        }
        let mut child = command.spawn().context("the hub does not start")?;
        let lines = child.stderr.take().context("piped")?;
        // From here on a failure kills it.
        let mut hub = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let (ready, address) = mpsc::channel();
        std::thread::spawn(move || follow_log(lines, &ready));
        hub.address = address.recv_timeout(PATIENCE).context("the hub does not say that it is ready")?;
        Ok(hub)
    }

    /// Gets what a hub allocates once out of the way, so that what is measured later belongs to the load.
    pub fn warm_up(&self) -> anyhow::Result<()> {
        let mut crowd = Crowd::open(self.address, &Ask::default(), 20, 1)?;
        crowd.connected()?;
        let publisher = Publisher::start(self.address, Load { connections: 4, ..Load::default() });
        crowd.until(PATIENCE, |_, _| {}, |crowd| Ok(crowd.events() >= 20 * 50))?;
        publisher.stop();
        crowd.until(
            PATIENCE,
            |_, _| {},
            |crowd| Ok(publisher.has_ended() && crowd.all_at(publisher.acknowledged())),
        )?;
        publisher.finish()?;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end.
    pub fn terminate(&self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("the hub cannot be signalled")
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            interrupt::check()?;
            if let Some(status) = self.ended()? {
                ensure!(status.success(), "the hub has ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the hub has not ended within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // To HTTP/1.0 the answer ends with the connection.
        write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.split_whitespace().nth(1) == Some("200"), "{path}: {head}");
        Ok(serde_json::from_str(body)?)
    }

    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        memory_bytes(self.pid())
    }

    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(&self.pid().to_string())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // One that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds out the address, and reads on, or the hub would block on a full pipe. What sounds worrying is passed on.
fn follow_log(lines: ChildStderr, ready: &mpsc::Sender<SocketAddr>) {
    const PASSED_ON_MAX: usize = 10;
    let mut worrying = 0;
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["message"] == "TaskHub is ready"
            && let Some(address) = entry["listening"].as_str().and_then(|text| text.parse().ok())
        {
            // Whoever asked may have given up.
            let _ = ready.send(address);
        } else if entry["level"] != "INFO" {
            worrying += 1;
            if worrying <= PASSED_ON_MAX {
                eprintln!("the hub says: {line}");
            }
        }
    }
    if worrying > PASSED_ON_MAX {
        eprintln!("the hub says {} more of the kind", worrying - PASSED_ON_MAX);
    }
}

fn memory_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("RssAnon is no number")?;
    Ok(kilobytes << 10)
}

/// CPU time that a process has used; `self` is this one.
pub fn cpu(pid: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before the parenthesis may hold anything. See proc_pid_stat(5): utime and stime are 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// CPU time of both sides from some moment on.
#[derive(Debug)]
pub struct Clocks {
    started: Instant,
    hub: Duration,
    bench: Duration,
}

/// What has passed since.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    pub time: Duration,
    pub hub: Duration,
    pub bench: Duration,
}

impl Clocks {
    pub fn start(hub: &Hub) -> anyhow::Result<Self> {
        Ok(Self { started: Instant::now(), hub: hub.cpu()?, bench: cpu("self")? })
    }

    pub fn read(&self, hub: &Hub) -> anyhow::Result<Passed> {
        Ok(Passed {
            time: self.started.elapsed(),
            hub: hub.cpu()?.saturating_sub(self.hub),
            bench: cpu("self")?.saturating_sub(self.bench),
        })
    }
}

/// Watches a hub's memory for its peak, on a thread of its own.
#[derive(Debug)]
pub struct MemoryWatch {
    stopped: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    pub fn start(hub: &Hub) -> Self {
        let (pid, stopped, peak) = (hub.pid(), Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (seen, asked) = (peak.clone(), stopped.clone());
        let thread = std::thread::spawn(move || {
            while !asked.load(Relaxed) {
                // A hub that has gone has no memory.
                seen.fetch_max(memory_bytes(pid).unwrap_or(0), Relaxed);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { stopped, peak, thread: Some(thread) }
    }

    pub fn peak_bytes(&self) -> u64 {
        self.peak.load(Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes sure that bench and hub may each have `streams` connections open. The hub inherits the limit.
pub fn need_descriptors(streams: usize) -> anyhow::Result<()> {
    /// Writers, the database, the log, and some to spare.
    const BESIDES: u64 = 200;
    let needed = streams as u64 + BESIDES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{streams} streams take {needed} open files on each side, and {} are allowed here; raise that (ulimit -Hn), \
         or ask for fewer --clients",
        limit.maximum.unwrap_or(0),
    );
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the number of open files cannot be raised")
}
