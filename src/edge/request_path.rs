//! Normalizes paths: an extra slash or a percent-encoded letter does not make another path.

use poem::Request;
use poem::http::Uri;
use poem::http::uri::PathAndQuery;

/// Removes double slashes and a trailing one, and decodes characters that need no encoding (RFC
/// 3986, section 6.2.2.2).
pub fn normalize(request: &mut Request) {
    let path = request.uri().path();
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) && !path.contains('%') {
        return;
    }
    let path = decoded(path);
    let mut plain: String =
        path.split('/').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect();
    if plain.is_empty() {
        plain.push('/');
    }
    if let Some(query) = request.uri().query() {
        plain.push('?');
        plain.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    // This never fails: parts of a valid path form a valid path.
    parts.path_and_query = PathAndQuery::try_from(plain).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// Decodes letters, digits and `-._~`; everything else stays encoded.
fn decoded(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let unreserved = byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
        match unreserved {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_are_taken_out() {
        for (written, meant) in [
            ("/", "/"),
            ("//", "/"),
            ("/api/tasks", "/api/tasks"),
            ("/api/tasks/", "/api/tasks"),
            ("//api///tasks//?q=//", "/api/tasks?q=//"),
            ("http://localhost/health/", "http://localhost/health"),
            ("/api/%74asks/%2D", "/api/tasks/-"),
            ("/api/%2Ftasks%2f", "/api/%2Ftasks%2f"),
            ("/%ff%", "/%ff%"),
        ] {
            let mut request = Request::builder().uri(written.parse().expect("a URI")).finish();
            normalize(&mut request);
            assert_eq!(request.uri().to_string(), meant, "{written}");
        }
    }
}
