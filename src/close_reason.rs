//! Why a connection closed, as its socket saw it. The reason that the API reports for a stream is
//! in `events/disconnect_reason.rs`.
//!
//! A dropped stream does not learn why; only the socket knows. The code that reads and writes the
//! socket records the reason here, and each request carries this record.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The state of a connection, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It has not ended, as far as the socket shows.
    Open,
    /// The peer closed it.
    Closed,
    /// The peer, or something in the network, reset it.
    Reset,
    /// The peer did not read for too long.
    TimedOut,
}

/// The record of one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CloseNote(Arc<AtomicU8>);

impl CloseNote {
    pub fn close_reason(&self) -> CloseReason {
        const REASONS: [CloseReason; 4] =
            [CloseReason::Open, CloseReason::Closed, CloseReason::Reset, CloseReason::TimedOut];
        REASONS[usize::from(self.0.load(Relaxed))]
    }

    /// Only the first reason counts: later ones are its consequences.
    pub fn note(&self, close_reason: CloseReason) {
        let _ = self.0.compare_exchange(CloseReason::Open as u8, close_reason as u8, Relaxed, Relaxed);
    }

    pub fn note_error(&self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
            // For a silent peer, the kernel may report an unreachable route at the end.
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                self.note(CloseReason::TimedOut);
            }
            _ => self.note(CloseReason::Reset),
        }
    }
}
