//! Stability: nobody's client breaks by accident. `openapi/released.json` is what clients were generated from.

use serde_json::{Value, json};
use taskhub::api::spec::DOCUMENT;

use super::compare::breaks;

/// To release, also what breaks: `cargo run -- openapi > openapi/released.json`, and say so in the CHANGELOG.
#[test]
fn nothing_that_was_released_has_changed_for_its_clients() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/released.json");
    let released = std::fs::read_to_string(path).expect("openapi/released.json is there");
    let released: Value = serde_json::from_str(&released).expect("JSON");
    let found = breaks(&released, &DOCUMENT);
    assert!(
        found.is_empty(),
        "clients generated from openapi/released.json would break:\n  {}\nTake it back, or, if it is meant, release it: \
         `cargo run -- openapi > openapi/released.json`, and tell users in CHANGELOG.md",
        found.join("\n  ")
    );
}

/// A small document with one of everything that is compared.
fn document() -> Value {
    json!({
        "paths": { "/things": {
            "get": {
                "operationId": "listThings",
                "security": [{ "token": [] }, {}],
                "x-required-scope": "read",
                "parameters": [
                    { "in": "query", "name": "limit", "schema": { "type": "integer", "format": "int32", "maximum": 500 } },
                    { "in": "query", "name": "color", "style": "form", "explode": false,
                      "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Color" } } },
                ],
                "responses": {
                    "200": {
                        "headers": { "Cursor": { "required": true, "schema": { "type": "string" } } },
                        "content": { "application/json": {
                            "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } },
                        } },
                    },
                    "404": { "$ref": "#/components/responses/NotFound" },
                },
            },
            "post": {
                "operationId": "makeThing",
                "requestBody": { "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/NewThing" },
                } } },
                "responses": { "200": { "content": { "text/event-stream": {
                    "schema": { "$ref": "#/components/schemas/Event" },
                } } } },
            },
        } },
        "components": {
            "responses": { "NotFound": { "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } } } },
            "schemas": {
                "Color": { "type": "string", "enum": ["red", "blue"] },
                "Problem": { "type": "object", "required": ["code"], "properties": { "code": { "type": "string" } } },
                "Thing": { "type": "object", "required": ["name", "color", "parent"], "properties": {
                    "name": { "type": "string" },
                    "color": { "description": "Its color.", "allOf": [{ "$ref": "#/components/schemas/Color" }] },
                    "parent": { "$ref": "#/components/schemas/Parent" },
                } },
                "Parent": { "type": "object", "required": ["things"], "properties": {
                    "things": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } },
                } },
                "NewThing": { "type": "object", "additionalProperties": false, "required": ["name"], "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 10 },
                    "note": { "type": "string", "nullable": true },
                    "tags": { "type": "array", "items": { "type": "string", "pattern": "^a" }, "maxItems": 5 },
                } },
                "Event": {
                    "oneOf": [{ "$ref": "#/components/schemas/MadeEvent" }],
                    "discriminator": {
                        "propertyName": "event", "mapping": { "made": "#/components/schemas/MadeEvent" },
                    },
                },
                "MadeEvent": { "type": "object", "required": ["event"], "properties": {
                    "event": { "type": "string", "enum": ["made"] },
                } },
            },
        },
    })
}

const SCHEMAS: &str = "/components/schemas";
const LIST: &str = "/paths/~1things/get";
const MAKE: &str = "/paths/~1things/post";

/// What is found when the member `name` at `place` becomes `value`, or goes.
fn changed(place: &str, name: &str, value: Option<Value>) -> Vec<String> {
    let (old, mut new) = (document(), document());
    let parent = new.pointer_mut(place).unwrap_or_else(|| panic!("{place}"));
    match (parent, value) {
        (Value::Object(object), Some(value)) => drop(object.insert(name.to_owned(), value)),
        (Value::Object(object), None) => {
            drop(object.remove(name).unwrap_or_else(|| panic!("{place}/{name}")))
        }
        (Value::Array(list), Some(value)) => list.push(value),
        (Value::Array(list), None) => drop(list.remove(name.parse().expect("a number"))),
        _ => panic!("{place} has no members"),
    }
    breaks(&old, &new)
}

