//! The examples in the specification: small, harmless and correct. People see them first when they
//! try an operation.
//!
//! `examples.json` has one example for each schema. Requests and answers show the example of their
//! schema. Optional parameters have none, because Swagger UI would send them.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

static EXAMPLES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).expect("examples.json is JSON"));

const SCHEMA_PREFIX: &str = "#/components/schemas/";

pub fn add(document: &mut Value) {
    let unions = unions(document);
    for (name, schema) in children(document, "/components/schemas") {
        if let Some(example) = EXAMPLES["schemas"].get(name) {
            schema["example"] = example.clone();
        }
    }
    for (name, response) in children(document, "/components/responses") {
        response["content"]["application/problem+json"]["example"] = EXAMPLES["answers"][name].clone();
        show_headers(response, name);
    }
    for (_, path) in children(document, "/paths") {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            show(operation, &unions);
        }
    }
}

/// The members of the object at the JSON pointer `permit`.
fn children<'a>(document: &'a mut Value, permit: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    document.pointer_mut(permit).and_then(Value::as_object_mut).into_iter().flatten()
}

/// The name of each union's schema, with the mapping of its discriminator.
fn unions(document: &Value) -> Map<String, Value> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let mapping = |schema: &Value| schema.pointer("/discriminator/mapping").cloned();
    schemas.filter_map(|(name, schema)| Some((name.clone(), mapping(schema)?))).collect()
}

fn show(operation: &mut Value, unions: &Map<String, Value>) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let text = EXAMPLES["texts"].get(&id);
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        if parameter["in"] == "path"
            && let Some(example) = EXAMPLES["path"].get(name)
        {
            parameter["example"] = example.clone();
        }
    }
    let request = operation.get_mut("requestBody").and_then(|body| body.get_mut("content"));
    for media in request.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        show_media(media, None, unions);
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        show_headers(response, &id);
        let content = response.get_mut("content").and_then(Value::as_object_mut);
        for media in content.into_iter().flat_map(Map::values_mut) {
            show_media(media, text, unions);
        }
    }
}

/// `of` is the name of the operation, or of an answer that many operations share.
fn show_headers(response: &mut Value, of: &str) {
    let headers = response.get_mut("headers").and_then(Value::as_object_mut);
    for (name, header) in headers.into_iter().flatten() {
        let own = EXAMPLES["headers"].get(format!("{of} {name}"));
        if let Some(example) = own.or_else(|| EXAMPLES["headers"].get(name)) {
            header["example"] = example.clone();
        }
    }
}

/// Shows the example of a schema. A list shows one element. A stream shows one message of each
/// kind.
fn show_media(media: &mut Value, text: Option<&Value>, unions: &Map<String, Value>) {
    let named = |schema: &Value| Some(schema["$ref"].as_str()?.strip_prefix(SCHEMA_PREFIX)?.to_owned());
    let schema = &media["schema"];
    if let Some(mapping) = named(schema).and_then(|name| unions.get(&name)) {
        let kinds = mapping.as_object().into_iter().flatten();
        let message = |target: &Value| {
            let name = target.as_str()?.strip_prefix(SCHEMA_PREFIX)?;
            Some(json!({ "value": EXAMPLES["schemas"].get(name)? }))
        };
        let messages = kinds.filter_map(|(word, target)| Some((word.clone(), message(target)?)));
        media["examples"] = Value::Object(messages.collect());
        return;
    }
    let example = match named(schema) {
        Some(name) => EXAMPLES["schemas"].get(&name).cloned(),
        None if schema["type"] == "array" => {
            named(&schema["items"]).and_then(|name| Some(json!([EXAMPLES["schemas"].get(&name)?])))
        }
        None => text.cloned(),
    };
    if let Some(example) = example {
        media["example"] = example;
    }
}
