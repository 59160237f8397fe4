//! Sockets: an accept loop of our own around the poem endpoint.
//!
//! poem's server has no deadline for a request's head, spins when file descriptors run out, waits for open
//! streams for ever at shutdown, and boxes its connections so that every body is copied. hyper does better when
//! it is given the socket itself. Nothing here knows what the endpoint answers; if an answer claims the socket it
//! was sent on, it gets it (`handoff.rs`).
//!
//! ```text
//! listener -> admission: a permit, or one of the reserve -> connection
//!   plain: preface -> http1 (its socket may be handed over) or http2
//!   TLS:   handshake -> http1 or http2, as was agreed on
//! each request -> dispatch -> the endpoint
//! ```
//!
//! # Which HTTP
//! On a plain port the first bytes are looked at and left where they are (`MSG_PEEK`). What does not begin like HTTP/2's
//! preface is HTTP/1.1, which gets the bare socket and may hand it over. Over TLS and HTTP/2 a stream stays the body of an
//! answer, because other frames or records go between its own.
//!
//! # Every wait has an end
//! A head and a body have 15 seconds each, a handshake 10, a connection without a request 15. A client of HTTP/2 can also
//! close its windows and answer pings. `activity.rs` sees the bodies that hyper has stopped asking. One that has waited for 50
//! seconds is reset, and the others on its connection go on.
//!
//! # Permits
//! Each connection takes a descriptor, so there are no more permits than the limit on open files allows, less what the store,
//! executions and readers of logs need (`open_files.rs`). When all are taken, `accept` goes on: up to 32 connections more are
//! served one request each, and only what shows how the hub stands. One that is silent for 100 ms is closed when another
//! waits.
//!
//! # Rejected
//! hyper-util's automatic choice of the protocol: it reads the first bytes, so the socket is no longer bare. A deadline of our
//! own for each write: the kernel has one. Closing the oldest connections when no permit is left: they are the streams. HSTS:
//! it binds a name with all of its ports, and the name is mostly `localhost`. poem's own server: no deadline for a head, and
//! it waits for open streams at the end.

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

/// What a connection is served with.
#[derive(Clone)]
struct Serving {
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    tls: Option<Tls>,
    /// Time for a head to arrive, and for a connection without a request to stay.
    head_time_max: Duration,
    shutdown: Shutdown,
}

/// Serves `listeners` until the shutdown is asked for. Every connection is a task of its own, tracked.
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
