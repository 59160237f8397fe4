//! Chooses the form of a stream by the client's `Accept` header (RFC 9110, section 12.5.1).

use poem::Request;
use poem::http::header;

const NDJSON: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";

/// Whether a client gets lines of JSON instead of server-sent events. The header must name them,
/// and their weight must be at least that of server-sent events.
pub fn wants_ndjson(request: &Request) -> bool {
    let values = request.headers().get_all(header::ACCEPT).iter();
    let text: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    prefers_ndjson(&text.join(","))
}

/// Whether the header names JSON as a whole.
pub fn names_json(request: &Request) -> bool {
    let mut values = request.headers().get_all(header::ACCEPT).iter();
    values.any(|value| value.to_str().is_ok_and(|text| Quality::of("application/json", text).is_named))
}

fn prefers_ndjson(accept: &str) -> bool {
    let (ndjson, sse) = (Quality::of(NDJSON, accept), Quality::of(SSE, accept));
    ndjson.weight > 0.0 && ndjson.is_named && ndjson.weight >= sse.weight
}

/// The weight of a media type in an `Accept` header.
#[derive(Debug, Clone, Copy)]
struct Quality {
    weight: f32,
    /// Whether the header names the type. `false` when only a `*` covers it.
    is_named: bool,
}

impl Quality {
    /// Uses the most specific range that covers `kind`.
    fn of(kind: &str, accept: &str) -> Self {
        let whole_type = format!("{}/*", kind.split('/').next().unwrap_or_default());
        let mut found = Self { weight: 0.0, is_named: false };
        let mut rank_before = 0;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let rank = match name {
                _ if name.eq_ignore_ascii_case(kind) => 3,
                _ if name.eq_ignore_ascii_case(&whole_type) => 2,
                "*/*" => 1,
                _ => continue,
            };
            if rank > rank_before {
                rank_before = rank;
                found = Self { weight: weight(parts), is_named: rank == 3 };
            }
        }
        found
    }
}

/// The value of `q`. Anything but a number between 0 and 1 counts as 1.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> f32 {
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    let value = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let number = value.and_then(|(_, value)| value.trim().parse::<f32>().ok());
    number.filter(|number| (0.0..=1.0).contains(number)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_welcome_form_is_sent() {
        for accept in [
            "application/x-ndjson",
            "Application/X-NDJSON",
            "application/x-ndjson, */*",
            "application/x-ndjson;q=0.5, text/event-stream;q=0.1",
            "text/html, application/x-ndjson ; q=0.2",
            "application/x-ndjson, text/event-stream",
        ] {
            assert!(prefers_ndjson(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/*",
            "text/event-stream",
            "application/x-ndjson;q=0",
            "application/x-ndjson;q=0.0",
            "application/x-ndjson;Q=0",
            "application/x-ndjson; q=0.000 , */*",
            "text/event-stream, application/x-ndjson;q=0.1",
            "*/*, application/x-ndjson;q=0.9",
        ] {
            assert!(!prefers_ndjson(accept), "{accept}");
        }
    }
}
