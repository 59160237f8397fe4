//! The accept loop of one listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::admission::Admission;
use super::{Serving, connection};

/// The pause after a failed accept, usually for lack of file descriptors, so that the loop does not
/// spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(listener: TcpListener, admission: Arc<Admission>, serving: Serving) {
    // The same address for every connection, unless the listener accepts on all addresses of the
    // machine.
    let listening = listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
    loop {
        // Both are cancel safe.
        let accepted = tokio::select! {
            () = serving.shutdown.soft.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_of_connection(&error) {
                    tracing::debug!(error = %error, "no connection can be accepted for now");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let Some(local) = listening.or_else(|| socket.local_addr().ok()) else {
            continue;
        };
        // While there is no permit, one connection waits here and the others in the backlog. Both
        // are cancel safe.
        let admitted = tokio::select! {
            () = serving.shutdown.soft.cancelled() => return,
            admitted = admission.admit(peer.ip()) => admitted,
        };
        let Some(admitted) = admitted else {
            continue;
        };
        let serving = serving.clone();
        let tasks = serving.shutdown.tasks.clone();
        tasks.spawn(connection::serve(socket, (local, peer), admitted, serving));
    }
}

/// Whether only one connection failed, because it was gone before the accept. Then the loop tries
/// the next one at once.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
