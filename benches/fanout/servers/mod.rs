//! The servers that are compared, each started fresh as a process of its own, and how one talks to it.

mod bare;
mod durable;
mod hub;
mod naive;
mod nchan;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Subcommand, ValueEnum};
use rig::cores::Cores;
use rig::process::Process;
use tempfile::TempDir;

use rig::listener::Ids;
use rig::load_client::Ask;
use rig::publisher::Way;

pub use hub::{Out, change, start as start_hub};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nothing but epoll, and a write for each event and client
    Bare,
    /// Nothing but epoll, and a write for all that is pending
    BareBatched,
    /// What one would write with poem's `EventStream` and a broadcast channel
    Naive,
    /// The hub, sockets handed to its fan-out threads
    HandOff,
    /// The hub, streams as bodies of hyper's connections
    Body,
    /// nginx with nchan
    Nchan,
    /// The server of the crate durable-streams
    DurableStreams,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareBatched => "bare batched",
            Self::Naive => "naive poem",
            Self::HandOff => "taskhub hand-off",
            Self::Body => "taskhub body",
            Self::Nchan => "nginx + nchan",
            Self::DurableStreams => "durable-streams",
        }
    }

    pub fn is_hub(self) -> bool {
        matches!(self, Self::HandOff | Self::Body)
    }

    /// Whether an event that is missing is this project's fault, and fails the run.
    pub fn is_ours(self) -> bool {
        self.is_hub() || matches!(self, Self::Bare | Self::BareBatched)
    }

    /// Why it cannot be measured here, if so.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Bare | Self::BareBatched | Self::Naive | Self::Body => None,
            Self::HandOff => (!hub::hands_off()).then(|| "this taskhub has no --fanout-threads".to_owned()),
            Self::Nchan => nchan::missing(),
            Self::DurableStreams => durable::missing(),
        }
    }

    pub fn start(self, cores: &Cores) -> anyhow::Result<Server> {
        match self {
            Self::Bare => Role::Bare { batched: false }.start(bare::way(), Ids::Marks, cores),
            Self::BareBatched => Role::Bare { batched: true }.start(bare::way(), Ids::Marks, cores),
            Self::Naive => Role::Naive.start(naive::way(), Ids::MarksWithGaps, cores),
            Self::HandOff => hub::start(Out::HandOff, &[], cores),
            Self::Body => hub::start(Out::Body, &[], cores),
            Self::Nchan => nchan::start(cores),
            Self::DurableStreams => durable::start(cores),
        }
        .with_context(|| self.name())
    }
}

/// A running server. Killed when it is dropped.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
    /// Where its stream is.
    pub stream: String,
    pub ids: Ids,
    pub way: Way,
    /// What else it can be asked, if anything.
    pub questions: Vec<String>,
    /// Its data, as long as it runs.
    pub directory: Option<TempDir>,
}

impl Server {
    pub fn ask(&self) -> Ask {
        Ask { address: self.address, path: self.stream.clone(), ids: self.ids, receive_bytes: None }
    }
}

/// What this program is when it is not the bench: a server that is measured.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Role {
    Bare {
        #[arg(long)]
        batched: bool,
    },
    Naive,
}

impl Role {
    /// Serves until it is killed, or its parent ends.
    pub fn serve(self) -> anyhow::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?);
        match self {
            Self::Bare { batched } => bare::serve(&listener, batched),
            Self::Naive => naive::serve(listener),
        }
    }

    fn start(self, way: Way, ids: Ids, cores: &Cores) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::piped());
        match self {
            Self::Bare { batched: false } => command.arg("bare"),
            Self::Bare { batched: true } => command.args(["bare", "--batched"]),
            Self::Naive => command.arg("naive"),
        };
        let mut process = Process::start(&mut command, cores)?;
        let mut line = String::new();
        BufReader::new(process.child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().parse().context("it does not say where it listens")?;
        let questions = match self {
            Self::Bare { .. } => vec![],
            Self::Naive => vec!["/ping".to_owned()],
        };
        Ok(Server { process, address, stream: "/stream".to_owned(), ids, way, questions, directory: None })
    }
}

/// A port that nobody has at the moment, for servers that cannot say which one they were given.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody listens there.
fn await_listening(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.ended()? {
            anyhow::bail!("it has ended with {status}");
        }
        ensure!(Instant::now() < deadline, "it does not listen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
