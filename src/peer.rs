//! How the other end of a connection went, as its socket saw it.
//!
//! A stream that is dropped learns nothing of why; the socket knows. The server notes it here, and hands the note
//! along with each request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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
    fn note(&self, ending: Ending) {
        let _ = self.0.compare_exchange(Ending::Open as u8, ending as u8, Relaxed, Relaxed);
    }

    fn note_error(&self, error: &io::Error) {
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

/// A socket that notes how it ends, and is patient with a peer that has stopped reading.
///
/// To the kernel, a peer that vanished and one whose application does not read are alike: bytes are not taken.
/// The first should be noticed soon, and the other be given time to come back. Only one of them has had its
/// buffers filled first, so a write that has to wait buys time.
#[derive(Debug)]
pub struct Watched {
    socket: TcpStream,
    fate: Fate,
    patience: Patience,
    stalled: bool,
}

/// How long bytes may go unacknowledged before the kernel gives a connection up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub usual: Duration,
    pub stalled: Duration,
}

impl Watched {
    pub fn new(socket: TcpStream, fate: Fate, patience: Patience) -> Self {
        Self { socket, fate, patience, stalled: false }
    }

    fn seen<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.fate.note_error(error))
    }

    fn written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_pending() != self.stalled {
            self.stalled = result.is_pending();
            let time = if self.stalled { self.patience.stalled } else { self.patience.usual };
            // A socket that refuses is dead already, and the next write will say so.
            let _ = set_timeout(&self.socket, time);
        }
        result.map(|result| self.seen(result))
    }
}

/// Has the kernel give up a connection whose bytes were not acknowledged for `time`.
///
/// # Errors
/// When the socket is dead.
pub fn set_timeout(socket: &TcpStream, time: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_user_timeout(Some(time))?;
    Ok(())
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (filled, room) = (buf.filled().len(), buf.remaining());
        let result = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        if result.is_ok() && room > 0 && buf.filled().len() == filled {
            self.fate.note(Ending::Closed);
        }
        Poll::Ready(self.seen(result))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
