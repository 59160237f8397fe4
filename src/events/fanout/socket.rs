//! Operations on a bare socket. None of them blocks.

use std::io;
use std::net::{Shutdown, TcpStream};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::close_reason::{CloseNote, CloseReason};

/// Bytes that one call reads and discards. A client of a stream has nothing to say.
const IGNORED_BYTES: usize = 4096;
/// Reads in a row, so that a client that sends a lot does not hold up the thread.
const READS_MAX: usize = 16;

/// Writes as much as the kernel takes: fewer bytes than given when its buffer is full.
///
/// # Errors
/// When the connection has ended.
pub fn write(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => return Ok(sent),
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How much there was to read.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// Everything was read.
    Silence,
    /// There may be more than one call reads.
    More,
    /// The connection has ended; its reason is recorded.
    End,
}

/// Reads what the client has sent, and discards it.
pub fn ignore_input(socket: &TcpStream, close_note: &CloseNote) -> Input {
    let mut bytes = [0; IGNORED_BYTES];
    for _ in 0..READS_MAX {
        match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                close_note.note(CloseReason::Closed);
                return Input::End;
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Input::Silence,
            Err(error) => {
                close_note.note_error(&error.into());
                return Input::End;
            }
        }
    }
    Input::More
}

/// Ends a connection in order. First reads what the client has sent: with unread bytes the kernel
/// would reset the connection, and the client might never see the end of its answer.
pub fn close(socket: TcpStream) {
    ignore_input(&socket, &CloseNote::default());
    // It fails when the peer has gone, which is fine.
    let _ = socket.shutdown(Shutdown::Write);
}
