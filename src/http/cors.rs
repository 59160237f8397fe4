//! What pages of other origins may do: nothing, unless the operator has named theirs (`--allow-origin`).
//!
//! Origins are compared as a whole; there are no patterns and no `*`. A page shows a token in a header, never a
//! cookie, so credentials are not allowed. What depends on the origin says so (`Vary`), also to those who sent none.
//! Not poem's middleware: it allows every origin when it is given none.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

use crate::config::Origin;

/// How long a browser may remember what it was allowed, in seconds: an operator's change is to count soon.
const MAX_AGE_SECONDS: &str = "600";
/// What the operations read.
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, if-match, last-event-id";
/// What they answer beyond what a page may read anyway.
const ANSWER_HEADERS: &str = "allow, etag, idempotency-replayed, link, location, retry-after, taskhub-cursor, \
                              taskhub-next-page, www-authenticate";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Which origin a request comes from, if it is one of these.
pub fn allowed<'o>(headers: &HeaderMap, origins: &'o [Origin]) -> Option<&'o Origin> {
    let mut shown = headers.get_all(header::ORIGIN).iter();
    let (only, None) = (shown.next()?, shown.next()) else {
        return None;
    };
    origins.iter().find(|origin| origin.as_str().as_bytes() == only.as_bytes())
}

/// Whether a browser asks for a page whether it may ask.
pub fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of an allowed origin.
pub fn preflight() -> Response {
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets a page of this origin read the answer.
pub fn open(response: &mut Response, origin: &Origin) {
    if let Ok(value) = HeaderValue::from_str(origin.as_str()) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_HEADERS));
    }
}

/// Says that the answer depends on who asks.
pub fn vary(response: &mut Response, is_preflight: bool) {
    let names = match is_preflight {
        true => "origin, access-control-request-method, access-control-request-headers",
        false => "origin",
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static(names));
}
