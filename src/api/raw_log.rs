//! Answers with the bytes of a log, all or a part.

use futures_util::StreamExt;
use poem::http::{StatusCode, header};
use poem::web::headers::LastModified;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use tokio_util::sync::CancellationToken;

use crate::domain::token::Caller;
use crate::executor::logs::OpenLog;
use crate::quota::Permit;

use super::byte_range::Wanted;

/// The bytes of a log.
#[derive(Debug)]
pub struct RawLog(Response);

impl RawLog {
    /// All of `log`, or the wanted part. The client holds its `permit` until it has read that. The
    /// answer breaks off when the hub no longer accepts the client (`gone`).
    pub fn new(
        log: OpenLog,
        wanted: Wanted,
        tag: &str,
        permit: Permit<Caller>,
        gone: CancellationToken,
    ) -> Self {
        let (size, modified) = (log.size, log.modified);
        let (first, length, range) = match wanted {
            Wanted::Part(first, last) => {
                (first, last - first + 1, Some(format!("bytes {first}-{last}/{size}")))
            }
            Wanted::Whole | Wanted::Beyond => (0, size, None),
        };
        let bytes = log.read(first, length).take_until(gone.cancelled_owned()).inspect(move |_| {
            let _ = &permit;
        });
        let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut response = Response::builder()
            .status(status)
            .content_type("text/plain; charset=utf-8")
            .header(header::CONTENT_LENGTH, length)
            .header(header::ETAG, tag)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CACHE_CONTROL, "no-cache")
            .typed_header(LastModified::from(modified));
        if let Some(range) = range {
            response = response.header(header::CONTENT_RANGE, range);
        }
        Self(response.body(Body::from_bytes_stream(bytes)))
    }

    /// The answer to a client that already has this log.
    pub fn unchanged(log: &OpenLog, tag: &str) -> Self {
        let response = Response::builder()
            .status(StatusCode::NOT_MODIFIED)
            .header(header::ETAG, tag)
            .header(header::CACHE_CONTROL, "no-cache")
            .typed_header(LastModified::from(log.modified));
        Self(response.finish())
    }
}

impl IntoResponse for RawLog {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for RawLog {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str, required| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required,
            deprecated: false,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
        };
        let etag = || header("ETAG", "Names these very bytes; send it in `If-None-Match`.", true);
        let ranges = || header("ACCEPT-RANGES", "`bytes`: ranges can be asked for.", true);
        let part = || header("CONTENT-RANGE", "Which bytes of how many, as in `bytes 0-99/4096`.", true);
        let reply = |status, description, headers| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "text/plain",
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
            }],
            headers,
        };
        let unchanged = "The log is still what `If-None-Match` names.";
        MetaResponses {
            responses: vec![
                reply(200, "The whole log so far.", vec![etag(), ranges()]),
                reply(206, "The part of it that `Range` asked for.", vec![etag(), ranges(), part()]),
                MetaResponse { content: vec![], ..reply(304, unchanged, vec![]) },
            ],
        }
    }

    fn register(_: &mut Registry) {}
}
