//! The answer that does not end: a subscriber as the body of a response.

use futures_util::stream;
use poem::http::{HeaderValue, header};
use poem::{Body as PoemBody, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use crate::events::Subscriber;
use crate::events::frame::Format;

use super::schema::Event;

/// When to ask again for a stream that could not be had.
const UNAVAILABLE_MS: u64 = 5000;

/// A stream, or what stands in for one.
#[derive(Debug)]
pub struct StreamReply(Response);

impl IntoResponse for StreamReply {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for StreamReply {
    fn meta() -> MetaResponses {
        let content = |content_type| MetaMediaType { content_type, schema: Event::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "An endless stream. As `text/event-stream` each message is `id: …` and \
                              `data: …`, where the data is one `Event` as a line of JSON; as \
                              `application/x-ndjson` each line is one `Event`.",
                status: Some(200),
                status_range: None,
                content: vec![content("text/event-stream"), content("application/x-ndjson")],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        Event::register(registry);
    }
}

impl StreamReply {
    fn new(format: Format, body: PoemBody) -> Self {
        let mut response = Response::builder().content_type(format.content_type()).body(body);
        let headers = response.headers_mut();
        // Nothing between here and the client may hold back, change or keep a stream.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Self(response)
    }

    pub fn of(format: Format, subscriber: Subscriber) -> Self {
        let chunks = stream::unfold(subscriber, async |mut subscriber| {
            let bytes = subscriber.next().await?;
            Some((bytes.map_err(std::io::Error::other), subscriber))
        });
        Self::new(format, PoemBody::from_bytes_stream(chunks))
    }

    /// Stands in for a stream while the log cannot be read: a 5xx would close a browser's EventSource for good.
    pub fn unavailable(format: Format) -> Self {
        Self::new(format, PoemBody::from_bytes(format.retry(UNAVAILABLE_MS)))
    }
}
