//! Every answer that a test receives is checked against the specification: its status, content type and headers are
//! documented, and its body fits the schema, with no field that the schema does not have.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use taskhub::api::spec::DOCUMENT;

static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);

/// The components as JSON Schema, once.
static COMPONENTS: LazyLock<Value> = LazyLock::new(|| {
    let mut components = json!({ "schemas": DOCUMENT["components"]["schemas"] });
    as_json_schema(&mut components);
    components
});

/// An answer to `method path`.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
}

/// Panics unless the specification allows this answer.
pub fn check(head: Head, body: &[u8]) {
    check_head(head);
    if let Err(words) = verdict_on_body(head, body) {
        panic!("{} {} -> {}: {words}", head.method, head.path, head.status);
    }
}

/// Panics unless the specification allows an answer that begins so.
pub fn check_head(head: Head) {
    if let Err(words) = verdict_on_head(head) {
        panic!("{} {} -> {}: {words}", head.method, head.path, head.status);
    }
}

/// Panics unless `body` is JSON that fits the named schema.
pub fn assert_fits(schema: &str, body: &[u8], place: &str) {
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_value_fits(&reference(schema), &value, place);
}

/// Panics unless `value` fits the schema.
pub fn assert_value_fits(schema: &Value, value: &Value, place: &str) {
    if let Err(words) = fits(schema, value) {
        panic!("{place}: {words}");
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn verdict_on_head(head: Head) -> Result<(), String> {
    let content_type = content_type(head.headers);
    let is_problem = head.status.is_client_error() || head.status.is_server_error();
    if is_problem
        && content_type != "application/problem+json"
        && *head.method != Method::HEAD
        && !is_rpc(head)
    {
        return Err(format!("a problem as {content_type:?}"));
    }
    let Some(response) = response(head)? else { return Ok(()) };
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        match head.headers.get(name) {
            None if header["required"] == true => return Err(format!("no {name}")),
            None => {}
            Some(value) => {
                let text = value.to_str().map_err(|error| format!("{name}: {error}"))?;
                // A header is text; its schema may speak of a number.
                let value = match header["schema"]["type"].as_str() {
                    Some("integer" | "boolean") => text.parse().map_err(|_| format!("{name}: {text}"))?,
                    _ => json!(text),
                };
                fits(&header["schema"], &value).map_err(|words| format!("{name}: {words}"))?;
            }
        }
    }
    let media = response["content"].as_object();
    if media.is_some_and(|media| !media.contains_key(content_type)) {
        return Err(format!("{content_type:?} is not documented"));
    }
    Ok(())
}

fn verdict_on_body(head: Head, body: &[u8]) -> Result<(), String> {
    if *head.method == Method::HEAD {
        return if body.is_empty() { Ok(()) } else { Err("a body".to_owned()) };
    }
    let json = || serde_json::from_slice::<Value>(body).map_err(|error| error.to_string());
    if is_rpc(head) {
        return rpc(&json()?);
    }
    if head.status.is_client_error() || head.status.is_server_error() {
        let problem = json()?;
        fits(&reference("Problem"), &problem)?;
        if problem["status"] != head.status.as_u16() {
            return Err(format!("the problem speaks of another status: {problem}"));
        }
    }
    match response(head)?.map(|response| &response["content"]) {
        None => Ok(()),
        Some(Value::Null) if body.is_empty() => Ok(()),
        Some(Value::Null) => Err("no body is documented".to_owned()),
        Some(content) => match content_type(head.headers) {
            "application/json" => fits(&content["application/json"]["schema"], &json()?),
            _ => Ok(()),
        },
    }
}

/// Whether this is an answer of another protocol, as agents get it.
fn is_rpc(head: Head) -> bool {
    head.path == "/mcp" && content_type(head.headers) == "application/json"
}

/// JSON-RPC 2.0, section 5: a result or an error, and never both.
fn rpc(answer: &Value) -> Result<(), String> {
    let error = answer.get("error");
    let is_error = |error: &Value| error["code"].is_i64() && error["message"].is_string();
    let has_one = answer.get("result").is_some_and(Value::is_object) != error.is_some_and(is_error);
    match answer["jsonrpc"] == "2.0" && has_one && (error.is_some() || !answer["id"].is_null()) {
        true => Ok(()),
        false => Err(format!("no answer of JSON-RPC: {answer}")),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().expect("ASCII"));
    text.split(';').next().unwrap_or_default().trim()
}

/// What the specification says of this answer; `None` where no operation is.
fn response(head: Head) -> Result<Option<&'static Value>, String> {
    let Some(operation) = operation(head.method, head.path) else { return Ok(None) };
    let responses = &operation["responses"];
    let range = format!("{}XX", head.status.as_u16() / 100);
    let found = [head.status.as_str(), &range].iter().map(|it| &responses[*it]).find(|it| it.is_object());
    let found = found.ok_or("the status is not documented")?;
    Ok(Some(match found["$ref"].as_str() {
        Some(target) => DOCUMENT.pointer(&target[1..]).ok_or_else(|| format!("{target} is not there"))?,
        None => found,
    }))
}

fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let errors: Vec<_> = validator(schema).iter_errors(value).map(|error| error.to_string()).collect();
    if errors.is_empty() { Ok(()) } else { Err(format!("{value} does not fit {schema}: {errors:?}")) }
}

