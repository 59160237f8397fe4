//! Every answer that a test receives is checked against the specification: its status and content type are
//! documented, and its body fits the schema.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use taskhub::http::spec::DOCUMENT;

static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);

/// Panics unless the specification allows this answer.
pub fn check(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    let place = format!("{method} {path} -> {status}");
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or("", |value| value.to_str().expect("ASCII").split(';').next().expect("a part").trim());
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(content_type, "application/problem+json", "{place}");
        assert_fits("Problem", body, &place);
    }
    let Some(operation) = operation(method, path) else {
        return;
    };
    let range = format!("{}XX", status.as_u16() / 100);
    let responses = &operation["responses"];
    let response = match &responses[status.as_str()] {
        Value::Null => &responses[&range],
        exact => exact,
    };
    assert!(response.is_object(), "{place} is not documented");
    let Some(content) = response["content"].as_object() else {
        assert!(body.is_empty(), "{place} documents no body");
        return;
    };
    let media =
        content.get(content_type).unwrap_or_else(|| panic!("{place}: {content_type:?} is not documented"));
    if content_type == "application/json" {
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
        fits(&media["schema"], &value, &place);
    }
}

/// Panics unless `body` is JSON that fits the named schema.
pub fn assert_fits(schema: &str, body: &[u8], place: &str) {
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
    fits(&json!({ "$ref": format!("#/components/schemas/{schema}") }), &value, place);
}

fn fits(schema: &Value, value: &Value, place: &str) {
    let validator = validator(schema);
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{place}: {value} does not fit {schema}: {errors:?}");
}

fn validator(schema: &Value) -> &'static Validator {
    let mut known = VALIDATORS.lock().expect("no panic inside");
    known.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = DOCUMENT.clone();
        as_json_schema(&mut whole);
        let mut schema = schema.clone();
        as_json_schema(&mut schema);
        let root = json!({ "components": whole["components"], "allOf": [schema] });
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .should_validate_formats(true)
            .build(&root)
            .expect("the schema compiles");
        Box::leak(Box::new(validator))
    })
}

/// OpenAPI 3.0 says `nullable` where JSON Schema says `anyOf … null`, and knows discriminators.
fn as_json_schema(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(as_json_schema);
            if object.remove("nullable") == Some(json!(true)) {
                let inner = std::mem::take(object);
                object.insert("anyOf".to_owned(), json!([inner, { "type": "null" }]));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

/// The documented operation that answers `path`, if one does.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.trim_end_matches('/');
    let fits = |template: &str| {
        let (parts, segments): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        parts.len() == segments.len()
            && parts.iter().zip(segments).all(|(part, segment)| part.starts_with('{') || *part == segment)
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())
        .and_then(|(_, operations)| operations.get(method.as_str().to_lowercase()))
}
