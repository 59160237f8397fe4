//! The specification: generated once, polished once, and the same text everywhere it is shown.
//!
//! poem-openapi describes what the handlers are; generators and linters want some of it said differently. All
//! of that is here, as rules over the whole document rather than as exceptions for one operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use poem_openapi::{ContactObject, LicenseObject, OpenApiService};
use serde_json::{Map, Value, json};

use crate::domain::token::Scope;

use super::events::EventApi;
use super::executions::ExecutionApi;
use super::system::SystemApi;
use super::tasks::TaskApi;

/// All operations.
pub type Api = (TaskApi, ExecutionApi, EventApi, SystemApi);

const SCHEMA_PREFIX: &str = "#/components/schemas/";

const TAGS: [&str; 4] = ["Tasks", "Executions", "Events", "System"];

const DESCRIPTION: &str = "TaskHub keeps tasks, runs their scripts in sessions with log files, and streams every \
change as Server-Sent Events.\n\nErrors are `application/problem+json` (RFC 9457) with a stable `code`; `detail` \
says what to do. What is not even HTTP \
(a head that is too large or does not parse) is refused with a bare status. Times are RFC 3339 in UTC with milliseconds. A field without a value is `null`, never absent.";

pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new((TaskApi, ExecutionApi, EventApi, SystemApi), "TaskHub", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .contact(ContactObject::new().name("The TaskHub developers"))
        .server("/")
}

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let generated = serde_json::from_str(&service().spec()).expect("poem-openapi writes JSON");
    polish(generated)
});

/// The document as indented JSON with a final newline, as it is served, printed and committed.
pub fn json() -> String {
    let mut text = serde_json::to_string_pretty(&*DOCUMENT).expect("a JSON value is always JSON");
    text.push('\n');
    text
}

/// The document as YAML.
pub fn yaml() -> String {
    serde_norway::to_string(&*DOCUMENT).expect("a JSON value is always YAML")
}

/// Where an operation says what it needs: OpenAPI 3.0 has no place for the scopes of a bearer's token.
pub const REQUIRED_SCOPE: &str = "x-required-scope";

/// What an operation needs; `None`: nothing, it is for everybody.
fn required_scope(method: &str, operation_id: &str) -> Option<Scope> {
    match (method, operation_id) {
        // Whoever starts and watches the hub has no token.
        (_, "health" | "readiness") => None,
        (_, "startExecution" | "stopExecution" | "attachExecution") => Some(Scope::Exec),
        // It allows no more than to read.
        (_, "createEventTicket") => Some(Scope::Read),
        ("get", _) => Some(Scope::Read),
        _ => Some(Scope::Write),
    }
}

