//! What older clients of `PUT /api/tasks/status/{task_id}` send: the report as query parameters, without a body.
//!
//! The parameters become the body that the operation documents, so there is one way through the hub. Not in
//! the specification: new clients send JSON.

use poem::Request;
use poem::http::{HeaderValue, Method, header};
use serde_json::{Map, Value};

const PATH: &str = "/api/tasks/status/";
const PARAMETERS: [&str; 4] = ["new_status", "priority", "assignee", "artifacts"];

/// Turns what an older client sends into what the operation reads.
pub fn adapt(request: &mut Request) {
    if request.method() == Method::PUT
        && request.uri().path().starts_with(PATH)
        && request.content_type().is_none()
        && let Some(report) = report(request.uri().query().unwrap_or_default())
    {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request.set_body(report);
    }
}

/// Whether `name` is one of the parameters that only older clients send.
pub fn is_known(path: &str, name: &str) -> bool {
    path.starts_with(PATH) && PARAMETERS.contains(&name)
}

/// The report in a query, as JSON; `None` when there is none.
fn report(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let mut report = Map::new();
    for (name, value) in pairs {
        match name.as_str() {
            "new_status" | "priority" | "assignee" => {
                report.insert(name, Value::String(value));
            }
            "artifacts" => {
                let list = report.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                let paths = value.split(',').map(|path| Value::String(path.to_owned()));
                list.as_array_mut()?.extend(paths);
            }
            _ => {}
        }
    }
    report.contains_key("new_status").then(|| Value::Object(report).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_the_documented_body() {
        assert_eq!(
            report("new_status=done&priority=high&artifacts=a.txt,b%20c&artifacts=d&x=1").as_deref(),
            Some(r#"{"new_status":"done","priority":"high","artifacts":["a.txt","b c","d"]}"#)
        );
        assert_eq!(report("priority=high"), None);
    }
}
