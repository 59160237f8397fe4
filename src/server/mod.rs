//! Sockets: an accept loop of our own around the poem endpoint.
//!
//! poem's server has no deadline for a request's head, spins when file descriptors run out, waits for open
//! streams for ever at shutdown, and boxes its connections so that every body is copied. hyper does better when
//! it is given the socket itself. Nothing here knows what the endpoint answers; if an answer claims the socket it
//! was sent on, it gets it (`handoff.rs`).
//!
//! ```text
//! listener -> admission: a place, or one of the reserve -> connection
//!   plain: preface -> http1 (its socket may be handed over) or http2
//!   TLS:   handshake -> http1 or http2, as was agreed on
//! each request -> exchange -> the endpoint
//! ```

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
