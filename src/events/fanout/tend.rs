//! A client that needs more than the log for a while: it was overtaken by retention, is told so, and may have to be
//! sent a snapshot. A task of its own does for it what the body of an answer does for others, and gives it back.

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::events::frame::{self, LAST_CHUNK};
use crate::events::subscriber::Subscriber;
use crate::handoff::Bare;
use crate::peer::{Ending, Fate, Patience};

use super::mailbox::Promise;
use super::member::Member;
use super::socket;

/// Not cancel safe for the stream, which then ends where it is.
pub async fn tend(connection: Bare, mut subscriber: Subscriber, promise: Promise) {
    let Bare { socket, fate, place } = connection;
    // A socket that cannot be used is dead.
    let Ok(socket) = TcpStream::from_std(socket) else {
        return;
    };
    let revoked = subscriber.gone();
    loop {
        // Whichever comes first, the other one is not needed any more.
        let next = tokio::select! {
            next = subscriber.next() => next,
            () = gone(&socket, &fate) => return,
        };
        let (bytes, is_last) = match next {
            Some(Ok(bytes)) => (frame::chunk(&bytes).freeze(), false),
            None => (Bytes::from_static(LAST_CHUNK), true),
            // In the middle of a message: the missing end says so.
            Some(Err(_)) => return,
        };
        let written = tokio::select! {
            written = write(&socket, &bytes) => written,
            () = gone(&socket, &fate) => return,
            () = revoked.cancelled(), if !is_last => return subscriber.revoke(),
        };
        if let Err(error) = written {
            fate.note_error(&error);
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
        let (wish, cursor) = subscriber.into_wish();
        return promise.keep(Member::new(Bare { socket, fate, place }, wish, cursor), false);
    }
}

/// Writes everything, patient with a client that does not read.
async fn write(socket: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    let mut patience = Patience::Usual;
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if patience == Patience::Usual {
                    patience = Patience::Stalled;
                    patience.set(socket)?;
                }
                socket.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    if patience == Patience::Stalled {
        Patience::Usual.set(socket)?;
    }
    Ok(())
}

/// Waits until the client has gone.
async fn gone(socket: &TcpStream, fate: &Fate) {
    let mut ignored = [0; 1024];
    loop {
        let read = match socket.readable().await {
            Ok(()) => socket.try_read(&mut ignored),
            Err(error) => Err(error),
        };
        match read {
            Ok(0) => return fate.note(Ending::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return fate.note_error(&error),
        }
    }
}
