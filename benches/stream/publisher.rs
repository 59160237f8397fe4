//! Writers: announcements over connections that are kept, on a thread of their own, so that readers who are busy
//! do not slow them down.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use memchr::memmem;
use rig::wire::{number, seq, text_after};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// Both ends of a latency are read from this clock.
static CLOCK: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Digits of a time in a message, so that all requests have the same length.
const TIME_DIGITS: usize = 20;
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest sleep, so that the word to stop is heard.
const SLEEP_MAX: Duration = Duration::from_millis(10);

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Each writes again once it has been answered.
    pub connections: usize,
    /// Of all connections together; as many as are answered when absent.
    pub per_second: Option<u32>,
    /// Length of each message.
    pub message_bytes: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { connections: 64, per_second: None, message_bytes: 100 }
    }
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    /// The largest seq that a writer was told.
    acknowledged: AtomicU64,
}

/// Writers at work. They stop when this is dropped.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Publisher {
    pub fn start(hub: SocketAddr, load: Load) -> Self {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || Writers::connect(hub, load)?.write(load, &theirs));
        Self { shared, thread: Some(thread) }
    }

    /// The seq of the last event that a writer knows of.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Relaxed)
    }

    /// Asks the writers to take their last answers and end.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Relaxed);
    }

    /// Whether every request has been answered and no more will be sent, or the writers have failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end of the writers.
    ///
    /// # Errors
    /// When the hub refused something.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.context("writing"),
            Some(Err(_)) => Err(anyhow!("the writers have panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nanoseconds on the bench's own clock.
pub fn now_ns() -> u64 {
    CLOCK.elapsed().as_nanos() as u64
}

/// When the announcement in this envelope was sent.
pub fn sent_ns(envelope: &[u8]) -> Option<u64> {
    // Not by its closing quotation mark: that is a long way off.
    let name = b"\"message\":\"";
    let start = memmem::find(envelope, name)? + name.len();
    number(envelope.get(start..start + TIME_DIGITS)?)
}

#[derive(Debug)]
struct Writers {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// The numbers of those that wait for no answer.
    idle: Vec<usize>,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Writers {
    fn connect(hub: SocketAddr, load: Load) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let connections = (0..load.connections)
            .map(|number| {
                let socket = TcpStream::connect(hub)?;
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
                epoll::add(&epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
                Ok(Connection { socket, answer: Vec::new() })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { epoll, connections, idle: (0..load.connections).collect() })
    }

    fn write(mut self, load: Load, shared: &Shared) -> anyhow::Result<()> {
        let padding = "x".repeat(load.message_bytes.saturating_sub(TIME_DIGITS + 1).max(1));
        // Without a rate everything is due at once, and the answers set the pace.
        let period = load.per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.max(1));
        let mut due = Instant::now();
        let mut ready = Vec::with_capacity(load.connections);
        let mut deadline = None;
        loop {
            if shared.stopped.load(Relaxed) {
                if self.idle.len() == self.connections.len() {
                    return Ok(());
                }
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                ensure!(Instant::now() < deadline, "no answer within {PATIENCE:?}");
            } else {
                while due <= Instant::now()
                    && let Some(number) = self.idle.pop()
                {
                    self.connections[number].send(&padding)?;
                    due += period;
                }
            }
            let mut sleep = SLEEP_MAX;
            if !self.idle.is_empty() {
                sleep = sleep.min(due.saturating_duration_since(Instant::now()));
            }
            let sleep = Timespec { tv_sec: 0, tv_nsec: sleep.subsec_nanos().into() };
            ready.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&sleep)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait"),
            }
            for event in &ready {
                let number = event.data.u64() as usize;
                if let Some(seq) = self.connections[number].receive()? {
                    shared.acknowledged.fetch_max(seq, Relaxed);
                    self.idle.push(number);
                }
            }
        }
    }
}

impl Connection {
    fn send(&mut self, padding: &str) -> anyhow::Result<()> {
        let body =
            format!(r#"{{"level":"info","message":"{:0width$} {padding}"}}"#, now_ns(), width = TIME_DIGITS);
        let request = format!(
            "POST /api/events/announcements HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        // The kernel has room for it: what was sent before has been answered.
        self.socket.write_all(request.as_bytes()).context("cannot send")
    }

    /// The seq of the event, once the answer is whole.
    fn receive(&mut self) -> anyhow::Result<Option<u64>> {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => return Err(anyhow!("the hub has closed the connection of a writer")),
            Ok(count) => self.answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("cannot receive"),
        }
        let Some(end) = memmem::find(&self.answer, b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, body) = self.answer.split_at(end + 4);
        let head = std::str::from_utf8(head)?;
        ensure!(head.starts_with("HTTP/1.1 201"), "refused: {}", String::from_utf8_lossy(&self.answer));
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .context("an answer without a length")?;
        if body.len() < length.1.trim().parse()? {
            return Ok(None);
        }
        let id = text_after(body, b"\"id\":\"").and_then(seq).context("an answer without an id")?;
        self.answer.clear();
        Ok(Some(id))
    }
}
