//! One connection: HTTP/1 over its socket, until it ends or an answer takes the socket over.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::Endpoint;
use poem::http::Version;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::handoff::{Bare, Offer};
use crate::peer::Fate;

use super::Serving;
use super::socket::{Flushed, Watched};

/// What one connection may hold in memory for what it reads, and so the largest head of a request; and for what it
/// writes, before one more piece of a body.
const CONNECTION_BYTES_MAX: usize = 32 << 10;

pub(super) async fn serve(
    socket: TcpStream,
    (local, peer): (SocketAddr, SocketAddr),
    place: OwnedSemaphorePermit,
    serving: Serving,
) {
    let Serving { endpoint, head_time_max, shutdown, .. } = serving;
    let (fate, offer, flushed) = (Fate::default(), Offer::default(), Flushed::default());
    let (fate_of_request, offer_of_request) = (fate.clone(), offer.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let endpoint = endpoint.clone();
        let (local, remote) = (LocalAddr(local.into()), RemoteAddr(peer.into()));
        request.extensions_mut().insert(fate_of_request.clone());
        // An older client gets its body without chunks.
        if request.version() == Version::HTTP_11 {
            request.extensions_mut().insert(offer_of_request.clone());
        }
        // Boxed, so that HTTP can be taken apart again.
        Box::pin(async move {
            let request = poem::Request::from((request, local, remote, Scheme::HTTP));
            Ok::<hyper::Response<_>, Infallible>(endpoint.get_response(request).await.into())
        })
    });
    let socket = Watched::new(socket, fate.clone(), flushed.clone());
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time_max)
        .max_buf_size(CONNECTION_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut asked = false;
    let ended = loop {
        let progress = poll_fn(|cx| match http.poll_without_shutdown(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if flushed.is_so() && offer.is_claimed() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        // Polling the connection again after either token is what they are for; all are cancel safe.
        tokio::select! {
            ended = progress => break ended,
            () = shutdown.soft.cancelled(), if !asked => {
                asked = true;
                std::pin::Pin::new(&mut http).graceful_shutdown();
            }
            () = shutdown.hard.cancelled() => return,
        }
    };
    // What the client has sent beyond its request is nobody's business.
    let mut socket = http.into_parts().io.into_inner();
    match ended {
        None => {
            if let (Some(claimant), Ok(socket)) = (offer.claimant(), socket.into_bare()) {
                claimant.take(Bare { socket, fate, place });
            }
        }
        // A peer that has gone by now needs no farewell.
        Some(Ok(())) => drop(socket.shutdown().await),
        Some(Err(error)) => tracing::debug!(error = %error, "a connection broke off"),
    }
}
