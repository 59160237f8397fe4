//! The other end of a connection: how it went, as the socket saw it, and how long it is waited for.
//!
//! A stream that is dropped learns nothing of why; the socket knows. Whoever reads and writes it notes it here, and
//! the note goes along with each request.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

/// How a connection stands, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
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
pub struct Fate(Arc<AtomicU8>);

impl Fate {
    pub fn ending(&self) -> Ending {
        const ENDINGS: [Ending; 4] = [Ending::Open, Ending::Closed, Ending::Reset, Ending::TimedOut];
        ENDINGS[usize::from(self.0.load(Relaxed))]
    }

    /// The first word counts: what comes after an end is its echo.
    pub fn note(&self, ending: Ending) {
        let _ = self.0.compare_exchange(Ending::Open as u8, ending as u8, Relaxed, Relaxed);
    }

    pub fn note_error(&self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
            // A route that has gone is what the kernel reports last, if it was told, of a peer that is silent.
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                self.note(Ending::TimedOut);
            }
            _ => self.note(Ending::Reset),
        }
    }
}

/// How long bytes may go unacknowledged before the kernel gives a connection up.
///
/// To the kernel, a peer that vanished and one whose application does not read are alike: bytes are not taken.
/// The first should be noticed soon, and the other be given time to come back. Only one of them has had its
/// buffers filled first, so a write that has to wait buys time.
///
/// Within a minute a peer that has gone without a word is gone here, too: the next keepalive of its stream, at most
/// 30 seconds away, goes unanswered for the usual time. One that does not read is let go a little earlier than that
/// minute, so that all who can come back find their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    Usual,
    Stalled,
}

impl Patience {
    pub fn time(self) -> Duration {
        match self {
            Self::Usual => Duration::from_secs(25),
            Self::Stalled => Duration::from_secs(50),
        }
    }

    /// Has the kernel give up a connection whose bytes were not acknowledged for that long.
    ///
    /// # Errors
    /// When the socket is dead.
    pub fn set(self, socket: &impl AsFd) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(socket).set_tcp_user_timeout(Some(self.time()))?;
        Ok(())
    }
}
