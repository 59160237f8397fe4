//! A socket that records how it ends, and gives a peer that has stopped reading more time.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::close_reason::{CloseNote, CloseReason};
use crate::user_timeout::UserTimeout;

/// The silence after which the kernel probes the peer.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The kernel's send buffer for one client. Without this setting it grows to megabytes for a client
/// that does not read.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// How many unsent bytes the kernel may hold. Few, so that a client that does not read holds little
/// memory. Also, a write to it has to wait, which tells it from a peer that is gone.
const UNSENT_BYTES: u32 = 16 << 10;

/// Whether everything that hyper has written has left its buffers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Flushed(Arc<AtomicBool>);

impl Flushed {
    pub fn is_so(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[derive(Debug)]
pub struct Watched {
    socket: TcpStream,
    close_note: CloseNote,
    user_timeout: UserTimeout,
    flushed: Flushed,
}

impl Watched {
    pub fn new(socket: TcpStream, close_note: CloseNote, flushed: Flushed) -> Self {
        Self { socket, close_note, user_timeout: UserTimeout::Usual, flushed }
    }

    /// The bare socket.
    ///
    /// # Errors
    /// When it is dead.
    pub fn into_bare(self) -> io::Result<std::net::TcpStream> {
        if self.user_timeout != UserTimeout::Usual {
            UserTimeout::Usual.set(&self.socket)?;
        }
        self.socket.into_std()
    }

    fn seen<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.close_note.note_error(error))
    }

    fn written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.flushed.0.store(false, Relaxed);
        let user_timeout = if result.is_pending() { UserTimeout::Stalled } else { UserTimeout::Usual };
        if user_timeout != self.user_timeout {
            self.user_timeout = user_timeout;
            // This fails only for a dead socket, and the next write reports that.
            let _ = user_timeout.set(&self.socket);
        }
        result.map(|result| self.seen(result))
    }
}

/// Prepares a socket. Connections inherit the settings of a listening socket.
///
/// # Errors
/// When the socket is dead.
pub fn configure(socket: &impl AsFd) -> io::Result<()> {
    UserTimeout::Usual.set(socket)?;
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_keepalive(&keepalive)
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
            self.close_note.note(CloseReason::Closed);
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
        // hyper calls this once its own buffers are empty.
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.flushed.0.store(true, Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
