//! Sockets: an accept loop of our own around the poem endpoint.
//!
//! poem's server has no deadline for a request's head, spins when file descriptors run out, waits for open
//! streams for ever at shutdown, and boxes its connections so that every body is copied. hyper does better when
//! it is given the socket itself. Nothing here knows what the endpoint answers; if an answer claims the socket it
//! was sent on, it gets it (`handoff.rs`).

mod connection;
mod socket;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::ServerConfig;
use crate::shutdown::Shutdown;

/// Where the hub listens when nothing else is said: `localhost` of both kinds.
pub const DEFAULT_PORT: u16 = 8000;
/// Connections that the kernel keeps for us while we are busy; a burst of reconnecting streams.
const BACKLOG: i32 = 4096;
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
        socket::configure(&socket)?;
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
    // The same for every connection, unless it is all addresses of the machine.
    let listening = listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
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
        let Some(local) = listening.or_else(|| socket.local_addr().ok()) else {
            continue;
        };
        // Beyond the cap one connection waits here and the others in the backlog. Both are cancel safe.
        let place = tokio::select! {
            () = serving.shutdown.soft.cancelled() => return,
            place = serving.places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let serving = serving.clone();
        let tasks = serving.shutdown.tasks.clone();
        tasks.spawn(connection::serve(socket, (local, peer), place, serving));
    }
}
