//! Resynchronises a client that retention has overtaken: sends a `reset`, and a snapshot if the
//! client wants one. A task does this by a subscriber, as for the body of an answer. Then it
//! returns the client to its thread.

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::close_reason::{CloseNote, CloseReason};
use crate::events::frame::{self, LAST_CHUNK};
use crate::events::subscriber::Subscriber;
use crate::handoff::Bare;
use crate::user_timeout::UserTimeout;

use super::command_queue::PendingClient;
use super::member::Member;
use super::socket;

/// Not cancel safe: when the future is dropped, the stream ends where it is.
pub async fn resync(connection: Bare, mut subscriber: Subscriber, pending: PendingClient) {
    let Bare { socket, close_note, permit } = connection;
    // This fails only for a dead socket.
    let Ok(socket) = TcpStream::from_std(socket) else {
        return;
    };
    let revoked = subscriber.gone();
    loop {
        // The branch that loses is not needed any more.
        let next = tokio::select! {
            next = subscriber.next() => next,
            () = gone(&socket, &close_note) => return,
        };
        let (bytes, is_last) = match next {
            Some(Ok(bytes)) => (frame::chunk(&bytes).freeze(), false),
            None => (Bytes::from_static(LAST_CHUNK), true),
            // The stream ends within a message. The missing last chunk tells the client.
            Some(Err(_)) => return,
        };
        let written = tokio::select! {
            written = write(&socket, &bytes) => written,
            () = gone(&socket, &close_note) => return,
            () = revoked.cancelled(), if !is_last => return subscriber.revoke(),
        };
        if let Err(error) = written {
            close_note.note_error(&error);
            return;
        }
        if !is_last && !subscriber.follows() {
            continue;
        }
        let Ok(socket) = socket.into_std() else {
            return;
        };
        if is_last {
            return socket::close(socket);
        }
        let (handover, cursor) = subscriber.into_handover();
        return pending.keep(Member::new(Bare { socket, close_note, permit }, handover, cursor), false);
    }
}

/// Writes everything. A client that does not read gets the longer timeout.
async fn write(socket: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    let mut user_timeout = UserTimeout::Usual;
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if user_timeout == UserTimeout::Usual {
                    user_timeout = UserTimeout::Stalled;
                    user_timeout.set(socket)?;
                }
                socket.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    if user_timeout == UserTimeout::Stalled {
        UserTimeout::Usual.set(socket)?;
    }
    Ok(())
}

/// Waits until the client has gone.
async fn gone(socket: &TcpStream, close_note: &CloseNote) {
    let mut ignored = [0; 1024];
    loop {
        let read = match socket.readable().await {
            Ok(()) => socket.try_read(&mut ignored),
            Err(error) => Err(error),
        };
        match read {
            Ok(0) => return close_note.note(CloseReason::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return close_note.note_error(&error),
        }
    }
}
