//! Many readers on one thread: epoll, one read a turn for each socket that has something, and a buffer that
//! they share. A thread or a task each would cost as much as what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rig::interrupt;
use rig::wire::{Body, Message, Messages};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

/// As much as one read may bring; several times what the hub writes at once.
const READ_BYTES: usize = 256 << 10;
/// Sockets served between two looks at the clock.
const TURN_EVENTS: usize = 256;
/// Connections that the hub has not answered yet: more than it has room for would be turned away for a second.
const OPENING_MAX: usize = 1000;
/// Longest sleep: what does not arrive at a socket, such as the end of a process, is seen this late.
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// With its question mark, or empty.
    pub query: String,
    pub last_event_id: Option<String>,
    /// What the kernel takes for a client that does not read; left to the kernel when absent.
    pub receive_bytes: Option<usize>,
}

impl Ask {
    /// Connects and sends the request, but reads nothing.
    pub fn connect(&self, hub: SocketAddr) -> anyhow::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(hub), Type::STREAM, None).context("no socket")?;
        if let Some(bytes) = self.receive_bytes {
            // Before connecting: it decides the window that the hub is told of.
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect(&hub.into()).context("cannot connect")?;
        let mut socket = TcpStream::from(socket);
        let mut request = format!("GET /api/events/stream{} HTTP/1.1\r\nHost: localhost\r\n", self.query);
        if let Some(id) = &self.last_event_id {
            request += &format!("Last-Event-ID: {id}\r\n");
        }
        socket.write_all((request + "\r\n").as_bytes())?;
        Ok(socket)
    }
}

/// One client that reads, and what it has seen.
#[derive(Debug)]
pub struct Reader {
    /// `None` once the hub has closed it.
    socket: Option<TcpStream>,
    body: Body,
    messages: Messages,
    pub connected: bool,
    pub goodbye: bool,
    /// Of the last event; before the first one, where the stream began.
    pub seq: u64,
    pub events: u64,
}

impl Reader {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket: Some(socket),
            body: Body::default(),
            messages: Messages::default(),
            connected: false,
            goodbye: false,
            seq: 0,
            events: 0,
        }
    }

    pub fn closed(&self) -> bool {
        self.socket.is_none()
    }

    /// Whether the body has come to its end, which a connection that broke off has not.
    pub fn ended_cleanly(&self) -> bool {
        self.body.ended()
    }

    /// The last time to reconnect that the hub has named.
    pub fn retry_ms(&self) -> Option<u64> {
        self.messages.retry_ms
    }

    /// Reads once, and answers how much that was.
    fn read(
        &mut self,
        buffer: &mut [u8],
        stride: u64,
        mut each: impl FnMut(Message<'_>),
    ) -> anyhow::Result<usize> {
        let Some(socket) = &mut self.socket else {
            return Ok(0);
        };
        let count = match socket.read(buffer) {
            Ok(0) => {
                self.socket = None;
                return Ok(0);
            }
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(0);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.socket = None;
                return Ok(0);
            }
            Err(error) => return Err(error).context("cannot read"),
        };
        let Self { body, messages, connected, goodbye, seq, events, .. } = self;
        body.feed(&buffer[..count], |bytes| {
            messages.feed(bytes, |message| {
                match message.word {
                    b"connected" => (*connected, *seq) = (true, message.seq),
                    b"goodbye" => *goodbye = true,
                    b"checkpoint" => {}
                    b"reset" | b"snapshot" => bail!("unexpected: {}", String::from_utf8_lossy(message.data)),
                    _ => {
                        ensure!(message.seq == *seq + stride, "after seq {seq} came {}", message.seq);
                        *seq = message.seq;
                        *events += 1;
                        each(message);
                    }
                }
                Ok(())
            })
        })?;
        Ok(count)
    }
}

/// Readers that are served together.
pub struct Readers {
    epoll: OwnedFd,
    pub readers: Vec<Reader>,
    /// How far apart the seqs of two consecutive events are: more than 1 behind a filter.
    stride: u64,
    /// Bytes received by all of them.
    pub bytes: u64,
    buffer: Box<[u8]>,
    ready: Vec<epoll::Event>,
}

impl Readers {
    /// Opens `count` streams. The last ones need not have been answered yet: see [`Readers::connected`].
    pub fn open(hub: SocketAddr, ask: &Ask, count: usize, stride: u64) -> anyhow::Result<Self> {
        let mut readers = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            readers: Vec::with_capacity(count),
            stride,
            bytes: 0,
            buffer: vec![0; READ_BYTES].into(),
            ready: Vec::with_capacity(TURN_EVENTS),
        };
        for number in 0..count {
            if number % OPENING_MAX == 0 {
                readers.connected()?;
            }
            let socket = ask.connect(hub)?;
            socket.set_nonblocking(true)?;
            epoll::add(&readers.epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
            readers.readers.push(Reader::new(socket));
        }
        Ok(readers)
    }

    /// Waits until each has been told that it is connected. Events that come meanwhile are counted.
    pub fn connected(&mut self) -> anyhow::Result<()> {
        const WITHIN: Duration = Duration::from_secs(60);
        self.until(WITHIN, |_, _| {}, |readers| Ok(readers.readers.iter().all(|reader| reader.connected)))
    }

    /// Serves the readers that have something. `each` gets every event with the number of its reader.
    pub fn turn(&mut self, each: &mut impl FnMut(usize, Message<'_>)) -> anyhow::Result<()> {
        interrupt::check()?;
        let sleep = Timespec { tv_sec: 0, tv_nsec: SLEEP_MAX.subsec_nanos().into() };
        self.ready.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), Some(&sleep)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in &self.ready {
            let number = event.data.u64() as usize;
            let reader = &mut self.readers[number];
            let read = reader.read(&mut self.buffer, self.stride, |message| each(number, message));
            self.bytes += read.with_context(|| format!("stream {number}"))? as u64;
        }
        Ok(())
    }

    /// Serves them until `done`. Every stream is expected to go on.
    ///
    /// # Errors
    /// When that takes longer than `within`, or a stream has ended.
    pub fn until(
        &mut self,
        within: Duration,
        mut each: impl FnMut(usize, Message<'_>),
        mut done: impl FnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while !done(self)? {
            ensure!(Instant::now() < deadline, "given up after {within:?}");
            self.turn(&mut each)?;
            if let Some(number) = self.readers.iter().position(Reader::closed) {
                bail!("the hub has closed stream {number}");
            }
        }
        Ok(())
    }

    /// Events that all of them have received.
    pub fn events(&self) -> u64 {
        self.readers.iter().map(|reader| reader.events).sum()
    }

    /// Whether everybody has got the event `seq`.
    pub fn all_at(&self, seq: u64) -> bool {
        self.readers.iter().all(|reader| reader.seq >= seq)
    }

    /// The seq of the reader that is furthest behind.
    pub fn slowest(&self) -> u64 {
        self.readers.iter().map(|reader| reader.seq).min().unwrap_or(0)
    }
}
