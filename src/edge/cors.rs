//! What pages of other origins may do: nothing, unless the operator has named their origin
//! (`--allow-origin`).
//!
//! Origins are compared as a whole, without patterns and without `*`. A page sends its token in a
//! header, never in a cookie, so credentials are not allowed. An answer that depends on the origin
//! has a `Vary` header, even when the request has no origin. Rejected: poem's middleware, which
//! allows every origin when its list is empty.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

use serde_json::{Map, Value};

use crate::config::Origin;

use crate::api::spec;

/// How many seconds a browser may cache a preflight. Short, so that an operator's change takes
/// effect soon.
const MAX_AGE_SECONDS: &str = "600";
/// Request headers that the hub reads and that are not parameters in the specification.
const REQUEST_HEADERS: [&str; 8] = [
    "authorization",
    "cache-control",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
];
/// Answer headers that the specification does not list.
const ANSWER_HEADERS: [&str; 4] = ["accept-encoding", "allow", "content-range", "retry-after"];
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// The headers that pages may send, and those that they may read: the lists above and all of the
/// specification.
struct Lists {
    request: String,
    answer: String,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let (mut request, mut answer) = (
        BTreeSet::from(REQUEST_HEADERS.map(str::to_owned)),
        BTreeSet::from(ANSWER_HEADERS.map(str::to_owned)),
    );
    each_object(&spec::DOCUMENT, &mut |object| {
        if object.get("in").is_some_and(|place| place == "header")
            && let Some(name) = object.get("name").and_then(Value::as_str)
        {
            request.insert(name.to_ascii_lowercase());
        }
        if let Some(Value::Object(headers)) = object.get("headers") {
            answer.extend(headers.keys().map(|name| name.to_ascii_lowercase()));
        }
    });
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    Lists { request: list(request), answer: list(answer) }
});

fn each_object(value: &Value, look: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            look(object);
            object.values().for_each(|value| each_object(value, look));
        }
        Value::Array(values) => values.iter().for_each(|value| each_object(value, look)),
        _ => {}
    }
}

/// The origin of a request, if it is one of `origins`.
pub fn allowed<'o>(headers: &HeaderMap, origins: &'o [Origin]) -> Option<&'o Origin> {
    let mut shown = headers.get_all(header::ORIGIN).iter();
    let (only, None) = (shown.next()?, shown.next()) else {
        return None;
    };
    origins.iter().find(|origin| origin.as_str().as_bytes() == only.as_bytes())
}

/// Whether the request is a CORS preflight.
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
        (header::ACCESS_CONTROL_ALLOW_HEADERS, &LISTS.request),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Allows a page of this origin to read the answer.
pub fn open(response: &mut Response, origin: &Origin) {
    if let Ok(value) = HeaderValue::from_str(origin.as_str()) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(&LISTS.answer));
    }
}

/// Adds the `Vary` header: the answer depends on the origin.
pub fn vary(response: &mut Response, is_preflight: bool) {
    let names = match is_preflight {
        true => "origin, access-control-request-method, access-control-request-headers",
        false => "origin",
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static(names));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_send_and_read_what_the_specification_knows() {
        let (request, answer): (Vec<_>, Vec<_>) =
            (LISTS.request.split(", ").collect(), LISTS.answer.split(", ").collect());
        for name in [
            "authorization",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "if-range",
            "range",
            "last-event-id",
        ] {
            assert!(request.contains(&name), "{name}: {request:?}");
        }
        for name in [
            "accept-ranges",
            "allow",
            "content-range",
            "etag",
            "link",
            "location",
            "retry-after",
            "taskhub-cursor",
        ] {
            assert!(answer.contains(&name), "{name}: {answer:?}");
        }
    }
}