/// Says who may: with a token, or, where the hub asks for none, without.
fn secure(method: &str, operation: &mut Map<String, Value>) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let Some(scope) = required_scope(method, id) else {
        operation.insert("security".to_owned(), json!([]));
        return;
    };
    operation.insert("security".to_owned(), json!([{ "token": [] }, {}]));
    operation.insert(REQUIRED_SCOPE.to_owned(), json!(scope.word()));
    let words =
        format!("{}\n\nNeeds the scope `{scope}`.", operation["description"].as_str().unwrap_or_default());
    operation["description"] = words.into();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, words) in [
        ("401", "A token is needed, and none that is good was sent."),
        ("403", "The token does not allow this, or a page of another site asks."),
        ("429", "The client asks too often, or has too many streams."),
    ] {
        let mut response = responses["4XX"].clone();
        response["description"] = words.into();
        responses.insert(status.to_owned(), response);
    }
    let challenge =
        json!({ "description": "How to show a token (RFC 6750).", "schema": { "type": "string" } });
    for status in ["401", "403"] {
        responses[status]["headers"] = json!({ "WWW-Authenticate": challenge });
    }
    let seconds = json!({ "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
    responses["429"]["headers"] = json!({ "Retry-After": seconds });
    responses.sort_keys();
}

/// What people see first when they try an operation: small, harmless, and true.
fn examples() -> [(&'static str, Value); 8] {
    let event = |seq: u64, word: &str, data: Value| {
        let id = format!("7c1e9a42-{seq}");
        json!({ "id": id, "event": word, "data": data, "timestamp": "2025-06-22T10:00:00.000Z" })
    };
    let task = json!({
        "task_id": "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e", "title": "Write the report", "status": "inprogress",
        "priority": "high", "assignee": "alice", "tags": ["docs"], "artifacts": ["out/report.pdf"],
        "version": 2, "changed": ["status", "priority"], "actor": null,
    });
    let output = json!({
        "id": "4096", "event": "log", "timestamp": "2025-06-22T10:00:00.000Z",
        "data": {
            "execution_id": "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e1f", "offset": 4084, "text": "hello again\n",
            "base64": null,
        },
    });
    let problem = json!({
        "type": "urn:taskhub:problem:task_not_found", "title": "Not Found", "status": 404,
        "code": "task_not_found", "detail": "there is no task 0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e",
        "field": null,
    });
    [
        ("NewTask", json!({ "title": "Write the report", "priority": "medium", "assignee": "alice" })),
        ("TaskPatch", json!({ "priority": "high", "assignee": null })),
        ("StatusUpdate", json!({ "new_status": "inprogress", "priority": "high" })),
        ("ExecutionRequest", json!({ "script_content": "echo hello", "timeout_seconds": 60 })),
        ("AnnouncementData", json!({ "level": "info", "message": "Maintenance at 18:00 UTC" })),
        ("Event", event(1042, "task_updated", task)),
        ("LogEvent", output),
        ("Problem", problem),
    ]
}

fn polish(mut document: Value) -> Value {
    // progenitor and others read 3.0 only, and poem says 3.0.0.
    document["openapi"] = "3.0.3".into();
    walk(&mut document, &mut tidy);
    name_nullable_types(&mut document);
    let requested = requested_schemas(&document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in schemas.iter_mut() {
            close_or_complete(schema, requested.contains(name));
        }
        for (name, example) in examples() {
            schemas[name]["example"] = example;
        }
    }
    // The order in which a newcomer wants to read them.
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| TAGS.iter().position(|name| tag["name"] == *name));
    }
    document["components"]["securitySchemes"] = json!({ "token": {
        "type": "http", "scheme": "bearer",
        "description": "A token from `taskhub token create`, as `Authorization: Bearer …`. A hub that has never had \
                        one asks for none. Scopes: `read`, `write` (includes `read`) and `exec` (includes both); \
                        `x-required-scope` of an operation names the one it needs. To set or clear a task's `script` \
                        needs `exec` as well. `EventSource`, which cannot send it, uses a ticket from \
                        `POST /api/events/tickets`.",
    } });
    if let Some(paths) = document["paths"].as_object_mut() {
        for (method, operation) in paths.values_mut().filter_map(Value::as_object_mut).flatten() {
            secure(method, operation.as_object_mut().expect("an operation is an object"));
        }
    }
    document
}

fn walk(value: &mut Value, rule: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(|it| walk(it, rule));
            rule(object);
        }
        Value::Array(list) => list.iter_mut().for_each(|it| walk(it, rule)),
        _ => {}
    }
}

/// The rules that look at one object at a time.
fn tidy(object: &mut Map<String, Value>) {
    // Defaults said aloud are noise in every diff.
    object.retain(|key, value| match key.as_str() {
        "deprecated" => *value != json!(false),
        "explode" => *value != json!(true),
        "description" => *value != json!(""),
        _ => true,
    });
    // poem-openapi names the schema again inside it.
    if object.contains_key("properties") {
        object.remove("title");
    }
    // A reference with siblings becomes `allOf` with one reference; poem-openapi repeats the siblings inside.
    if let Some(parts) = object.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.retain(|part| part.get("$ref").is_some());
    }
    // JSON has no charset, and everything here is UTF-8.
    if let Some(content) = object.get_mut("content").and_then(Value::as_object_mut) {
        *content = std::mem::take(content)
            .into_iter()
            .map(|(kind, media)| (kind.split(';').next().unwrap_or_default().to_owned(), media))
            .collect();
    }
    if let Some(headers) = object.get_mut("headers").and_then(Value::as_object_mut) {
        *headers =
            std::mem::take(headers).into_iter().map(|(name, header)| (header_name(&name), header)).collect();
    }
    // OpenAPI 3.0 knows no unsigned formats.
    let signed = match object.get("format").and_then(Value::as_str) {
        Some("uint16" | "uint32") => Some("int32"),
        Some("uint64") => Some("int64"),
        _ => None,
    };
    if let Some(format) = signed {
        object.insert("format".to_owned(), format.into());
        object.entry("minimum").or_insert(json!(0));
    }
    for bound in ["minimum", "maximum"] {
        if let Some(number) = object.get(bound).and_then(Value::as_f64)
            && object.get("type") == Some(&json!("integer"))
        {
            object.insert(bound.to_owned(), json!(number as i64));
        }
    }
    // Lists in a query are separated by commas.
    if object.get("in") == Some(&json!("query"))
        && object.get("schema").and_then(|it| it.get("type")) == Some(&json!("array"))
    {
        object.insert("style".to_owned(), json!("form"));
        object.insert("explode".to_owned(), json!(false));
    }
}

