//! Accepts what older clients of `PUT /api/tasks/status/{task_id}` send: the report as query
//! parameters, without a body.
//!
//! Turns the parameters into the body that the operation documents, so that both go through the
//! same code. This form is not in the specification: new clients send JSON.

use poem::Request;
use poem::http::{HeaderValue, Method, header};
use serde_json::{Map, Value};

use super::legacy_routes::QueryBody;
use crate::api::problem::{Code, Problem};

const PATH: &str = "/api/tasks/status/";
const PARAMETERS: [&str; 4] = ["new_status", "priority", "assignee", "artifacts"];

/// Turns the request of an older client into the documented form.
///
/// # Errors
/// A [`Problem`] when the body is neither an object nor a list of artifacts.
pub async fn adapt(request: &mut Request) -> Result<(), Problem> {
    if let Some(QueryBody(body)) = request.extensions().get::<QueryBody>().cloned() {
        set_json(request, &body);
        return Ok(());
    }
    if request.method() != Method::PUT || !request.uri().path().starts_with(PATH) {
        return Ok(());
    }
    let Some(mut report) = report(request.uri().query().unwrap_or_default()) else {
        return Ok(());
    };
    // The body was read before, within its limits.
    let body = request.take_body().into_vec().await.map_err(|_| Problem::internal())?;
    if !body.trim_ascii().is_empty() {
        let given = serde_json::from_slice::<Value>(&body);
        match given
            .map_err(|error| Problem::new(Code::InvalidJson, format!("the body is not JSON: {error}")))?
        {
            Value::Null => {}
            Value::Array(artifacts) => drop(report.insert("artifacts".to_owned(), Value::Array(artifacts))),
            Value::Object(fields) => report.extend(fields),
            _ => {
                let detail = "the body is neither an object nor a list of artifacts; send one of these";
                return Err(Problem::new(Code::InvalidField, detail));
            }
        }
    }
    set_json(request, &Value::Object(report));
    Ok(())
}

fn set_json(request: &mut Request, body: &Value) {
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    request.set_body(body.to_string());
}

/// Whether `name` is a parameter that only older clients send.
pub fn is_known(path: &str, name: &str) -> bool {
    path.starts_with(PATH) && PARAMETERS.contains(&name)
}

/// The report in a query; `None` when it has no `new_status`.
fn report(query: &str) -> Option<Map<String, Value>> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let mut report = Map::new();
    for (name, value) in pairs {
        match name.as_str() {
            "new_status" | "priority" | "assignee" => {
                report.insert(name, Value::String(value));
            }
            "artifacts" => {
                let list = report.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                // A list may also be JSON: the generated clients of the first system send that.
                match serde_json::from_str::<Vec<Value>>(&value) {
                    Ok(paths) => list.as_array_mut()?.extend(paths),
                    Err(_) => {
                        let paths = value.split(',').map(|path| Value::String(path.to_owned()));
                        list.as_array_mut()?.extend(paths);
                    }
                }
            }
            _ => {}
        }
    }
    report.contains_key("new_status").then_some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_the_documented_body() {
        let report = |query: &str| report(query).map(|report| Value::Object(report).to_string());
        assert_eq!(
            report("new_status=done&priority=high&artifacts=a.txt,b%20c&artifacts=d&x=1").as_deref(),
            Some(r#"{"new_status":"done","priority":"high","artifacts":["a.txt","b c","d"]}"#)
        );
        assert_eq!(
            report("new_status=done&artifacts=%5B%22a.txt%22%2C%22b%2Cc%22%5D").as_deref(),
            Some(r#"{"new_status":"done","artifacts":["a.txt","b,c"]}"#)
        );
        assert_eq!(report("priority=high"), None);
    }
}
