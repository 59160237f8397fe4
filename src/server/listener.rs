//! Opens the listening sockets: decides which addresses, and explains why one failed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::config::{Host, ServerConfig};

use super::socket;

/// Connections that the kernel queues while the hub is busy, such as a burst of reconnecting
/// streams.
const BACKLOG: i32 = 4096;

/// Why the hub cannot listen on an address, in words for the operator.
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

/// Binds every address of the configuration, or `localhost` by IPv4 and, where the machine has it,
/// IPv6. Refuses an address that other machines can reach, unless the hub `asks` for tokens.
///
/// # Errors
/// [`ListenError`]
pub fn bind(config: &ServerConfig, asks: bool) -> Result<Vec<TcpListener>, ListenError> {
    let given = match config.host {
        _ if !config.listen.is_empty() => config.listen.clone(),
        Host::Address(ip) => vec![SocketAddr::new(ip, config.port)],
        Host::Localhost => Vec::new(),
    };
    if given.is_empty() {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, config.port));
        let mut listeners = vec![listen(v4)?];
        match listen(v6) {
            Ok(listener) => listeners.push(listener),
            Err(error @ ListenError::InUse(_)) => return Err(error),
            Err(error) => tracing::warn!(error = %error, "serving IPv4 only"),
        }
        return Ok(listeners);
    }
    for address in &given {
        if is_loopback(address.ip()) || asks {
            continue;
        }
        if !config.insecure_no_auth {
            return Err(ListenError::Exposed(*address));
        }
        tracing::warn!(%address, "everybody who can reach this address can run scripts here");
    }
    given.into_iter().map(listen).collect()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of a hub that has just ended must not keep the next one from the port.
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