/// `nullable` speaks only beside a `type` (OpenAPI 3.0.3): a nullable reference repeats that of its target.
fn name_nullable_types(document: &mut Value) {
    let types: BTreeMap<String, Value> = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((format!("{SCHEMA_PREFIX}{name}"), schema.get("type")?.clone())))
        .collect();
    walk(document, &mut |object| {
        let target = object.get("allOf").and_then(|parts| parts[0]["$ref"].as_str());
        if object.contains_key("nullable")
            && let Some(kind) = target.and_then(|target| types.get(target))
        {
            object.insert("type".to_owned(), kind.clone());
        }
    });
}

/// poem-openapi writes header names in upper case; people and some generators prefer the usual form.
fn header_name(name: &str) -> String {
    match name {
        "ETAG" => "ETag".to_owned(),
        other => other
            .split('-')
            .map(|part| {
                let (first, rest) = part.split_at(part.len().min(1));
                first.to_uppercase() + &rest.to_lowercase()
            })
            .collect::<Vec<_>>()
            .join("-"),
    }
}

/// What a client sends may hold nothing else; what the hub sends holds everything, always.
fn close_or_complete(schema: &mut Value, requested: bool) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return;
    };
    if requested {
        object.insert("additionalProperties".to_owned(), json!(false));
    } else {
        let all: Vec<_> = properties.keys().cloned().collect();
        object.insert("required".to_owned(), json!(all));
    }
}

/// The names of all schemas that request bodies reach.
fn requested_schemas(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = Vec::new();
    let operations = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    for operation in operations.filter_map(Value::as_object).flat_map(|it| it.values()) {
        if let Some(body) = operation.get("requestBody") {
            references(body, &mut open);
        }
    }
    while let Some(name) = open.pop() {
        if let Some(schema) = document.pointer(&format!("/components/schemas/{name}"))
            && found.insert(name)
        {
            references(schema, &mut open);
        }
    }
    found
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(name) = object.get("$ref").and_then(Value::as_str) {
                names.extend(name.strip_prefix(SCHEMA_PREFIX).map(str::to_owned));
            }
            object.values().for_each(|it| references(it, names));
        }
        Value::Array(list) => list.iter().for_each(|it| references(it, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_document_holds_no_key_twice() {
        // serde_json keeps the last of two equal keys, so the text is walked by hand.
        let text = service().spec();
        let mut open: Vec<BTreeSet<String>> = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}', '"']) {
            let token = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match token {
                b'{' => open.push(BTreeSet::new()),
                b'}' => drop(open.pop()),
                _ => {
                    let mut end = 0;
                    let bytes = rest.as_bytes();
                    while bytes[end] != b'"' {
                        end += if bytes[end] == b'\\' { 2 } else { 1 };
                    }
                    let (key, after) = (&rest[..end], &rest[end + 1..]);
                    if after.trim_start().starts_with(':') {
                        let keys = open.last_mut().expect("a key is inside an object");
                        assert!(keys.insert(key.to_owned()), "{key} twice in one object");
                    }
                    rest = after;
                }
            }
        }
    }

    #[test]
    fn every_operation_is_described_and_says_how_it_fails() {
        let paths = DOCUMENT["paths"].as_object().expect("paths");
        let mut ids = BTreeSet::new();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().expect("operations") {
                let place = format!("{method} {path}");
                let id = operation["operationId"].as_str().expect("an operationId");
                assert!(ids.insert(id.to_owned()), "{id} twice");
                for text in ["summary", "description"] {
                    assert!(operation[text].is_string(), "{place}: no {text}");
                }
                assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place}: one tag");
                let responses = operation["responses"].as_object().expect("responses");
                assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
                assert!(responses.values().all(|it| it["description"].is_string()), "{place}: a response");
                for range in ["4XX", "5XX"] {
                    assert!(responses.contains_key(range), "{place}: no {range}");
                }
            }
        }
    }
}
