//! One connection: detects its protocol and serves it until it ends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::quota::Permit;

use super::admission::{Admitted, Reserved};
use super::dispatch::Dispatch;
use super::preface::{self, Spoken};
use super::socket::{Flushed, Watched};
use super::{Serving, http1, http2};

/// The time limit of a TLS handshake. A browser on a bad line needs two seconds.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves a connection. A future takes memory for its largest case, even when that does not happen.
/// Most connections are plain HTTP/1.1, so every other case is boxed.
pub(super) async fn serve(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    admitted: Admitted,
    serving: Serving,
) {
    let permit = match admitted {
        Admitted::Permit(permit) if serving.tls.is_none() => permit,
        admitted => {
            let unusual = boxed(unusual(socket, addresses, admitted, serving));
            return unusual.await;
        }
    };
    let Some(spoken) = heard(&socket, &serving).await else {
        return;
    };
    let spoken = match spoken {
        Spoken::Http1 => return http1::serve_and_give_away(socket, addresses, permit, serving).await,
        Spoken::Http2 => boxed(http2_on_place(socket, addresses, permit, serving)),
    };
    spoken.await;
}

async fn http2_on_place(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    _place: Permit<IpAddr>,
    serving: Serving,
) {
    let dispatch = Dispatch::new(addresses, &serving);
    let socket = Watched::new(socket, dispatch.close_note.clone(), Flushed::default());
    http2::serve(socket, dispatch, serving).await;
}

/// A connection over TLS, or on a permit of the reserve.
async fn unusual(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    admitted: Admitted,
    serving: Serving,
) {
    let dispatch = Dispatch::new(addresses, &serving);
    match admitted {
        Admitted::Reserve(reserved) => on_reserve(socket, dispatch, reserved, serving).await,
        Admitted::Permit(permit) => {
            any(socket, dispatch, serving).await;
            drop(permit);
        }
    }
}

/// A connection in the reserve: one request at most, for a short time.
async fn on_reserve(socket: TcpStream, dispatch: Dispatch, reserved: Reserved, serving: Serving) {
    let has_begun = Arc::new(AtomicBool::default());
    let dispatch = Dispatch { has_begun: Some(has_begun.clone()), ..dispatch };
    // Whichever comes first ends the connection.
    tokio::select! {
        () = any(socket, dispatch, serving) => {}
        () = reserved.over(|| has_begun.load(Relaxed)) => {}
    }
}

/// Serves any protocol, and never gives the socket away.
async fn any(socket: TcpStream, dispatch: Dispatch, serving: Serving) {
    if serving.tls.is_some() {
        return secure(socket, dispatch, serving).await;
    }
    let spoken = heard(&socket, &serving).await;
    let socket = Watched::new(socket, dispatch.close_note.clone(), Flushed::default());
    match spoken {
        Some(Spoken::Http1) => http1::serve(socket, dispatch, serving).await,
        Some(Spoken::Http2) => http2::serve(socket, dispatch, serving).await,
        None => {}
    }
}

/// The protocol without TLS; `None` when it is not clear in time.
async fn heard(socket: &TcpStream, serving: &Serving) -> Option<Spoken> {
    // All are cancel safe.
    tokio::select! {
        spoken = timeout(serving.head_time_max, preface::spoken(socket)) => spoken.ok()?.ok(),
        () = serving.shutdown.soft.cancelled() => None,
    }
}

async fn secure(socket: TcpStream, dispatch: Dispatch, serving: Serving) {
    let Some(tls) = &serving.tls else {
        return;
    };
    let socket = Watched::new(socket, dispatch.close_note.clone(), Flushed::default());
    // A handshake that is given up has nothing to save.
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_TIME_MAX.min(serving.head_time_max), tls.accept(socket)) => shaken,
        () = serving.shutdown.soft.cancelled() => return,
    };
    match shaken {
        Ok(Ok(socket)) if socket.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2::serve(socket, dispatch, serving).await;
        }
        Ok(Ok(socket)) => http1::serve(socket, dispatch, serving).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

fn boxed(future: impl Future<Output = ()> + Send + 'static) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(future)
}
