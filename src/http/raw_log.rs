//! The bytes of a log as an answer, whole or in part.

use futures_util::{StreamExt, TryStreamExt};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};

use crate::domain::token::Caller;
use crate::places::Place;

/// The bytes of a log.
#[derive(Debug)]
pub struct RawLog(Response);

impl RawLog {
    /// `response` holds the log's file open, for which its client has a place until it has read all of it.
    pub fn new(mut response: Response, place: Place<Caller>) -> Self {
        let bytes = response.take_body().into_bytes_stream();
        let held = bytes.map_err(std::io::Error::other).inspect(move |_| {
            let _ = &place;
        });
        response.set_body(Body::from_bytes_stream(held));
        Self(response)
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
