//! How long a peer is waited for that does not acknowledge what it is sent (TCP_USER_TIMEOUT).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

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
pub enum UserTimeout {
    Usual,
    Stalled,
}

impl UserTimeout {
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
