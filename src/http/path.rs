//! Paths as people write them: a slash too many does not make another place.

use poem::Request;
use poem::http::Uri;
use poem::http::uri::PathAndQuery;

/// Takes out double slashes and one at the end.
pub fn normalize(request: &mut Request) {
    let path = request.uri().path();
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return;
    }
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
    // Parts of what is a path are one.
    parts.path_and_query = PathAndQuery::try_from(plain).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
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
        ] {
            let mut request = Request::builder().uri(written.parse().expect("a URI")).finish();
            normalize(&mut request);
            assert_eq!(request.uri().to_string(), meant, "{written}");
        }
    }
}
