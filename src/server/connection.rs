//! One connection: finds out what it speaks and has that spoken, until it ends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::places::Place;

use super::admission::{Reserved, Seat};
use super::exchange::Exchange;
use super::preface::{self, Spoken};
use super::socket::{Flushed, Watched};
use super::{Serving, http1, http2};

/// Time for a TLS handshake, to its end. A browser on a bad line needs two seconds.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves a connection. Whether it is used or not, its future has room for whatever it may become; most are plain
/// HTTP/1.1, so everything else is in a box of its own.
pub(super) async fn serve(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    seat: Seat,
    serving: Serving,
) {
    let place = match seat {
        Seat::Place(place) if serving.tls.is_none() => place,
        seat => {
            let unusual = boxed(unusual(socket, addresses, seat, serving));
            return unusual.await;
        }
    };
    let Some(spoken) = heard(&socket, &serving).await else {
        return;
    };
    let spoken = match spoken {
        Spoken::Http1 => return http1::serve_and_give_away(socket, addresses, place, serving).await,
        Spoken::Http2 => boxed(http2_on_place(socket, addresses, place, serving)),
    };
    spoken.await;
}

async fn http2_on_place(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    _place: Place<IpAddr>,
    serving: Serving,
) {
    let exchange = Exchange::new(addresses, &serving);
    let socket = Watched::new(socket, exchange.fate.clone(), Flushed::default());
    http2::serve(socket, exchange, serving).await;
}

/// A connection over TLS, or on a place of the reserve.
async fn unusual(socket: TcpStream, addresses: (SocketAddr, SocketAddr), seat: Seat, serving: Serving) {
    let exchange = Exchange::new(addresses, &serving);
    match seat {
        Seat::Reserve(reserved) => on_reserve(socket, exchange, reserved, serving).await,
        Seat::Place(place) => {
            any(socket, exchange, serving).await;
            drop(place);
        }
    }
}

/// One request at most, and soon over.
async fn on_reserve(socket: TcpStream, exchange: Exchange, reserved: Reserved, serving: Serving) {
    let has_begun = Arc::new(AtomicBool::default());
    let exchange = Exchange { has_begun: Some(has_begun.clone()), ..exchange };
    // Whichever comes first ends the connection.
    tokio::select! {
        () = any(socket, exchange, serving) => {}
        () = reserved.over(|| has_begun.load(Relaxed)) => {}
    }
}

/// Whatever is spoken, without giving the socket away.
async fn any(socket: TcpStream, exchange: Exchange, serving: Serving) {
    if serving.tls.is_some() {
        return secure(socket, exchange, serving).await;
    }
    let spoken = heard(&socket, &serving).await;
    let socket = Watched::new(socket, exchange.fate.clone(), Flushed::default());
    match spoken {
        Some(Spoken::Http1) => http1::serve(socket, exchange, serving).await,
        Some(Spoken::Http2) => http2::serve(socket, exchange, serving).await,
        None => {}
    }
}

/// What is spoken without TLS; `None` when it does not become clear in time.
async fn heard(socket: &TcpStream, serving: &Serving) -> Option<Spoken> {
    // All are cancel safe.
    tokio::select! {
        spoken = timeout(serving.head_time_max, preface::spoken(socket)) => spoken.ok()?.ok(),
        () = serving.shutdown.soft.cancelled() => None,
    }
}

async fn secure(socket: TcpStream, exchange: Exchange, serving: Serving) {
    let Some(tls) = &serving.tls else {
        return;
    };
    let socket = Watched::new(socket, exchange.fate.clone(), Flushed::default());
    // Given up, a handshake is of no use to anybody.
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_TIME_MAX.min(serving.head_time_max), tls.accept(socket)) => shaken,
        () = serving.shutdown.soft.cancelled() => return,
    };
    match shaken {
        Ok(Ok(socket)) if socket.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2::serve(socket, exchange, serving).await;
        }
        Ok(Ok(socket)) => http1::serve(socket, exchange, serving).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

fn boxed(future: impl Future<Output = ()> + Send + 'static) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(future)
}
