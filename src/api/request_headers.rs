//! Headers of requests, read as RFC 9110 has them.

use crate::service::IdempotencyKey;

use super::problem::{Code, Problem};

/// All lines of a header as one list. The framework overlooks every line after the first, and any that is not
/// ASCII; a condition or a cursor that is overlooked would be a lost update or a silent gap.
pub fn header_list(request: &poem::Request, name: &str) -> Option<String> {
    let lines = request.headers().get_all(name).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// # Errors
/// A [`Problem`] when it is none.
pub fn idempotency_key(request: &poem::Request) -> Result<Option<IdempotencyKey>, Problem> {
    let name = "Idempotency-Key";
    let key = header_list(request, name).map(|text| text.parse()).transpose();
    key.map_err(|words: String| {
        Problem::new(Code::InvalidParameter, format!("{name}: {words}")).with_field(name)
    })
}
