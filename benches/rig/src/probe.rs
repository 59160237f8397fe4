//! A client that asks for something small every few milliseconds, as people do while the others are being told.

use std::net::SocketAddr;

use crate::connection::Connection;
use crate::figures::Histogram;

use crate::marker::now_ns;

/// Time between two questions, if the first has been answered by then.
const EVERY_NS: u64 = 3_000_000;

#[derive(Debug)]
pub struct Probe {
    connection: Connection,
    paths: Vec<String>,
    asked: usize,
    sent_ns: u64,
    waits: bool,
    pub latency: Histogram,
}

impl Probe {
    /// Asks for `paths` in turn.
    pub fn open(server: SocketAddr, paths: Vec<String>) -> anyhow::Result<Self> {
        let connection = Connection::open(server)?;
        Ok(Self { connection, paths, asked: 0, sent_ns: 0, waits: false, latency: Histogram::default() })
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn ask_when_due(&mut self) -> anyhow::Result<()> {
        let now = now_ns();
        if self.waits || now < self.sent_ns + EVERY_NS {
            return Ok(());
        }
        let path = &self.paths[self.asked % self.paths.len()];
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.connection.request().extend_from_slice(request.as_bytes());
        (self.asked, self.sent_ns, self.waits) = (self.asked + 1, now, true);
        self.connection.flush()
    }

    pub fn receive(&mut self) -> anyhow::Result<()> {
        let Self { connection, latency, waits, sent_ns, .. } = self;
        connection.receive(|_| {
            latency.note(now_ns() - *sent_ns);
            *waits = false;
        })
    }
}
