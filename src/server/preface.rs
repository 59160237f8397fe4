//! Detects the HTTP version of a plain connection without consuming a byte: HTTP/1.1 needs the bare
//! socket, because it may give it away.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The first bytes of an HTTP/2 client. RFC 9113, section 3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

/// Waits until the version is clear.
///
/// # Errors
/// When the socket is dead.
///
/// # Cancel safety
/// Nothing is consumed.
pub(super) async fn spoken(socket: &TcpStream) -> io::Result<Spoken> {
    loop {
        let ready = socket.ready(Interest::READABLE).await?;
        // As long as the version is not clear, report the socket as not readable: then the loop
        // waits for the next byte.
        let peeked = socket.try_io(Interest::READABLE, || {
            let mut first = [0; PREFACE.len()];
            let (_, count) = recv(socket, &mut first[..], RecvFlags::PEEK)?;
            match protocol_of(&first[..count]) {
                // The client closed without sending a byte; HTTP/1 handles that.
                None if count == 0 => Ok(Spoken::Http1),
                None => Err(io::ErrorKind::WouldBlock.into()),
                Some(spoken) => Ok(spoken),
            }
        });
        match peeked {
            // No more will come.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && ready.is_read_closed() => {
                return Ok(Spoken::Http1);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            peeked => return peeked,
        }
    }
}

/// The protocol of the first bytes; `None` when more are needed.
fn protocol_of(first: &[u8]) -> Option<Spoken> {
    if first.len() >= PREFACE.len() && first.starts_with(PREFACE) {
        return Some(Spoken::Http2);
    }
    (!PREFACE.starts_with(first)).then_some(Spoken::Http1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_tells() {
        for length in 0..PREFACE.len() {
            assert_eq!(protocol_of(&PREFACE[..length]), None, "{length}");
            let mut other = PREFACE[..=length].to_vec();
            other[length] ^= 1;
            assert_eq!(protocol_of(&other), Some(Spoken::Http1), "{length}");
        }
        assert_eq!(protocol_of(PREFACE), Some(Spoken::Http2));
        assert_eq!(protocol_of(b"POST / HTTP/1.1\r\n"), Some(Spoken::Http1));
    }
}
