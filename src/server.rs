//! Sockets: an accept loop of our own around the poem endpoint.
//!
//! poem's server has no deadline for a request's head, spins when file descriptors run out, waits for open
//! streams for ever at shutdown, and boxes its connections so that every body is copied. hyper does better when
//! it is given the socket itself; nothing here knows what the endpoint answers.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Response};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::config::ServerConfig;
use crate::peer::{self, Fate, Patience, Watched};
use crate::shutdown::Shutdown;

/// Where the hub listens when nothing else is said: `localhost` of both kinds.
pub const DEFAULT_PORT: u16 = 8000;
/// Connections that the kernel keeps for us while we are busy; a burst of reconnecting streams.
const BACKLOG: i32 = 4096;
/// Within a minute a peer that has gone without a word is gone here, too: the next keepalive of its stream, at most
/// 30 seconds away, goes unanswered for the usual time. One that does not read is let go a little earlier than that
/// minute, so that all who can come back find their place.
const PATIENCE: Patience = Patience { usual: Duration::from_secs(25), stalled: Duration::from_secs(50) };
/// Silence after which the kernel asks whether the peer is still there.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// What one connection may hold in memory for what it reads, and so the largest head of a request; and for what it
/// writes, before one more piece of a body.
const CONNECTION_BYTES_MAX: usize = 32 << 10;
/// What the kernel may hold for one client. Left to itself it grows to megabytes for one that does not read.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// What the kernel may hold beyond what the network takes at the moment. Little, so that a peer that does not read is
/// told from one that has gone by the write that has to wait, and holds little.
const UNSENT_BYTES: u32 = 16 << 10;
/// Pause after accepting failed, usually for want of file descriptors, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why an address could not be listened on, in words for the operator.
#[derive(Debug, Error)]
pub enum ListenError {
    #[error("{0} is in use, perhaps by another TaskHub; stop that, or choose another address with --listen")]
    InUse(SocketAddr),
    #[error("cannot listen on {address}")]
    Refused { address: SocketAddr, source: io::Error },
    #[error(
        "{0} can be reached from other machines, and everybody there could run scripts here; make a token with \
         `taskhub token create`, listen on a loopback address, or say --insecure-no-auth"
    )]
    Exposed(SocketAddr),
}

/// Binds every address of the configuration, or `localhost` by IPv4 and, where the machine has it, IPv6. One that
/// others can reach is refused unless the hub `asks` them for a token.
///
/// # Errors
/// [`ListenError`]
pub fn bind(config: &ServerConfig, asks: bool) -> Result<Vec<TcpListener>, ListenError> {
    if config.listen.is_empty() {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, DEFAULT_PORT));
        let mut listeners = vec![listen(v4)?];
        match listen(v6) {
            Ok(listener) => listeners.push(listener),
            Err(error @ ListenError::InUse(_)) => return Err(error),
            Err(error) => tracing::warn!(error = %error, "serving IPv4 only"),
        }
        return Ok(listeners);
    }
    for address in &config.listen {
        if is_loopback(address.ip()) || asks {
            continue;
        }
        if !config.insecure_no_auth {
            return Err(ListenError::Exposed(*address));
        }
        tracing::warn!(%address, "everybody who can reach this address can run scripts here");
    }
    config.listen.iter().copied().map(listen).collect()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of a hub that has just ended must not keep its successor from the port.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Refused { address, source },
    })
}

/// What a connection is served with.
#[derive(Clone)]
struct Serving {
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    head_time_max: Duration,
    places: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Serves `listeners` until the shutdown is asked for. Every connection is a task of its own, tracked.
pub fn serve(
    listeners: Vec<TcpListener>,
    endpoint: BoxEndpoint<'static, Response>,
    config: &ServerConfig,
    shutdown: &Shutdown,
) {
    let serving = Serving {
        endpoint: Arc::new(endpoint),
        head_time_max: Duration::from_secs(config.request_seconds_max),
        places: Arc::new(Semaphore::new(config.connections_max as usize)),
        shutdown: shutdown.clone(),
    };
    for listener in listeners {
        shutdown.tasks.spawn(accept(listener, serving.clone()));
    }
}

async fn accept(listener: TcpListener, serving: Serving) {
    loop {
        // Both are cancel safe.
        let accepted = tokio::select! {
            () = serving.shutdown.soft.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Beyond the cap one connection waits here and the others in the backlog. Both are cancel safe.
        let place = tokio::select! {
            () = serving.shutdown.soft.cancelled() => return,
            place = serving.places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let serving = serving.clone();
        let tasks = serving.shutdown.tasks.clone();
        tasks.spawn(async move {
            let _place = place;
            connection(socket, peer, serving).await;
        });
    }
}

async fn connection(socket: TcpStream, peer: SocketAddr, serving: Serving) {
    // A socket that refuses its options is dead already, and reading from it will say so.
    if let Err(error) = configure(&socket) {
        tracing::debug!(error = %error, "a connection ended before it began");
        return;
    }
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let endpoint = serving.endpoint;
    let fate = Fate::default();
    let socket = Watched::new(socket, fate.clone(), PATIENCE);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let endpoint = endpoint.clone();
        let (local, remote) = (LocalAddr(local.into()), RemoteAddr(peer.into()));
        request.extensions_mut().insert(fate.clone());
        async move {
            let request = poem::Request::from((request, local, remote, Scheme::HTTP));
            Ok::<hyper::Response<_>, Infallible>(endpoint.get_response(request).await.into())
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(serving.head_time_max)
            .max_buf_size(CONNECTION_BYTES_MAX)
            .serve_connection(TokioIo::new(socket), service)
    );
    let mut asked = false;
    loop {
        // Polling the connection again after either token is what they are for; all are cancel safe.
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = %error, "a connection broke off");
                }
                return;
            }
            () = serving.shutdown.soft.cancelled(), if !asked => {
                asked = true;
                connection.as_mut().graceful_shutdown();
            }
            () = serving.shutdown.hard.cancelled() => return,
        }
    }
}

fn configure(socket: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    let options = socket2::SockRef::from(socket);
    options.set_tcp_nodelay(true)?;
    options.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    options.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    options.set_tcp_keepalive(&keepalive)?;
    peer::set_timeout(socket, PATIENCE.usual)
}
