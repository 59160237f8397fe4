//! Serves HTTP/1 on a socket until it ends or an answer takes over the socket.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::handoff::{Bare, Offer};
use crate::quota::Permit;

use super::Serving;
use super::dispatch::Dispatch;
use super::socket::{Flushed, Watched};

/// Bytes that one connection may hold in memory for reading, which also limits the head of a
/// request. The same for writing, before one more piece of a body.
const CONNECTION_BYTES_MAX: usize = 32 << 10;

fn builder(serving: &Serving) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(serving.head_time_max)
        .max_buf_size(CONNECTION_BYTES_MAX);
    builder
}

/// Serves requests until an answer takes over the socket.
pub(super) async fn serve_and_give_away(
    socket: TcpStream,
    addresses: (SocketAddr, SocketAddr),
    permit: Permit<IpAddr>,
    serving: Serving,
) {
    let (offer, flushed) = (Offer::default(), Flushed::default());
    let dispatch = Dispatch { offer: Some(offer.clone()), ..Dispatch::new(addresses, &serving) };
    let close_note = dispatch.close_note.clone();
    let socket = Watched::new(socket, close_note.clone(), flushed.clone());
    let mut http = builder(&serving).serve_connection(TokioIo::new(socket), dispatch);
    let shutdown = serving.shutdown;
    let mut asked = false;
    let ended = loop {
        let progress = poll_fn(|cx| match http.poll_without_shutdown(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if flushed.is_so() && offer.is_claimed() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        // After either token the loop must poll the connection again. All branches are cancel safe.
        tokio::select! {
            ended = progress => break ended,
            () = shutdown.soft.cancelled(), if !asked => {
                asked = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            () = shutdown.hard.cancelled() => return,
        }
    };
    // Bytes that the client sent after its request are dropped.
    let mut socket = http.into_parts().io.into_inner();
    match ended {
        None => {
            if let (Some(claimant), Ok(socket)) = (offer.claimant(), socket.into_bare()) {
                claimant.take(Bare { socket, close_note, permit });
            }
        }
        // It fails when the peer has gone, which is fine.
        Some(Ok(())) => drop(socket.shutdown().await),
        Some(Err(error)) => tracing::debug!(error = %error, "a connection broke off"),
    }
}

/// Serves requests without giving the socket away; in the reserve only one request.
pub(super) async fn serve<S>(socket: S, dispatch: Dispatch, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = builder(&serving);
    builder.keep_alive(!dispatch.is_on_reserve());
    let mut http = pin!(builder.serve_connection(TokioIo::new(socket), dispatch));
    let shutdown = serving.shutdown;
    let mut asked = false;
    loop {
        // As above: all branches are cancel safe.
        tokio::select! {
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection broke off");
                }
                return;
            }
            () = shutdown.soft.cancelled(), if !asked => {
                asked = true;
                http.as_mut().graceful_shutdown();
            }
            () = shutdown.hard.cancelled() => return,
        }
    }
}
