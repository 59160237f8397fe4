//! The hub that is measured: the binary as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cores::Cores;
use crate::process::{Cpu, Process};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running hub. Killed when it is dropped.
#[derive(Debug)]
pub struct Hub {
    process: Process,
    pub address: SocketAddr,
}

impl Hub {
    /// Starts a hub on the data in `directory` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub fn start(program: &str, directory: &Path, flags: &[&str], cores: &Cores) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]);
        command.arg(directory).args(flags).stdin(Stdio::null()).stderr(Stdio::piped());
        // What is measured must not depend on who measures.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TASKHUB_"))
        {
            command.env_remove(name);
        }
        // From here on a failure kills it.
        let mut process = Process::start(&mut command, cores)?;
        let lines = process.child.stderr.take().context("piped")?;
        let (ready, address) = mpsc::channel();
        std::thread::spawn(move || follow_log(lines, &ready));
        let address = address.recv_timeout(PATIENCE).context("the hub does not say that it is ready")?;
        Ok(Self { process, address })
    }

    /// The answer to a GET.
    ///
    /// # Errors
    /// When it is refused.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        get(self.address, path)
    }

    /// The process alone, for those who know the address.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn end(self) -> anyhow::Result<()> {
        self.process.end().context("the hub")
    }
}

impl Deref for Hub {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Hub {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The answer of a hub to a GET.
///
/// # Errors
/// When it is refused.
pub fn get(hub: SocketAddr, path: &str) -> anyhow::Result<Value> {
    ask(hub, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

/// The answer of a hub to a POST.
///
/// # Errors
/// When it is refused.
pub fn post(hub: SocketAddr, path: &str, body: &Value) -> anyhow::Result<Value> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len(),
    );
    ask(hub, &(head + &body))
}

/// To HTTP/1.0 the answer ends with the connection.
fn ask(hub: SocketAddr, request: &str) -> anyhow::Result<Value> {
    let mut socket = TcpStream::connect(hub)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let succeeded = head.split_whitespace().nth(1).is_some_and(|status| status.starts_with('2'));
    ensure!(succeeded, "{}: {head}", request.lines().next().unwrap_or_default());
    Ok(serde_json::from_str(body)?)
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
            // The caller may have given up.
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

/// CPU time of both sides from some moment on.
#[derive(Debug)]
pub struct Clocks {
    started: Instant,
    hub: Cpu,
    bench: Cpu,
}

/// What has passed since.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    pub time: Duration,
    pub hub: Duration,
    pub bench: Duration,
}

impl Clocks {
    pub fn start(hub: &Process) -> anyhow::Result<Self> {
        Ok(Self { started: Instant::now(), hub: hub.cpu()?, bench: Cpu::own()? })
    }

    pub fn read(&self, hub: &Process) -> anyhow::Result<Passed> {
        Ok(Passed {
            time: self.started.elapsed(),
            hub: hub.cpu()?.since(self.hub).total,
            bench: Cpu::own()?.since(self.bench).total,
        })
    }
}
