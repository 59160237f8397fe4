//! Reads the bodies of requests within limits of size and time, so that no handler gets an endless
//! one.

use std::time::Duration;

use futures_util::StreamExt;
use poem::Request;
use poem::http::header;

use crate::domain::token::Caller;

use super::byte_budget::{Budget, Held};
use crate::api::json_body::{is_json, is_ndjson};
use crate::api::problem::{Code, Problem};

/// The hub reads on up to this many times the limit before it closes the connection, so that the
/// client can read why it was refused.
const DRAIN_FACTOR: u64 = 16;

/// The limits of bodies.
#[derive(Debug)]
pub struct BodyLimits {
    /// Set by [`ServerConfig::body_bytes_max`](crate::config::ServerConfig::body_bytes_max).
    pub bytes_max: u32,
    /// Bytes of bodies that may be in memory at once: for all clients, and for each.
    pub bodies: Budget<Caller>,
    pub time_max: Duration,
}

/// Reads the whole body into memory.
///
/// # Errors
/// A [`Problem`] when the body is too large, too slow, or not JSON.
pub async fn read_body(request: &mut Request, caller: Caller, limits: &BodyLimits) -> Result<(), Problem> {
    if is_bodiless(request) {
        return Ok(());
    }
    refuse_encoded(request)?;
    let declared = declared_length(request);
    // A client that waits for `100 Continue`, or that announces far too much, gets the refusal
    // before it sends the body.
    let waits = request.headers().contains_key(header::EXPECT);
    if declared
        .is_some_and(|length| length > u64::from(limits.bytes_max) * if waits { 1 } else { DRAIN_FACTOR })
    {
        return Err(too_large(limits));
    }
    let seconds = limits.time_max.as_secs();
    let late = || Problem::new(Code::RequestTimeout, format!("the body did not arrive within {seconds} s"));
    let body = request.take_body();
    let reading = tokio::time::timeout(limits.time_max, collect(body, limits.bodies.of(caller), limits));
    let bytes = reading.await.map_err(|_| late())??;
    // Whether lines of JSON are taken is the operation's matter. No page of another site can send either without asking.
    let is_taken = |kind: &str| is_json(kind) || is_ndjson(kind);
    if !bytes.is_empty() && !request.content_type().is_some_and(is_taken) {
        return Err(not_json());
    }
    request.set_body(bytes);
    Ok(())
}

/// Drops the unread body of a request to a path that takes no body. The hub does not wait for it.
///
/// # Errors
/// A [`Problem`] when its content type is not JSON.
pub fn pass_over_body(request: &mut Request) -> Result<(), Problem> {
    if !is_bodiless(request) && !request.content_type().is_none_or(is_json) {
        return Err(not_json());
    }
    drop(request.take_body());
    Ok(())
}

/// Refuses compressed bodies. The answer says so, see RFC 9110, section 12.5.3.
fn refuse_encoded(request: &Request) -> Result<(), Problem> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => {
            let detail = "the body is compressed; send it as it is, without `Content-Encoding`";
            let problem = Problem::new(Code::UnsupportedMediaType, detail);
            Err(problem.with_header(header::ACCEPT_ENCODING, "identity".to_owned()))
        }
    }
}

fn not_json() -> Problem {
    let detail = "send the body as JSON, with the header `Content-Type: application/json`";
    Problem::new(Code::UnsupportedMediaType, detail)
}

fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &BodyLimits) -> Problem {
    let detail = format!("the body is larger than {} bytes; send less", limits.bytes_max);
    Problem::new(Code::BodyTooLarge, detail)
}

async fn collect(body: poem::Body, mut held: Held<Caller>, limits: &BodyLimits) -> Result<Vec<u8>, Problem> {
    let bytes_max = u64::from(limits.bytes_max);
    let mut chunks = body.into_bytes_stream();
    let mut bytes = Vec::new();
    // A body holds only what has arrived of it: announcing a large body costs other clients
    // nothing.
    let mut seen = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::InvalidJson, "the body broke off; send it again"))?;
        seen += chunk.len() as u64;
        if seen <= bytes_max {
            held.add(chunk.len() as u32).await;
            bytes.extend_from_slice(&chunk);
        } else if seen > bytes_max * DRAIN_FACTOR {
            break;
        }
    }
    if seen > bytes_max { Err(too_large(limits)) } else { Ok(bytes) }
}

/// Whether the head says that no body follows. HTTP/1 says it by naming no length (RFC 9112,
/// section 6.3). HTTP/2 says it by a length of 0, which the server adds when a request ends with
/// its head.
fn is_bodiless(request: &Request) -> bool {
    let headers = request.headers();
    !headers.contains_key(header::TRANSFER_ENCODING)
        && match headers.get(header::CONTENT_LENGTH) {
            Some(length) => length.as_bytes() == b"0",
            None => request.version() < poem::http::Version::HTTP_2,
        }
}
