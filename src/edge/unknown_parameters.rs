//! Refuses query parameters and headers that an operation does not take.

use std::borrow::Cow;

use poem::Request;
use poem::http::Uri;
use poem::http::uri::PathAndQuery;

use super::legacy_query;
use super::operation::{Operation, Parameter};
use crate::api::problem::{Code, Problem};

/// Names that clients of other systems use for a parameter of our streams.
const OTHER_NAMES: [(&str, &str); 1] = [("lastEventId", "last_event_id")];

/// Refuses parameters that the operation would ignore. A misspelt filter would otherwise return
/// everything, and of a parameter given twice one value would win silently.
///
/// A stream ignores unknown parameters instead: a browser never retries a stream that was refused,
/// and libraries add their own parameters.
///
/// # Errors
/// A [`Problem`] that names the parameter.
pub fn check(request: &mut Request, operation: Option<&Operation>) -> Result<(), Problem> {
    let Some(operation) = operation else {
        return Ok(());
    };
    if request.headers().contains_key("idempotency-key") && !operation.takes_key {
        let name = "Idempotency-Key";
        let detail =
            format!("{name}: this operation takes none, since it makes nothing new; leave the header out");
        return Err(Problem::new(Code::InvalidParameter, detail).with_field(name));
    }
    let query = request.uri().query().unwrap_or_default();
    if query.is_empty() {
        return Ok(());
    }
    if !is_utf8(query) {
        return Err(Problem::new(Code::InvalidParameter, "the query is not UTF-8; encode it as UTF-8"));
    }
    let given: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    if operation.is_stream {
        let known = known_of_stream(operation, given);
        replace_query(request, &known);
        return Ok(());
    }
    for (at, (name, _)) in given.iter().enumerate() {
        if legacy_query::is_known(request.uri().path(), name) {
            continue;
        }
        let Some(parameter) = operation.parameter(name) else {
            return Err(unknown(name, operation));
        };
        if !parameter.is_list && given[..at].iter().any(|(before, _)| before == name) {
            let detail = format!("{name}: is given more than once; send it once");
            return Err(Problem::new(Code::InvalidParameter, detail).with_field(name.clone()));
        }
    }
    Ok(())
}

fn unknown(name: &str, operation: &Operation) -> Problem {
    let name: String = name.chars().take(64).collect();
    let known: Vec<_> = operation.query.iter().map(|parameter| parameter.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let detail = format!("{name}: is not a parameter of this operation; it has {known}");
    Problem::new(Code::InvalidParameter, detail).with_field(name)
}

/// The parameters that a stream takes. If a single value is given several times, the last one
/// counts: clients append it when they reconnect.
fn known_of_stream(operation: &Operation, given: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut known: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        let own = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(&*name, |(_, own)| *own);
        let Some(Parameter { name, is_list }) = operation.parameter(own) else {
            continue;
        };
        if !is_list {
            known.retain(|(before, _)| before != name);
        }
        known.push(((*name).to_owned(), value));
    }
    known
}

fn replace_query(request: &mut Request, pairs: &[(String, String)]) {
    let query = serde_urlencoded::to_string(pairs).expect("pairs of strings are always a query");
    let mut parts = request.uri().clone().into_parts();
    let path = request.uri().path();
    parts.path_and_query = PathAndQuery::try_from(format!("{path}?{query}")).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// Whether a query is UTF-8 after decoding.
fn is_utf8(query: &str) -> bool {
    std::str::from_utf8(&decoded(query)).is_ok()
}

/// Every `%XX` as its byte.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let encoded = bytes[at..].strip_prefix(b"%").and_then(|rest| rest.get(..2));
        let byte = encoded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use poem::http::Method;

    use super::super::operation;
    use super::*;

    fn checked(path_and_query: &str) -> Result<String, String> {
        let mut request = Request::builder().uri(path_and_query.parse().expect("a URI")).finish();
        let template = operation::at(request.uri().path()).expect("a template");
        let operation = template.operation(&Method::GET).expect("an operation");
        match check(&mut request, Some(operation)) {
            Ok(()) => Ok(request.uri().query().unwrap_or_default().to_owned()),
            Err(problem) => Err(format!("{problem:?}")),
        }
    }

    #[test]
    fn a_list_is_refused_what_it_would_pass_over() {
        assert!(checked("/api/tasks?status=todo&status=done&limit=1").is_ok());
        for query in ["limit=1&limit=3", "assigne=bob", "assignee=%E4", "q=%ff", "lastEventId=1-1"] {
            assert!(checked(&format!("/api/tasks?{query}")).is_err(), "{query}");
        }
    }

    #[test]
    fn a_stream_is_opened_by_what_is_known() {
        for (query, meant) in [
            ("lastEventId=a-1", "last_event_id=a-1"),
            ("stream=messages&named=true", "named=true"),
            ("last_event_id=a-1&last_event_id=a-2", "last_event_id=a-2"),
            ("last_event_id=a-1&lastEventId=a-2", "last_event_id=a-2"),
            ("status=todo&status=done&_=123", "status=todo&status=done"),
        ] {
            assert_eq!(checked(&format!("/api/events/stream?{query}")).as_deref(), Ok(meant));
        }
        assert!(checked("/api/events/stream?assignee=%E4").is_err());
    }
}
