//! The load client: thousands of streams, the connections that publish and one that asks, on one thread with one
//! epoll. While something is measured it does not sleep: waking it would be the server's time.
//!
//! Every stream is checked as it is read: each event once and in its place, by the server's own ids where it has
//! such, by the number in the event otherwise.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::figures::Histogram;
use crate::interrupt;
use anyhow::{Context, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use crate::listener::{Ids, Listener};
use crate::marker::now_ns;
use crate::probe::Probe;
use crate::publisher::Publisher;

/// As much as one read may bring; several times what a server writes at once.
const READ_BYTES: usize = 256 << 10;
/// Sockets served between two looks at the clock: few, so that what is asked beside the streams is seen soon.
const TURN_EVENTS: usize = 64;
/// Connections that the server has not answered yet, so that it is busy and none is turned away.
const OPENING_MAX: usize = 128;
/// Connections from one address. Each has its own ports, about 28,000.
const ADDRESS_CLIENTS_MAX: usize = 20_000;
/// How long opening may take.
const OPENING_PATIENCE: Duration = Duration::from_secs(60);
/// Above the numbers of the clients.
const PRESS_TOKEN: u64 = 1 << 32;
const PROBE_TOKEN: u64 = 1 << 33;

/// What a stream is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    pub address: SocketAddr,
    /// With its query.
    pub path: String,
    pub ids: Ids,
    /// What the kernel takes for a client that does not read; left to the kernel when absent.
    pub receive_bytes: Option<usize>,
}

/// One stream.
#[derive(Debug)]
struct Client {
    socket: TcpStream,
    listener: Listener,
    /// Whether it reads what comes.
    reads: bool,
    closed: bool,
}

/// All streams, what they have received, and what is done beside them.
#[expect(missing_debug_implementations, reason = "an epoll event has nothing to show")]
pub struct LoadClient {
    epoll: OwnedFd,
    clients: Vec<Client>,
    pub publisher: Option<Publisher>,
    pub probe: Option<Probe>,
    buffer: Box<[u8]>,
    ready: Vec<epoll::Event>,
    opened: usize,
    pub tally: Tally,
}

/// What was received since it was last reset.
#[derive(Debug, Default)]
pub struct Tally {
    pub delivered: u64,
    /// Events that a client was never given.
    pub lost: u64,
    pub bytes: u64,
    pub reads: u64,
    pub closed: u64,
    /// From publishing to reading.
    pub latency: Histogram,
    /// When the last event was read.
    pub last_ns: u64,
}

