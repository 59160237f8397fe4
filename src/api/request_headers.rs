//! Reads the headers of requests as RFC 9110 defines them.

use crate::domain::id::LeaseId;
use crate::service::IdempotencyKey;

use super::problem::{Code, Problem};

/// All lines of a header as one list. The framework ignores every line after the first, and every
/// line that is not ASCII. An ignored condition could lose an update, and an ignored cursor could
/// lose events without notice.
pub fn header_list(request: &poem::Request, name: &str) -> Option<String> {
    let lines = request.headers().get_all(name).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// # Errors
/// A [`Problem`] when the header is no valid key.
pub fn idempotency_key(request: &poem::Request) -> Result<Option<IdempotencyKey>, Problem> {
    let name = "Idempotency-Key";
    let key = header_list(request, name).map(|text| text.parse()).transpose();
    key.map_err(|words: String| {
        Problem::new(Code::InvalidParameter, format!("{name}: {words}")).with_field(name)
    })
}

/// The lease that a worker reports under.
///
/// # Errors
/// A [`Problem`] when it is none: a report that was meant to be under a lease is not taken without one.
pub fn lease(request: &poem::Request) -> Result<Option<LeaseId>, Problem> {
    let name = "Taskhub-Lease";
    let lease = header_list(request, name).map(|text| text.parse()).transpose();
    lease.map_err(|words: String| {
        Problem::new(Code::InvalidParameter, format!("{name}: {words}")).with_field(name)
    })
}