/// Schemas are compiled once; there are few of them.
fn validator(schema: &Value) -> &'static Validator {
    let mut known = VALIDATORS.lock().expect("no panic inside");
    known.entry(schema.to_string()).or_insert_with(|| {
        let mut schema = schema.clone();
        as_json_schema(&mut schema);
        let root = json!({ "components": *COMPONENTS, "allOf": [schema] });
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .should_validate_formats(true)
            .with_format("uuid", |text: &str| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
            .build(&root)
            .expect("the schema compiles");
        Box::leak(Box::new(validator))
    })
}

/// OpenAPI 3.0 says `nullable` where JSON Schema says `anyOf … null`. A field that is not described is a fault here,
/// though a client has to pass over it.
fn as_json_schema(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // What is shown is no schema.
            object.retain(|name, _| !matches!(name.as_str(), "example" | "examples"));
            object.values_mut().for_each(as_json_schema);
            close(object);
            if object.remove("nullable") == Some(json!(true)) {
                let inner = std::mem::take(object);
                object.insert("anyOf".to_owned(), json!([inner, { "type": "null" }]));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

fn close(schema: &mut Map<String, Value>) {
    if schema.get("properties").is_some_and(Value::is_object) && schema.get("type") == Some(&json!("object"))
    {
        schema.entry("additionalProperties").or_insert(json!(false));
    }
}

/// The documented operation that answers `path`, if one does. HEAD is answered as GET.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.trim_end_matches('/');
    let fits = |template: &str| {
        let (parts, segments): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        parts.len() == segments.len()
            && parts.iter().zip(segments).all(|(part, segment)| part.starts_with('{') || *part == segment)
    };
    let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())
        .and_then(|(_, operations)| operations.get(method))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{ETAG, HeaderValue, RETRY_AFTER};

    use super::*;

    const PATH: &str = "/api/tasks/0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ETAG, HeaderValue::from_static("\"2\""));
        headers.insert("taskhub-cursor", HeaderValue::from_static("7c1e9a42-1042"));
        headers
    }

    fn verdict(status: u16, headers: &HeaderMap, body: &Value) -> Result<(), String> {
        let status = StatusCode::from_u16(status).expect("a status");
        let head = Head { method: &Method::GET, path: PATH, status, headers };
        verdict_on_head(head)?;
        verdict_on_body(head, body.to_string().as_bytes())
    }

    fn task(change: impl Fn(&mut Map<String, Value>)) -> Value {
        let mut task = DOCUMENT["components"]["schemas"]["Task"]["example"].clone();
        change(task.as_object_mut().expect("an object"));
        task
    }

    #[test]
    fn an_answer_that_is_described_passes() {
        assert_eq!(verdict(200, &headers("application/json"), &task(|_| {})), Ok(()));
        let clear = |task: &mut Map<String, Value>| drop(task.insert("priority".into(), Value::Null));
        assert_eq!(verdict(200, &headers("application/json; charset=utf-8"), &task(clear)), Ok(()));
    }

    #[test]
    fn an_answer_that_is_not_described_fails() {
        let json = headers("application/json");
        let faults = |status, headers: &HeaderMap, body: Value, words: &str| {
            let verdict = verdict(status, headers, &body).expect_err(words);
            assert!(verdict.contains(words), "{words}: {verdict}");
        };
        faults(202, &json, task(|_| {}), "the status is not documented");
        faults(200, &headers("text/html"), task(|_| {}), "\"text/html\" is not documented");
        faults(404, &json, task(|_| {}), "a problem as");
        let mut bare = json.clone();
        bare.remove(ETAG);
        faults(200, &bare, task(|_| {}), "no ETag");
        for (words, change) in [
            ("'more' was unexpected", ("more", json!(1))),
            ("null", ("status", Value::Null)),
            ("\"open\"", ("status", json!("open"))),
            ("uuid", ("id", json!("7"))),
            ("date-time", ("created_at", json!("yesterday"))),
            ("minimum", ("version", json!(0))),
        ] {
            let (field, value) = change;
            faults(200, &json, task(|task| drop(task.insert(field.into(), value.clone()))), words);
        }
        faults(200, &json, task(|task| drop(task.remove("tags"))), "is a required property");
    }

    #[test]
    fn a_problem_that_is_not_described_fails() {
        let problem = DOCUMENT["components"]["responses"]["TooManyRequests"]["content"]
            ["application/problem+json"]["example"]
            .clone();
        let mut headers = headers("application/problem+json");
        assert_eq!(verdict(429, &headers, &problem), Err("no Retry-After".to_owned()));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        assert_eq!(verdict(429, &headers, &problem), Err("Retry-After: soon".to_owned()));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        assert_eq!(verdict(429, &headers, &problem), Ok(()));
        assert!(verdict(404, &headers, &problem).expect_err("another status").contains("another status"));
    }

    /// Whoever sends a request by other means than the harness sees an answer that nobody has checked.
    #[test]
    fn no_test_goes_around_the_contract() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
        let mut open = vec![std::path::PathBuf::from(root)];
        let mut seen = 0;
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(
                    std::fs::read_dir(&path).expect("a folder").map(|it| it.expect("an entry").path()),
                );
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            // One of its methods leaves out the check, for very many requests.
            let is_excused = path.ends_with("it/lives.rs");
            // Written apart, or it would find itself.
            assert!(
                is_excused || !text.contains(concat!(".sen", "d()")),
                "{path:?}: use `answered()`, which checks the answer"
            );
            seen += 1;
        }
        assert!(seen > 60, "the tests are found");
    }
}
