//! `POST /mcp`: what HTTP has to say about a message before the library of the protocol reads it.
//!
//! The library refuses a client that does not list both forms of an answer. Here every client is taken for one that reads
//! both, and what is no message is answered by an error of JSON-RPC (`message`).

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::FutureExt;
use http_body_util::BodyExt;
use poem::http::{HeaderValue, Method, header};
use poem::{Body, IntoResponse, Request, Response};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::api::ApiContext;
use crate::api::problem::{Code, Problem};
use crate::config::McpProfile;

use super::call::Arrival;
use super::deferred::{Deferred, Frame, Place};
use super::event_page::LastPage;
use super::handler::Handler;
use super::message::{self, Refusal};
use super::progress::TakesStream;

/// Between two comments on a stream that answers a call.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What the library counts itself; the pipeline has counted before, with the operator's limit.
const BODY_BYTES_MAX: usize = usize::MAX;

/// An answer that takes longer is sent in pieces, without its length.
const WHOLE_WITHIN: Duration = Duration::from_millis(20);

const STREAM: &str = "text/event-stream";

/// The header that names the version of the protocol.
const VERSION: &str = "mcp-protocol-version";

pub struct McpEndpoint {
    server: StreamableHttpService<Handler, NeverSessionManager>,
    last_page: LastPage,
}

impl McpEndpoint {
    /// Ends every answer when `cut_off` is cancelled.
    pub fn new(profile: McpProfile, cut_off: CancellationToken) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            // The pipeline has checked Host and Origin.
            .disable_allowed_hosts()
            .with_sse_retry(None)
            .with_sse_keep_alive(Some(KEEPALIVE))
            .with_max_request_body_bytes(BODY_BYTES_MAX)
            .with_cancellation_token(cut_off);
        let sessions = Arc::new(NeverSessionManager::default());
        let server = StreamableHttpService::new(move || Ok(Handler { profile }), sessions, config);
        Self { server, last_page: LastPage::default() }
    }

    /// Answers a request whose body has been read. A call that waits is answered by a body that comes when the wait is over,
    /// since a waiting body holds less than a waiting request.
    pub async fn answer(&self, request: Request) -> Response {
        let (mut answer, call) = self.begin(request).await;
        if let Some((call, frame)) = call {
            let context = call.call.context.clone();
            let mut message = Box::pin(frame.filled(call));
            answer.set_body(match tokio::time::timeout(WHOLE_WITHIN, &mut message).await {
                Ok(message) => Body::from(message),
                Err(_) => {
                    // Counted as long as it waits: the request itself ends with the head of its answer.
                    let counted = context.metrics.in_flight();
                    let message = message.map(move |message| {
                        drop(counted);
                        Ok::<_, std::io::Error>(message)
                    });
                    Body::from_bytes_stream(message.into_stream())
                }
            });
        }
        answer
    }

    /// What the library answers, and the call that it has left to us, with the frame of its answer.
    async fn begin(&self, mut request: Request) -> (Response, Option<(Box<Deferred>, Frame)>) {
        if request.method() != Method::POST {
            let detail =
                "send each message with POST; this hub keeps no session and opens no stream with GET";
            let problem = Problem::new(Code::MethodNotAllowed, detail).with_allow("POST".to_owned());
            return (problem.into_response(), None);
        }
        let body = request.take_body().into_bytes().await.unwrap_or_default();
        let version = request.headers().get(VERSION).map(|value| value.to_str().unwrap_or("not a text"));
        if let Err(refusal) = message::check(&body, version) {
            return (refusal.response(), None);
        }
        let place = self.prepare(&mut request);
        request.set_body(body);
        let request: hyper::Request<_> = request.into();
        let response = self.server.handle(request).await;
        if response.status().is_client_error() && !response.headers().contains_key(header::CONTENT_TYPE) {
            return (Refusal::of_the_library().response(), None);
        }
        let never = |never: Infallible| -> std::io::Error { match never {} };
        let mut answer: Response = response.map(|body| body.map_err(never).boxed()).into();
        if answer.content_type().is_some_and(|kind| kind.starts_with(STREAM)) {
            return (answer, None);
        }
        // It is whole already. With its length it counts against the client's budget.
        let body = answer.take_body().into_bytes().await.unwrap_or_default();
        let call = place.take().and_then(|call| Some((call, Frame::of(&body)?)));
        answer.set_body(body);
        (answer, call)
    }

    /// Puts into the request what the library and the handler look for, and answers where the handler leaves its call.
    fn prepare(&self, request: &mut Request) -> Place {
        if let Some(context) = request.extensions().get::<Arc<ApiContext>>() {
            let arrival = Arrival(context.events.head().seq);
            request.extensions_mut().insert(arrival);
        }
        let (place, takes_stream) = (Place::default(), TakesStream(takes_stream(request)));
        request.extensions_mut().insert(takes_stream);
        request.extensions_mut().insert(self.last_page.clone());
        request.extensions_mut().insert(place.clone());
        let both = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(header::ACCEPT, both);
        place
    }
}

impl std::fmt::Debug for McpEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("McpEndpoint")
    }
}

/// Whether a client that listed what it takes has listed streams.
fn takes_stream(request: &Request) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(STREAM))
}
