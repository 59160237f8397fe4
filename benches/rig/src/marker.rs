//! What is published, and how it is known again: each event carries its number and the time it was sent, in a
//! place that a reader finds whatever a server puts around it.

use rustix::time::{ClockId, clock_gettime};

/// Begins a marker; nothing else in an event contains it.
const SIGN: u8 = b'~';
const SEQ_DIGITS: usize = 10;
const TIME_DIGITS: usize = 19;
/// Sign, number, `T`, time.
pub const MARKER_BYTES: usize = 1 + SEQ_DIGITS + 1 + TIME_DIGITS;

/// An event's number and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    pub seq: u64,
    pub sent_ns: u64,
}

impl Marker {
    /// The first one in a line, and what follows it.
    pub fn find(line: &[u8]) -> Option<(Self, &[u8])> {
        let at = memchr::memchr(SIGN, line)?;
        let (marker, rest) = line[at..].split_at_checked(MARKER_BYTES)?;
        let (seq, time) = marker[1..].split_at(SEQ_DIGITS);
        Some((Self { seq: number(seq), sent_ns: number(&time[1..]) }, rest))
    }

    pub fn text(self) -> String {
        format!("~{:0SEQ_DIGITS$}T{:0TIME_DIGITS$}", self.seq, self.sent_ns)
    }

    /// An event as all servers but the hub are given it. As long as one of the hub's, on the wire.
    pub fn envelope(self) -> String {
        format!(
            r#"{{"id":"7d0e1c52-{:012}","event":"task_updated","data":{{"task_id":"b7a1d7f0-3c55-4a0e-9a43-5f0f2f6f9c01","title":"Refactor the storage layer and add some tests for it","status":"inprogress","priority":"high","assignee":"agent-7","tags":["{}"],"version":2}},"timestamp":"2026-08-05T12:34:56.789Z"}}"#,
            self.seq,
            self.text(),
        )
    }
}

/// Of nothing but digits; what is none makes a number that fits nowhere.
fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// The time of the whole machine, which processes can compare.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
