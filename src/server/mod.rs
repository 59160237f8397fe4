//! Sockets: the hub's own accept loop around the poem endpoint.
//!
//! poem's server has no deadline for a request's head, spins when file descriptors run out, and
//! waits for open streams for ever at shutdown. It also boxes its connections, so that every body
//! is copied. hyper does better with the socket itself. This module does not know what the endpoint
//! answers. If an answer claims the socket on which it is sent, the claimant gets it
//! (`handoff.rs`).
//!
//! ```text
//! listener -> admission: an ordinary permit, or one of the reserve -> connection
//!   plain: preface -> http1 (it may give its socket away) or http2
//!   TLS:   handshake -> http1 or http2, as negotiated
//! each request -> dispatch -> the endpoint
//! ```
//!
//! # Which HTTP
//! On a plain port the hub peeks at the first bytes (`MSG_PEEK`). If they are not the preface of
//! HTTP/2, the protocol is HTTP/1.1, which gets the bare socket and may give it away. Over TLS and
//! HTTP/2 a stream stays the body of an answer, because other frames or records are sent between
//! its own.
//!
//! # Every wait has an end
//! A head and a body have 15 seconds each, a handshake 10, a connection without a request 15. An
//! HTTP/2 client can also close its windows and still answer pings. `activity.rs` detects bodies
//! that hyper no longer asks for more. After 50 seconds the hub resets such an answer, and the
//! others on its connection continue.
//!
//! # Permits
//! Each connection takes a file descriptor. So there are only as many permits as the limit on open
//! files allows, after the store, executions and readers of logs have theirs (`open_files.rs`).
//! When all permits are taken, the hub still accepts up to 32 more connections. It serves one
//! request on each, and only operations that show the hub's state. It closes one that is silent for
//! 100 ms when another client waits.
//!
//! # Rejected
//! - hyper-util's automatic choice of the protocol: it reads the first bytes, so the socket is no
//!   longer bare.
//! - A deadline of our own for each write: the kernel has one.
//! - Closing the oldest connections when no permit is left: these are the streams.
//! - HSTS: it binds a name with all of its ports, and the name is mostly `localhost`.
//! - poem's own server: see above.

mod accept;
mod activity;
mod admission;
mod connection;
mod dispatch;
mod frame_budget;
mod http1;
mod http2;
mod listener;
mod preface;
mod socket;
mod tls;

pub use listener::{ListenError, bind};
pub use tls::{Tls, TlsError};

use std::sync::Arc;
use std::time::Duration;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use tokio::net::TcpListener;

use crate::config::ServerConfig;
use crate::shutdown::Shutdown;

use admission::Admission;

/// What serving a connection needs.
#[derive(Clone)]
struct Serving {
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    tls: Option<Tls>,
    /// How long a head may take to arrive, and how long a connection may stay without a request.
    head_time_max: Duration,
    shutdown: Shutdown,
}

/// Serves `listeners` until the shutdown. Every connection is a tracked task.
pub fn serve(
    listeners: Vec<TcpListener>,
    endpoint: BoxEndpoint<'static, Response>,
    tls: Option<Tls>,
    config: &ServerConfig,
    shutdown: &Shutdown,
) {
    let admission = Arc::new(Admission::new(config));
    let serving = Serving {
        endpoint: Arc::new(endpoint),
        tls,
        head_time_max: Duration::from_secs(config.request_seconds_max),
        shutdown: shutdown.clone(),
    };
    if let Some(tls) = &serving.tls {
        shutdown.vitals.spawn(
            &shutdown.tasks,
            "the look at the certificate",
            tls.clone().follow(shutdown.soft.clone()),
        );
    }
    for listener in listeners {
        shutdown.vitals.spawn(
            &shutdown.tasks,
            "the accepting of connections",
            accept::run(listener, admission.clone(), serving.clone()),
        );
    }
}
