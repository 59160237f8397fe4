//! Lists that come in pages.

/// A `Link` header that leads to the next page (RFC 8288); empty parameters are left out.
pub fn next_link(path: &str, parameters: &[(&str, String)]) -> String {
    let given: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(given).expect("pairs of strings are always a query");
    format!("<{path}?{query}>; rel=\"next\"")
}
