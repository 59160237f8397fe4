//! Answers that stay open: the body is a stream of events or of a log.

use std::convert::Infallible;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::http::{HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};

use crate::domain::token::{Actor, Caller};
use crate::events::EventStream;
use crate::events::frame::Format;
use crate::executor::LogStream;
use crate::handoff::Offer;
use crate::quota::{Permit, Quota};

use super::event_schema::{Event, LogEvent, Message};
use super::problem::{Code, Problem};

/// After how many milliseconds a client asks again for a stream that was unavailable.
const UNAVAILABLE_MS: u64 = 5000;

/// A stream of messages of the kind `M`, or the short answer in its place.
#[derive(Debug)]
pub struct StreamReply<M>(Response, PhantomData<M>);

impl<M: Send> IntoResponse for StreamReply<M> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<M: Message> ApiResponse for StreamReply<M> {
    fn meta() -> MetaResponses {
        let content = |content_type| MetaMediaType { content_type, schema: M::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: M::STREAM,
                status: Some(200),
                status_range: None,
                content: vec![content("text/event-stream"), content("application/x-ndjson")],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        M::register(registry);
    }
}

impl<M> StreamReply<M> {
    fn new(format: Format, body: Body) -> Self {
        let mut response = Response::builder().content_type(format.content_type()).body(body);
        let headers = response.headers_mut();
        // No proxy on the way may delay, change or store a stream.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Self(response, PhantomData)
    }

    fn of_chunks<E>(format: Format, chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self::new(format, Body::from_bytes_stream(chunks.map(|bytes| bytes.map_err(std::io::Error::other))))
    }

    /// The answer when no stream is available now. Server-sent events get an empty stream with a
    /// retry time, because a 5xx would close a browser's EventSource for good.
    ///
    /// # Errors
    /// A [`Problem`] for lines of JSON, which have no field for a retry time.
    pub fn unavailable(format: Format) -> Result<Self, Problem> {
        match format {
            Format::Sse | Format::NamedSse => {
                Ok(Self::new(format, Body::from_bytes(format.retry(UNAVAILABLE_MS))))
            }
            Format::Ndjson => Err(Problem::new(Code::Unavailable, "the stream cannot be had now; try again")),
        }
    }
}

impl StreamReply<Event> {
    /// `offer` is the client's socket, when another thread may write to it. That thread closes the
    /// socket at the end of the stream, so the head says it: no client may use the connection again.
    pub fn of(format: Format, stream: EventStream, offer: Option<Offer>) -> Self {
        let is_last = offer.is_some();
        let mut reply = Self::of_chunks(format, stream.into_body(offer));
        if is_last {
            reply.0.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}

impl StreamReply<LogEvent> {
    pub fn of(format: Format, log: LogStream) -> Self {
        let next = async |mut log: LogStream| Some((Ok::<_, Infallible>(log.next().await?), log));
        Self::of_chunks(format, stream::unfold(log, next))
    }
}

/// A permit for one more stream of this client.
///
/// # Errors
/// A [`Problem`] when the client has as many streams as it may.
pub fn permit(places: &Quota<Caller>, actor: &Actor) -> Result<Permit<Caller>, Problem> {
    places.take(Some(actor.caller())).map_err(|_| {
        let detail =
            "this client has as many streams open as it may; close one, or ask the operator for more";
        Problem::new(Code::TooManyStreams, detail)
    })
}
