//! How a connection gives its socket away: the interface between the HTTP server and the streams.
//!
//! The server puts an [`Offer`] into each request of plain HTTP/1.1, where the answer has a body in
//! chunks that any code can write. The handler may claim the offer while hyper polls the body for
//! more bytes, and then the body waits. The server sees the claim, and sees that everything written
//! has left hyper's buffers. Then it takes the connection apart and hands over the bare socket.
//! From there on the claimant writes the chunks. Neither side knows the other.

use std::fmt;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::close_reason::CloseNote;
use crate::quota::Permit;

/// A connection without HTTP, within an answer in chunks, after a whole chunk.
#[derive(Debug)]
pub struct Bare {
    /// Non-blocking.
    pub socket: TcpStream,
    /// Records how the connection ends.
    pub close_note: CloseNote,
    /// Its permit of the limit on connections, held as long as it is open.
    pub permit: Permit<IpAddr>,
}

/// Continues an answer. It is dropped when the connection ends before the handover.
pub trait Claimant: Send {
    fn take(self: Box<Self>, connection: Bare);
}

/// The socket of one connection. Clones share it.
#[derive(Clone, Default)]
pub struct Offer(Arc<Mutex<Option<Box<dyn Claimant>>>>);

impl Offer {
    pub fn claim(&self, claimant: Box<dyn Claimant>) {
        *self.slot() = Some(claimant);
    }

    pub fn is_claimed(&self) -> bool {
        self.slot().is_some()
    }

    /// Takes the claimant, if there is one.
    pub fn claimant(&self) -> Option<Box<dyn Claimant>> {
        self.slot().take()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Box<dyn Claimant>>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offer").field(&self.is_claimed()).finish()
    }
}
