//! Publishing, to each server in its own way: over one connection where that keeps the order, over many where it
//! lets the server commit several at once; an event a request, or as many as the server takes in one.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::connection::Connection;

use crate::marker::{Marker, now_ns};

/// Writes a request with these events.
type Write = Rc<dyn Fn(&mut Vec<u8>, &[Marker])>;

/// How a server is published to.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Way {
    /// Connections; requests go over them in turn, without waiting for answers.
    pub lanes: usize,
    /// Whether a request takes more than one event.
    pub batches: bool,
    pub write: Write,
}

#[expect(missing_debug_implementations, reason = "as of its way")]
pub struct Publisher {
    way: Way,
    lanes: Vec<Connection>,
    next_lane: usize,
    seq: u64,
    asked: u64,
    answered: u64,
}

impl Publisher {
    pub fn open(server: SocketAddr, way: Way) -> anyhow::Result<Self> {
        let lanes = (0..way.lanes).map(|_| Connection::open(server)).collect::<anyhow::Result<_>>()?;
        Ok(Self { way, lanes, next_lane: 0, seq: 0, asked: 0, answered: 0 })
    }

    pub fn lanes(&self) -> impl Iterator<Item = &Connection> {
        self.lanes.iter()
    }

    /// Publishes `count` events as one burst.
    pub fn publish(&mut self, count: u64) -> anyhow::Result<()> {
        let sent_ns = now_ns();
        let markers: Vec<_> = (1..=count).map(|n| Marker { seq: self.seq + n, sent_ns }).collect();
        self.seq += count;
        for some in markers.chunks(if self.way.batches { markers.len().max(1) } else { 1 }) {
            (self.way.write)(self.lanes[self.next_lane].request(), some);
            self.next_lane = (self.next_lane + 1) % self.lanes.len();
            self.asked += 1;
        }
        let used = usize::try_from(count)?.min(self.lanes.len());
        // Those that were just written to come before the next one.
        for back in 1..=used {
            let lane = (self.next_lane + self.lanes.len() - back) % self.lanes.len();
            self.lanes[lane].flush()?;
        }
        Ok(())
    }

    /// Sends and receives over a lane what there is.
    pub fn serve(&mut self, lane: usize) -> anyhow::Result<()> {
        let Self { lanes, answered, .. } = self;
        lanes[lane].receive(|_| *answered += 1)?;
        lanes[lane].flush()
    }

    pub fn unanswered(&self) -> u64 {
        self.asked - self.answered
    }
}

/// A request with JSON in it.
pub fn request(out: &mut Vec<u8>, method: &str, path: &str, body: &str) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}
