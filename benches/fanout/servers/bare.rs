//! The physical limit: one thread, one epoll, and of every event nothing but the write.
//!
//! It promises nothing: no durability, no resuming, no filters, and its log is never shortened.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use anyhow::Context;
use memchr::{memchr_iter, memmem};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use rig::marker::Marker;
use rig::publisher::{Way, request};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";
const DONE: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const READ_BYTES: usize = 256 << 10;
const LISTENER: u64 = u64::MAX;

/// All events in one request, a line each.
pub fn way() -> Way {
    let write = |out: &mut Vec<u8>, markers: &[Marker]| {
        let lines: String = markers.iter().map(|marker| marker.envelope() + "\n").collect();
        request(out, "POST", "/publish", &lines);
    };
    Way { lanes: 1, batches: true, write: Rc::new(write) }
}

/// A connection: a stream once it has asked for one, until then a publisher.
struct Connection {
    socket: TcpStream,
    asked: Vec<u8>,
    streams: bool,
    /// Bytes of the log that it has been given.
    at: usize,
    /// Chunks of the log that it has been given.
    chunk: usize,
    /// Whether the kernel has taken no more.
    blocked: bool,
}

struct Bare {
    batched: bool,
    /// Every event as a chunk.
    log: Vec<u8>,
    /// Where each chunk ends.
    ends: Vec<usize>,
    connections: Vec<Option<Connection>>,
    streams: Vec<usize>,
}

pub fn serve(listener: &TcpListener, batched: bool) -> anyhow::Result<()> {
    const BACKLOG: i32 = 4096;
    listener.set_nonblocking(true)?;
    rustix::net::listen(listener, BACKLOG)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut bare = Bare { batched, log: vec![], ends: vec![], connections: vec![], streams: vec![] };
    let mut buffer = vec![0; READ_BYTES];
    let mut ready = Vec::with_capacity(512);
    loop {
        ready.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in &ready {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    let data = EventData::new_u64(bare.connections.len() as u64);
                    let all = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                    epoll::add(&epoll, &socket, data, all)?;
                    let (at, chunk) = (0, 0);
                    let fresh =
                        Connection { socket, asked: vec![], streams: false, at, chunk, blocked: false };
                    bare.connections.push(Some(fresh));
                }
                continue;
            }
            let number = token as usize;
            if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP) {
                bare.read(number, &mut buffer)?;
            }
            if flags.contains(EventFlags::OUT)
                && let Some(connection) = &mut bare.connections[number]
                && std::mem::take(&mut connection.blocked)
            {
                bare.push(number);
            }
        }
    }
}

impl Bare {
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        let Some(connection) = &mut self.connections[number] else {
            return Ok(());
        };
        loop {
            match connection.socket.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => {
                    self.connections[number] = None;
                    self.streams.retain(|it| *it != number);
                    return Ok(());
                }
                Ok(count) => connection.asked.extend_from_slice(&buffer[..count]),
            }
        }
        let mut asked = std::mem::take(&mut connection.asked);
        let (mut read, published) = (0, self.log.len());
        while let Some(end) = memmem::find(&asked[read..], b"\r\n\r\n") {
            let (head, body) = (&asked[read..read + end], read + end + 4);
            if head.starts_with(b"GET ") {
                read = body;
                self.adopt(number)?;
                continue;
            }
            let length = memmem::find(head, b"Content-Length: ").context("no length")? + 16;
            let length: usize =
                std::str::from_utf8(&head[length..])?.lines().next().unwrap_or_default().parse()?;
            let Some(lines) = asked.get(body..body + length) else {
                break;
            };
            read = body + length;
            self.publish(lines)?;
            let publisher = self.connections[number].as_mut().context("it has just been read")?;
            publisher.socket.write_all(DONE)?;
        }
        if self.batched && self.log.len() > published {
            self.fan_out();
        }
        asked.drain(..read);
        if let Some(connection) = &mut self.connections[number] {
            connection.asked = asked;
        }
        Ok(())
    }

    fn adopt(&mut self, number: usize) -> anyhow::Result<()> {
        let connection = self.connections[number].as_mut().context("it has just been read")?;
        connection.socket.write_all(HEAD)?;
        (connection.at, connection.chunk, connection.streams) = (self.log.len(), self.ends.len(), true);
        self.streams.push(number);
        Ok(())
    }

    fn publish(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        let mut start = 0;
        for end in memchr_iter(b'\n', lines) {
            let (id, envelope) = (self.ends.len().to_string(), &lines[start..end]);
            start = end + 1;
            let length = "id: \ndata: \n\n".len() + id.len() + envelope.len();
            write!(self.log, "{length:x}\r\nid: {id}\ndata: ")?;
            self.log.extend_from_slice(envelope);
            self.log.extend_from_slice(b"\n\n\r\n");
            self.ends.push(self.log.len());
            if !self.batched {
                self.fan_out();
            }
        }
        Ok(())
    }

    fn fan_out(&mut self) {
        let streams = std::mem::take(&mut self.streams);
        for number in &streams {
            self.push(*number);
        }
        self.streams = streams;
    }

    /// Writes to one stream until it has everything or the kernel takes no more.
    fn push(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else {
            return;
        };
        while connection.streams && !connection.blocked && connection.at < self.log.len() {
            let end = if self.batched {
                self.log.len()
            } else {
                while self.ends[connection.chunk] <= connection.at {
                    connection.chunk += 1;
                }
                self.ends[connection.chunk]
            };
            match connection.socket.write(&self.log[connection.at..end]) {
                Ok(count) => connection.at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.blocked = true,
                Err(_) => {
                    self.connections[number] = None;
                    return;
                }
            }
        }
    }
}
