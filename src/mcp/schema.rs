//! The schemas of arguments and results.
//!
//! They are written by hand: models read them, so every word counts, and what several clients refuse is left out. That is
//! `oneOf`, `anyOf` and `allOf` at the top, `$ref`, lists of types, and the formats of Rust's integers.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value, json};

/// A schema of an object. What is not required may be left out; nothing is ever null.
pub fn object(properties: Value, required: &[&str]) -> Arc<JsonObject> {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => unreachable!("the literal is an object"),
    }
}

pub fn string() -> Value {
    json!({ "type": "string" })
}

pub fn described(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub fn strings(description: &str) -> Value {
    json!({ "type": "array", "items": string(), "description": description })
}

pub fn integer(minimum: i64, maximum: i64) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

/// A place in a text or a log, in bytes.
pub fn offset() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub fn described_number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

pub fn boolean() -> Value {
    json!({ "type": "boolean" })
}

pub fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// The name of a task in arguments.
pub fn task() -> Value {
    described("Key or id")
}

/// A schema of a result. Nothing is required: some clients hold a refusal against it, which has other fields.
pub fn result(properties: Value) -> Arc<JsonObject> {
    object(properties, &[])
}

/// What a write answers.
pub fn task_state() -> Arc<JsonObject> {
    result(json!({ "key": string(), "status": string(), "version": number() }))
}

pub fn number() -> Value {
    json!({ "type": "integer" })
}

/// The names of the properties of an object.
pub fn names(schema: &JsonObject) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.map(|(name, _)| name.as_str())
}

/// The schema at a place in the arguments, such as `limit`, `status[0]` or `tasks[2].title`.
pub fn property<'a>(schema: &'a JsonObject, place: &str) -> Option<&'a Value> {
    let mut object = schema;
    let mut found = None;
    for step in place.split('.') {
        let (name, is_item) = match step.split_once('[') {
            Some((name, _)) => (name, true),
            None => (step, false),
        };
        let property = object.get("properties")?.get(name)?;
        let property = if is_item { property.get("items")? } else { property };
        found = Some(property);
        object = property.as_object()?;
    }
    found
}

/// Whether an argument, or a field inside one, has to be given.
pub fn is_required(schema: &JsonObject, place: &str) -> bool {
    let (object, name) = match place.rsplit_once('.') {
        Some((outer, name)) => (property(schema, outer).and_then(Value::as_object), name),
        None => (Some(schema), place),
    };
    let required = object.and_then(|object| object.get("required")?.as_array());
    required.is_some_and(|names| names.iter().any(|it| it == name))
}

/// ` from 1 to 50`, ` from 0`, or nothing.
pub fn range_in_words(property: &Value) -> String {
    match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        (Some(minimum), Some(maximum)) => format!(" from {minimum} to {maximum}"),
        (Some(minimum), None) => format!(" from {minimum} on"),
        _ => String::new(),
    }
}

/// What would be right at a place in the arguments, in words.
pub fn in_words(schema: &JsonObject, place: &str) -> Option<String> {
    let mut property = property(schema, place)?;
    let description = property["description"].as_str();
    let mut words = String::new();
    if property["type"] == "array" {
        words.push_str("a list of ");
        property = &property["items"];
    }
    if let Some(choices) = property["enum"].as_array() {
        let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        words.push_str(&format!("one of {}", choices.join(", ")));
        return Some(words);
    }
    match property["type"].as_str()? {
        "integer" => words.push_str("a whole number"),
        "boolean" => words.push_str("true or false"),
        "string" => words.push_str("text"),
        _ => {
            let names: Vec<_> = property.as_object().into_iter().flat_map(names).collect();
            words.push_str(&format!("objects with {}", names.join(", ")));
        }
    }
    words.push_str(&range_in_words(property));
    if let Some(description) = description {
        words.push_str(&format!(" ({description})"));
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_right_is_said_in_words() {
        let properties = json!({
            "status": { "type": "array", "items": one_of(&["todo", "done"]) },
            "wait_seconds": integer(0, 45),
            "offset": offset(),
            "another": boolean(),
            "tags": strings("labels"),
        });
        let schema = object(properties, &[]);
        let words = |argument| in_words(&schema, argument);
        assert_eq!(words("status").as_deref(), Some("a list of one of todo, done"));
        assert_eq!(words("wait_seconds").as_deref(), Some("a whole number from 0 to 45"));
        assert_eq!(words("offset").as_deref(), Some("a whole number from 0 on"));
        assert_eq!(words("another").as_deref(), Some("true or false"));
        assert_eq!(words("tags").as_deref(), Some("a list of text (labels)"));
        assert_eq!(words("tags[3]").as_deref(), Some("text"));
        assert_eq!(words("nothing"), None);
        let inner = object(json!({ "title": string(), "script": described("Shell") }), &["title"]);
        let schema = object(json!({ "tasks": { "type": "array", "items": inner } }), &["tasks"]);
        let words = |place| in_words(&schema, place);
        assert_eq!(words("tasks").as_deref(), Some("a list of objects with title, script"));
        assert_eq!(words("tasks[2].script").as_deref(), Some("text (Shell)"));
        assert_eq!(words("tasks[2].scripts"), None);
        for (place, is) in
            [("tasks", true), ("tasks[2].title", true), ("tasks[2].script", false), ("x", false)]
        {
            assert_eq!(is_required(&schema, place), is, "{place}");
        }
    }
}