#[test]
fn what_breaks_a_client_is_found() {
    let schema = |rest: &str| format!("{SCHEMAS}/{rest}");
    let list = |rest: &str| format!("{LIST}{rest}");
    let make = |rest: &str| format!("{MAKE}{rest}");
    let required =
        || Some(json!({ "in": "query", "name": "who", "required": true, "schema": { "type": "string" } }));
    let integer = || Some(json!("integer"));
    for (words, place, name, value) in [
        ("POST /things: the operation is gone", "/paths/~1things".into(), "post", None),
        ("listThings\" is now \"things\"", list(""), "operationId", Some(json!("things"))),
        ("security is another", list(""), "security", Some(json!([{ "token": [] }]))),
        ("x-required-scope is another", list(""), "x-required-scope", Some(json!("exec"))),
        ("limit: the parameter is gone", list("/parameters"), "0", None),
        ("\"who\" is a new required parameter", list("/parameters"), "", required()),
        ("limit: the parameter is now required", list("/parameters/0"), "required", Some(json!(true))),
        ("color: explode is another", list("/parameters/1"), "explode", Some(json!(true))),
        ("limit: maximum was 500, is 100", list("/parameters/0/schema"), "maximum", Some(json!(100))),
        ("limit: minimum was null, is 1", list("/parameters/0/schema"), "minimum", Some(json!(1))),
        ("limit: the type was", list("/parameters/0/schema"), "format", Some(json!("int64"))),
        ("404: the answer is gone", list("/responses"), "404", None),
        ("Cursor: the header is gone", list("/responses/200/headers"), "Cursor", None),
        (
            "Cursor: the header is no longer always there",
            list("/responses/200/headers/Cursor"),
            "required",
            None,
        ),
        ("application/json: is gone", list("/responses/200/content"), "application/json", None),
        ("body: is gone", make(""), "requestBody", None),
        ("body: is now required", make("/requestBody"), "required", Some(json!(true))),
        ("Color: the schema is gone", SCHEMAS.to_owned(), "Color", None),
        ("Color: \"blue\" is gone", schema("Color/enum"), "1", None),
        ("Thing.name: the type was", schema("Thing/properties/name"), "type", integer()),
        (
            "Thing.name: only some values are left",
            schema("Thing/properties/name"),
            "enum",
            Some(json!(["a"])),
        ),
        ("Thing.name: may now be null", schema("Thing/properties/name"), "nullable", Some(json!(true))),
        ("Thing.color: the field is gone", schema("Thing/properties"), "color", None),
        ("Thing.color: may now be null", schema("Thing/properties/color"), "nullable", Some(json!(true))),
        (
            "Thing.color: the type is now string",
            schema("Thing/properties"),
            "color",
            Some(json!({ "type": "string" })),
        ),
        ("Thing.name: the field is no longer always there", schema("Thing/required"), "0", None),
        ("Parent.things: the field is no longer always there", schema("Parent/required"), "0", None),
        ("Problem.code: the field is gone", schema("Problem/properties"), "code", None),
        ("NewThing.note: the field is now required", schema("NewThing/required"), "", Some(json!("note"))),
        ("NewThing.note: the field is gone", schema("NewThing/properties"), "note", None),
        ("NewThing.note: may no longer be null", schema("NewThing/properties/note"), "nullable", None),
        (
            "NewThing.name: minLength was 1, is 2",
            schema("NewThing/properties/name"),
            "minLength",
            Some(json!(2)),
        ),
        (
            "NewThing.name: pattern is another",
            schema("NewThing/properties/name"),
            "pattern",
            Some(json!("^b")),
        ),
        (
            "NewThing.tags.items: pattern is another",
            schema("NewThing/properties/tags/items"),
            "pattern",
            Some(json!("^b")),
        ),
        (
            "NewThing.tags: maxItems was 5, is 4",
            schema("NewThing/properties/tags"),
            "maxItems",
            Some(json!(4)),
        ),
        ("Event: the kind made is gone", schema("Event/discriminator/mapping"), "made", None),
        (
            "Event: the discriminator is another",
            schema("Event/discriminator"),
            "propertyName",
            Some(json!("kind")),
        ),
        (
            "MadeEvent.event: \"made\" is gone",
            schema("MadeEvent/properties/event"),
            "enum",
            Some(json!(["other"])),
        ),
    ] {
        let found = changed(&place, name, value);
        assert!(found.iter().any(|it| it.contains(words)), "{words}: {found:?}");
    }
}

#[test]
fn what_is_added_or_loosened_breaks_nobody() {
    let schema = |rest: &str| format!("{SCHEMAS}/{rest}");
    let list = |rest: &str| format!("{LIST}{rest}");
    let text = || Some(json!({ "type": "string", "description": "More." }));
    let optional = json!({ "in": "query", "name": "who", "schema": { "type": "string" } });
    for (place, name, value) in [
        ("/paths".into(), "/more", Some(json!({ "get": { "operationId": "more", "responses": {} } }))),
        (list("/parameters"), "", Some(optional)),
        (list("/parameters/0/schema"), "maximum", Some(json!(1000))),
        (list("/parameters/0/schema"), "maximum", None),
        (list("/responses"), "409", Some(json!({ "description": "More." }))),
        (list("/responses/200/headers"), "More", Some(json!({ "schema": { "type": "string" } }))),
        (list(""), "description", Some(json!("More words."))),
        (schema("Thing/properties"), "more", text()),
        (schema("Thing/required"), "", Some(json!("more"))),
        (schema("Thing/properties/name"), "maxLength", Some(json!(5))),
        (schema("NewThing/properties"), "more", text()),
        (schema("NewThing/required"), "0", None),
        (schema("NewThing/properties/name"), "nullable", Some(json!(true))),
        (schema("Color/enum"), "", Some(json!("green"))),
        (schema("Event/discriminator/mapping"), "gone", Some(json!("#/components/schemas/MadeEvent"))),
        (SCHEMAS.to_owned(), "More", text()),
    ] {
        assert_eq!(changed(&place, name, value), Vec::<String>::new(), "{place} {name}");
    }
    assert_eq!(breaks(&document(), &document()), Vec::<String>::new());
}
