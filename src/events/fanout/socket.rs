//! What is done to a bare socket. Nothing here waits.

use std::io;
use std::net::{Shutdown, TcpStream};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::close_reason::{CloseNote, CloseReason};

/// Bytes that are read and thrown away at once; a client of a stream has nothing to say.
const IGNORED_BYTES: usize = 4096;
/// Reads in a row, so that a client that says a lot has its turn and no more.
const READS_MAX: usize = 16;

/// Writes as much as the kernel takes: fewer bytes than given when it is full.
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

/// What there was to read.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing, any more.
    Silence,
    /// More than is read at once.
    More,
    /// The connection has ended; how is noted.
    End,
}

/// Reads what the client has sent, and forgets it.
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

/// Ends a connection in order. What the client has sent is taken first: with something unread the kernel would
/// reset the connection, and the client might never see the end of its answer.
pub fn close(socket: TcpStream) {
    ignore_input(&socket, &CloseNote::default());
    // A peer that has gone needs no goodbye.
    let _ = socket.shutdown(Shutdown::Write);
}
