//! How a connection gives its socket away: the meeting point of who serves HTTP and who serves streams.
//!
//! The server makes an [`Offer`] with each request whose answer could be written by anybody, which is one of plain
//! HTTP/1.1 with a body in chunks. The handler may claim it while the body is asked for its next bytes, and has
//! the body wait from then on. When the server sees the claim, and that everything before has left HTTP's buffers,
//! it takes HTTP apart and hands the bare socket over: from there on the claimant writes the chunks. Neither side
//! knows the other.

use std::fmt;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::close_reason::CloseNote;
use crate::quota::Permit;

/// A connection without HTTP, in the middle of an answer in chunks, at the end of one.
#[derive(Debug)]
pub struct Bare {
    /// Does not block.
    pub socket: TcpStream,
    /// How it ends.
    pub close_note: CloseNote,
    /// Its permit of the limit on connections, held as long as it is open.
    pub permit: Permit<IpAddr>,
}

/// Somebody who goes on with an answer. Dropped when the connection ends before it could be handed over.
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

    /// Who has claimed it.
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
