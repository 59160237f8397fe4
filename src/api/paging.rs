//! Links between the pages of a list.

/// A `Link` header with the next page (RFC 8288). Leaves out empty parameters.
pub fn next_link(path: &str, parameters: &[(&str, String)]) -> String {
    let given: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(given).expect("pairs of strings are always a query");
    format!("<{path}?{query}>; rel=\"next\"")
}
