//! Passes one request to the endpoint, with what its connection knows about it, and returns the
//! answer.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::service::Service;
use hyper::{Request, Response};
use poem::Endpoint;
use poem::endpoint::BoxEndpoint;
use poem::http::Version;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};

use crate::close_reason::CloseNote;
use crate::handoff::Offer;
use crate::quota::OnReserve;

use super::Serving;

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, io::Error>;
/// A future answer. Boxed, so that the connection can be taken apart.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What the requests of one connection share.
#[derive(Clone)]
pub(super) struct Dispatch {
    pub endpoint: Arc<BoxEndpoint<'static, poem::Response>>,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub scheme: Scheme,
    pub close_note: CloseNote,
    /// The connection's socket, if an answer may claim it.
    pub offer: Option<Offer>,
    /// For a connection in the reserve: whether a request has come.
    pub has_begun: Option<Arc<AtomicBool>>,
}

impl Dispatch {
    /// For a connection with these local and remote addresses.
    pub fn new((local, peer): (SocketAddr, SocketAddr), serving: &Serving) -> Self {
        let scheme = if serving.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let endpoint = serving.endpoint.clone();
        Self { endpoint, local, peer, scheme, close_note: CloseNote::default(), offer: None, has_begun: None }
    }

    pub fn is_on_reserve(&self) -> bool {
        self.has_begun.is_some()
    }

    /// Starts answering a request. `close_note` records how the request ends.
    pub fn answer(&self, mut request: Request<Incoming>, close_note: CloseNote) -> Answering {
        let (local, remote) = (LocalAddr(self.local.into()), RemoteAddr(self.peer.into()));
        request.extensions_mut().insert(close_note);
        if request.version() == Version::HTTP_2 && request.body().is_end_stream() {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // HTTP/1.0 has no chunks, so the socket cannot be given away.
        if let Some(offer) = &self.offer
            && request.version() == Version::HTTP_11
        {
            request.extensions_mut().insert(offer.clone());
        }
        if let Some(has_begun) = &self.has_begun {
            has_begun.store(true, Relaxed);
            request.extensions_mut().insert(OnReserve);
        }
        let (endpoint, scheme) = (self.endpoint.clone(), self.scheme.clone());
        Box::pin(async move {
            let request = poem::Request::from((request, local, remote, scheme));
            Ok(endpoint.get_response(request).await.into())
        })
    }
}

impl Service<Request<Incoming>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.answer(request, self.close_note.clone())
    }
}
