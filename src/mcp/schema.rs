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

/// What would be right for an argument, in words.
pub fn in_words(schema: &JsonObject, argument: &str) -> Option<String> {
    let mut property = schema.get("properties")?.get(argument)?;
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
    words.push_str(match property["type"].as_str()? {
        "integer" => "a whole number",
        "boolean" => "true or false",
        "string" => "text",
        _ => "an object",
    });
    if let (Some(minimum), Some(maximum)) = (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        words.push_str(&format!(" from {minimum} to {maximum}"));
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
            "another": boolean(),
            "tags": strings("labels"),
        });
        let schema = object(properties, &[]);
        let words = |argument| in_words(&schema, argument);
        assert_eq!(words("status").as_deref(), Some("a list of one of todo, done"));
        assert_eq!(words("wait_seconds").as_deref(), Some("a whole number from 0 to 45"));
        assert_eq!(words("another").as_deref(), Some("true or false"));
        assert_eq!(words("tags").as_deref(), Some("a list of text"));
        assert_eq!(words("nothing"), None);
    }
}
