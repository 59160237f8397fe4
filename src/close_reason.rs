//! Why a connection closed, as its socket saw it. What a stream is said to have ended for is in `events/disconnect_reason.rs`.
//!
//! A stream that is dropped learns nothing of why; the socket knows. The code that reads and writes it notes the reason here, and
//! the note goes along with each request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How a connection stands, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It has not ended, as far as the socket knows.
    Open,
    /// The peer closed it.
    Closed,
    /// The peer, or something on the way, broke it off.
    Reset,
    /// The peer took nothing for too long.
    TimedOut,
}

/// The note on one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CloseNote(Arc<AtomicU8>);

impl CloseNote {
    pub fn close_reason(&self) -> CloseReason {
        const REASONS: [CloseReason; 4] =
            [CloseReason::Open, CloseReason::Closed, CloseReason::Reset, CloseReason::TimedOut];
        REASONS[usize::from(self.0.load(Relaxed))]
    }

    /// The first word counts: what comes after an end is its echo.
    pub fn note(&self, close_reason: CloseReason) {
        let _ = self.0.compare_exchange(CloseReason::Open as u8, close_reason as u8, Relaxed, Relaxed);
    }

    pub fn note_error(&self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
            // A route that has gone is what the kernel reports last, if it was told, of a peer that is silent.
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                self.note(CloseReason::TimedOut);
            }
            _ => self.note(CloseReason::Reset),
        }
    }
}
