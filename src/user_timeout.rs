//! How long the hub waits for a peer that does not acknowledge data (TCP_USER_TIMEOUT).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// How long bytes may stay unacknowledged before the kernel gives up a connection.
///
/// For the kernel, a peer that vanished and a peer whose application does not read look alike:
/// neither takes bytes. The hub should notice the first one soon, and give the other one time to
/// come back. Only the second one has its buffers filled first. So a write that has to wait sets
/// the longer timeout.
///
/// The hub drops a silently vanished peer within a minute: the next keepalive of its stream, at
/// most 30 seconds away, stays unacknowledged for the usual time. It drops a peer that does not
/// read a little before that minute, so that all clients that return find a free permit.
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

    /// Makes the kernel give up a connection whose bytes stay unacknowledged for that long.
    ///
    /// # Errors
    /// When the socket is dead.
    pub fn set(self, socket: &impl AsFd) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(socket).set_tcp_user_timeout(Some(self.time()))?;
        Ok(())
    }
}
