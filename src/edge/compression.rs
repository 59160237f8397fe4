//! Compresses answers of operations with gzip, for clients that take it.
//!
//! Only an answer in JSON that is whole and larger than 1 KiB. A stream never: it would wait in the
//! compressor. Pages are compressed when they are built.
//!
//! The entity tag stays that of the whole answer, because clients send it back in `If-Match`, where
//! a weak one would never match. No answer has both a secret and a text that an attacker chose, so
//! its length tells nothing (BREACH).
//!
//! Rejected: the middleware of poem. It compresses every body, also streams, and brings four
//! compressors, one of them in C.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Body, IntoResponse, Response};

use crate::api::problem::Problem;
use crate::web;

/// A smaller answer fits into one packet anyway.
const BYTES_MIN: u64 = 1 << 10;
/// Up to this size compressing takes less than moving the work to another thread would.
const HERE_BYTES_MAX: usize = 32 << 10;

/// Whether the client takes gzip.
pub fn is_taken(headers: &HeaderMap) -> bool {
    web::takes_coding(headers, "gzip")
}

/// Compresses `answer` if that is worth it, and the client takes gzip.
pub async fn compress(mut answer: Response, is_taken: bool) -> Response {
    if !is_compressible(answer.headers()) {
        return answer;
    }
    let body: BoxBody<Bytes, std::io::Error> = answer.take_body().into();
    let is_large = body.size_hint().exact().is_some_and(|bytes| bytes > BYTES_MIN);
    if is_large {
        answer.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if !is_large || !is_taken {
        answer.set_body(Body::from(body));
        return answer;
    }
    let whole = match body.collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) => {
            tracing::error!(error = %error, "an answer cannot be read");
            return Problem::internal().into_response();
        }
    };
    let small = if whole.len() <= HERE_BYTES_MAX {
        gzip(&whole)
    } else {
        match tokio::task::spawn_blocking(move || gzip(&whole)).await {
            Ok(small) => small,
            // The hub ends.
            Err(_) => return Problem::internal().into_response(),
        }
    };
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer.set_body(small);
    answer
}

fn is_compressible(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.starts_with("application/json") || kind.starts_with("application/problem+json");
    is_json && !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE)
}

fn gzip(whole: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 4), Compression::fast());
    let done = encoder.write_all(whole).and_then(|()| encoder.finish());
    done.expect("memory takes every byte")
}
