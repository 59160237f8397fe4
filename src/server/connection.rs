//! One connection: finds out what it speaks and has that spoken, until it ends.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use poem::http::uri::Scheme;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::handoff::Offer;
use crate::peer::Fate;

use super::admission::{Reserved, Seat};
use super::exchange::Exchange;
use super::preface::{self, Spoken};
use super::socket::{Flushed, Watched};
use super::{Serving, http1, http2};

/// Time for a TLS handshake, to its end. A browser on a bad line needs two seconds.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) async fn serve(
    socket: TcpStream,
    (local, peer): (SocketAddr, SocketAddr),
    seat: Seat,
    serving: Serving,
) {
    let scheme = if serving.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let endpoint = serving.endpoint.clone();
    let exchange =
        Exchange { endpoint, local, peer, scheme, fate: Fate::default(), offer: None, has_begun: None };
    match seat {
        Seat::Reserve(reserved) => on_reserve(socket, exchange, reserved, serving).await,
        Seat::Place(place) if serving.tls.is_some() => {
            secure(socket, exchange, serving).await;
            drop(place);
        }
        Seat::Place(place) => match plain(&socket, &serving).await {
            Some(Spoken::Http1) => {
                let offer = Offer::default();
                let exchange = Exchange { offer: Some(offer.clone()), ..exchange };
                http1::serve_and_give_away(socket, exchange, offer, place, serving).await;
            }
            Some(Spoken::Http2) => {
                let socket = Watched::new(socket, exchange.fate.clone(), Flushed::default());
                boxed(http2::serve(socket, exchange, serving)).await;
                drop(place);
            }
            None => {}
        },
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
fn any(socket: TcpStream, exchange: Exchange, serving: Serving) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    if serving.tls.is_some() {
        return secure(socket, exchange, serving);
    }
    boxed(async move {
        let spoken = plain(&socket, &serving).await;
        let socket = Watched::new(socket, exchange.fate.clone(), Flushed::default());
        match spoken {
            Some(Spoken::Http1) => http1::serve(socket, exchange, serving).await,
            Some(Spoken::Http2) => http2::serve(socket, exchange, serving).await,
            None => {}
        }
    })
}

/// What is spoken without TLS; `None` when it does not become clear in time.
async fn plain(socket: &TcpStream, serving: &Serving) -> Option<Spoken> {
    // All are cancel safe.
    tokio::select! {
        spoken = timeout(serving.head_time_max, preface::spoken(socket)) => spoken.ok()?.ok(),
        () = serving.shutdown.soft.cancelled() => None,
    }
}

fn secure(
    socket: TcpStream,
    exchange: Exchange,
    serving: Serving,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    boxed(async move {
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
    })
}

/// Kept apart from the task of a connection, which is mostly one of plain HTTP/1.1 and shall be no larger than that.
fn boxed<'a>(future: impl Future<Output = ()> + Send + 'a) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(future)
}