impl LoadClient {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            publisher: None,
            probe: None,
            buffer: vec![0; READ_BYTES].into(),
            ready: Vec::with_capacity(TURN_EVENTS),
            opened: 0,
            tally: Tally::default(),
        })
    }

    /// Publishes over `publisher` from now on.
    pub fn publish_over(&mut self, publisher: Publisher) -> anyhow::Result<()> {
        for (lane, connection) in publisher.lanes().enumerate() {
            let data = EventData::new_u64(PRESS_TOKEN + lane as u64);
            epoll::add(&self.epoll, connection, data, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
        }
        self.publisher = Some(publisher);
        Ok(())
    }

    /// Asks over `probe` from now on.
    pub fn ask_over(&mut self, probe: Probe) -> anyhow::Result<()> {
        let data = EventData::new_u64(PROBE_TOKEN);
        epoll::add(&self.epoll, probe.connection(), data, EventFlags::IN | EventFlags::ET)?;
        self.probe = Some(probe);
        Ok(())
    }

    /// Opens `count` more streams and waits until the server has answered each.
    pub fn open(&mut self, count: usize, mut ask: impl FnMut(usize) -> Ask) -> anyhow::Result<()> {
        let until = self.clients.len() + count;
        let deadline = Instant::now() + OPENING_PATIENCE;
        while self.opened < until {
            ensure!(
                Instant::now() < deadline,
                "only {} of {until} streams opened within {OPENING_PATIENCE:?}",
                self.opened
            );
            while self.clients.len() < until && self.clients.len() - self.opened < OPENING_MAX {
                let number = self.clients.len();
                let client = connect(&ask(number), number)?;
                let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&self.epoll, &client.socket, EventData::new_u64(number as u64), flags)?;
                self.clients.push(client);
            }
            self.turn()?;
            ensure!(self.tally.closed == 0, "the server has closed a stream that was just opened");
        }
        Ok(())
    }

    /// All streams end.
    pub fn leave(&mut self) {
        self.clients.clear();
        self.opened = 0;
    }

    /// The first `count` stop reading, or begin again.
    pub fn set_reading(&mut self, count: usize, reads: bool) -> anyhow::Result<()> {
        for number in 0..count {
            self.clients[number].reads = reads;
            if reads {
                // What came meanwhile makes no new event.
                self.read(number)?;
            }
        }
        Ok(())
    }

    /// Serves the sockets that have something, without sleeping.
    pub fn turn(&mut self) -> anyhow::Result<()> {
        /// Between two looks: looking takes a lock that the server's writes need, too.
        const BREATHS: usize = 60;
        interrupt::check()?;
        if let Some(probe) = &mut self.probe {
            probe.ask_when_due()?;
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        if ready.is_empty() {
            (0..BREATHS).for_each(|_| std::hint::spin_loop());
        }
        for event in &ready {
            match event.data.u64() {
                PROBE_TOKEN.. => self.probe.as_mut().map_or(Ok(()), Probe::receive)?,
                token @ PRESS_TOKEN.. => {
                    let lane = (token - PRESS_TOKEN) as usize;
                    self.publisher.as_mut().map_or(Ok(()), |publisher| publisher.serve(lane))?;
                }
                number => self.read(number as usize)?,
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        let Self { clients, buffer, tally, opened, .. } = self;
        let client = &mut clients[number];
        while client.reads && !client.closed {
            let count = match client.socket.read(buffer) {
                Ok(0) => {
                    client.closed = true;
                    tally.closed += 1;
                    break;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    client.closed = true;
                    tally.closed += 1;
                    break;
                }
                Err(error) => return Err(error).context("cannot read"),
            };
            let now = now_ns();
            tally.bytes += count as u64;
            tally.reads += 1;
            let was_open = client.listener.opened();
            let heard = client.listener.feed(&buffer[..count], |event| {
                tally.delivered += 1;
                tally.lost += event.missed;
                tally.last_ns = now;
                if let Some(sent) = event.sent_ns {
                    tally.latency.note(now.saturating_sub(sent));
                }
            });
            heard.with_context(|| format!("stream {number}"))?;
            *opened += usize::from(!was_open && client.listener.opened());
            if count < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    /// Serves them for a while.
    pub fn settle(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Serves them until they have received `events` in all, counting those that will never come.
    ///
    /// # Errors
    /// When nothing comes for a while before, a stream is closed, or there is more.
    pub fn receive(&mut self, events: u64) -> anyhow::Result<()> {
        /// Longer than a server pauses.
        const SILENCE_MAX: Duration = Duration::from_secs(10);
        let mut seen = (self.tally.delivered, Instant::now());
        while self.tally.delivered + self.tally.lost < events {
            self.turn()?;
            if self.tally.delivered != seen.0 {
                seen = (self.tally.delivered, Instant::now());
            }
            let tally = &self.tally;
            ensure!(tally.closed == 0, "the server has closed {} streams", tally.closed);
            if seen.1.elapsed() > SILENCE_MAX {
                bail!(
                    "{} of {events} deliveries came, and then nothing for {SILENCE_MAX:?}",
                    tally.delivered
                );
            }
        }
        ensure!(self.tally.delivered + self.tally.lost == events, "more came than {events}");
        Ok(())
    }

    /// Publishes `events` at once.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn publish(&mut self, events: u64) -> anyhow::Result<()> {
        self.publisher.as_mut().map_or(Ok(()), |publisher| publisher.publish(events))
    }

    /// Publishes one after the other, to all of them.
    ///
    /// # Errors
    /// As [`LoadClient::receive`].
    pub fn publish_and_receive(&mut self, events: u64) -> anyhow::Result<()> {
        self.tally = Tally::default();
        for count in 1..=events {
            self.publish(1)?;
            self.receive(count * self.clients.len() as u64)?;
        }
        self.acknowledged()
    }

    /// Serves them until everything that was published is acknowledged.
    pub fn acknowledged(&mut self) -> anyhow::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let deadline = Instant::now() + PATIENCE;
        while self.publisher.as_ref().is_some_and(|publisher| publisher.unanswered() > 0) {
            ensure!(Instant::now() < deadline, "not everything was acknowledged within {PATIENCE:?}");
            self.turn()?;
        }
        Ok(())
    }
}

fn connect(ask: &Ask, number: usize) -> anyhow::Result<Client> {
    let socket = Socket::new(Domain::for_address(ask.address), Type::STREAM, None).context("no socket")?;
    if let Some(bytes) = ask.receive_bytes {
        // Before connecting: it decides the window that the server is told of.
        socket.set_recv_buffer_size(bytes)?;
    }
    let block = number / ADDRESS_CLIENTS_MAX;
    if block > 0 {
        let from = Ipv4Addr::new(127, 0, 0, u8::try_from(block + 1).context("too many clients")?);
        socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).context("no port is left")?;
    }
    socket.connect(&ask.address.into()).context("cannot connect")?;
    let mut socket = TcpStream::from(socket);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n",
        ask.path
    );
    socket.write_all(request.as_bytes())?;
    socket.set_nonblocking(true)?;
    Ok(Client { socket, listener: Listener::new(ask.ids), reads: true, closed: false })
}
