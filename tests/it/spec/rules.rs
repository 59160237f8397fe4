//! What makes the document one that generators and strangers like, as rules that no linter has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use taskhub::api::spec::{DOCUMENT, json as text};

/// An operation and where it is.
struct Operation {
    place: String,
    value: &'static Value,
}

fn operations() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let found: Vec<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let operations = operations.as_object().expect("operations").iter();
            operations.map(move |(method, value)| Operation { place: format!("{method} {path}"), value })
        })
        .collect();
    assert!(found.len() >= 22, "the operations are found");
    found
}

fn schemas() -> impl Iterator<Item = (&'static String, &'static Value)> {
    DOCUMENT["components"]["schemas"].as_object().expect("schemas").iter()
}

/// What a reference refers to, or the value itself.
fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).expect("the target is there"),
        None => value,
    }
}

fn responses(operation: &Operation) -> impl Iterator<Item = (&'static String, &'static Value)> {
    let responses = operation.value["responses"].as_object().expect("responses");
    responses.iter().map(|(status, response)| (status, resolved(response)))
}

/// Calls `look` with every object of the document and the place where it is.
fn walk(value: &'static Value, place: &str, look: &mut impl FnMut(&str, &'static Value)) {
    match value {
        Value::Object(object) => {
            look(place, value);
            for (name, inner) in object {
                // Examples are no part of the description.
                if !matches!(name.as_str(), "example" | "examples") {
                    walk(inner, &format!("{place}/{name}"), look);
                }
            }
        }
        Value::Array(list) => {
            for (number, inner) in list.iter().enumerate() {
                walk(inner, &format!("{place}/{number}"), look);
            }
        }
        _ => {}
    }
}

fn is_said(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.len() > 3)
}

/// Names of SDK methods hang on it.
fn is_camel_case(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn every_operation_has_a_name_a_tag_and_words() {
    let tags: BTreeMap<_, _> = DOCUMENT["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| (tag["name"].as_str().expect("a name"), &tag["description"]))
        .collect();
    assert!(tags.values().all(|words| is_said(words)), "{tags:?}");
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for Operation { place, value } in operations() {
        let id = value["operationId"].as_str().expect("an operationId");
        assert!(is_camel_case(id), "{id}");
        assert!(ids.insert(id), "{id} twice");
        let [tag] = value["tags"].as_array().expect("tags").as_slice() else {
            panic!("{place}: one tag");
        };
        let tag = tag.as_str().expect("a tag");
        assert!(tags.contains_key(tag), "{place}: {tag}");
        used.insert(tag);
        assert!(is_said(&value["summary"]) && is_said(&value["description"]), "{place}: no words");
        assert!(value["security"].is_array(), "{place}: who may?");
    }
    assert_eq!(used, tags.keys().copied().collect(), "tags that nobody has");
}

#[test]
fn every_operation_says_what_it_answers_and_how_it_fails() {
    for operation in operations() {
        let place = &operation.place;
        let answers: BTreeMap<_, _> = responses(&operation).collect();
        assert!(answers.keys().any(|status| status.starts_with('2') && *status != "2XX"), "{place}");
        assert!(!answers.keys().any(|status| *status == "default"), "{place}: a bare default");
        let is_open = operation.value["security"] == json!([]);
        let has_body = operation.value["requestBody"].is_object();
        let has_path =
            operation.value["parameters"].as_array().is_some_and(|it| it.iter().any(|it| it["in"] == "path"));
        for (wanted, statuses) in [
            (true, &["400", "421", "4XX", "5XX"][..]),
            (!is_open, &["401", "403", "429"]),
            (has_body, &["408", "413", "415"]),
            (has_path && !answers_for_what_was_never_there(operation.value), &["404"]),
        ] {
            for status in statuses {
                assert!(!wanted || answers.contains_key(&(*status).to_owned()), "{place}: no {status}");
            }
        }
        for (status, answer) in answers {
            assert!(is_said(&answer["description"]), "{place} {status}: no words");
            if status.starts_with(['4', '5']) {
                let problem = json!({ "$ref": "#/components/schemas/Problem" });
                let content = answer["content"].as_object().expect("content");
                assert_eq!(
                    content.keys().collect::<Vec<_>>(),
                    ["application/problem+json"],
                    "{place} {status}"
                );
                assert_eq!(content["application/problem+json"]["schema"], problem, "{place} {status}");
            }
            if status == "201" {
                assert_eq!(answer["headers"]["Location"]["required"], true, "{place}: where is it?");
            }
            for (name, header) in answer["headers"].as_object().into_iter().flatten() {
                assert!(is_said(&header["description"]), "{place} {status}: {name}");
            }
        }
    }
}

/// A worker has to do the same whether its lease has ended or never was: stop. So both are 409 `lease_lost`.
fn answers_for_what_was_never_there(operation: &Value) -> bool {
    matches!(operation["operationId"].as_str(), Some("renewLease" | "returnLease"))
}

/// Whether a schema has words, or those of what it refers to.
fn is_described(schema: &'static Value) -> bool {
    is_said(&schema["description"]) || is_said(&resolved(schema)["description"])
}

#[test]
fn every_parameter_and_field_is_described() {
    for Operation { place, value } in operations() {
        for parameter in value["parameters"].as_array().into_iter().flatten() {
            assert!(is_said(&parameter["description"]), "{place}: {parameter}");
        }
    }
    for (name, schema) in schemas() {
        assert!(is_said(&schema["description"]), "{name}");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(is_described(schema), "{name}.{field}");
        }
        // Whoever chooses a word has to know what it means.
        for word in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let words = schema["description"].as_str().unwrap_or_default();
            assert!(words.contains(&format!("- `{word}`: ")) || is_plain(name), "{name}: {word}");
        }
    }
}

/// Words that need no explanation.
fn is_plain(schema: &str) -> bool {
    matches!(schema, "Priority" | "TaskField")
}

#[test]
fn every_number_and_list_of_a_request_has_bounds_and_every_number_a_format() {
    walk(&DOCUMENT, "", &mut |place, object| {
        if object["type"] == "integer" || object["type"] == "number" {
            assert!(object["format"].is_string(), "{place}: no format");
            assert!(object["minimum"].is_number(), "{place}: no minimum");
        }
    });
    for (name, schema) in schemas().filter(|(_, schema)| schema["additionalProperties"] == false) {
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let bound = match schema["type"].as_str() {
                Some("string") if schema.get("allOf").is_some() || schema["format"] == "uuid" => continue,
                Some("string") => "maxLength",
                Some("array") => "maxItems",
                Some("integer") => "maximum",
                Some("object") => "maxProperties",
                _ => continue,
            };
            assert!(schema[bound].is_number(), "{name}.{field}: no {bound}");
        }
    }
}

#[test]
fn enums_are_named_and_names_are_plain() {
    let kinds: BTreeSet<_> = ["Event", "LogEvent"].iter().flat_map(|union| members(union)).collect();
    walk(&DOCUMENT, "", &mut |place, object| {
        let Some(words) = object["enum"].as_array() else { return };
        let component = place.strip_prefix("/components/schemas/").unwrap_or_else(|| panic!("{place}"));
        // The word of a kind of message belongs to it alone: types narrow on it.
        let is_kind = words.len() == 1
            && component.strip_suffix("/properties/event").is_some_and(|it| kinds.contains(it));
        assert!(is_kind || !component.contains('/'), "{place} is an enum without a name");
    });
    for (name, _) in schemas() {
        let is_pascal_case = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_pascal_case, "{name}");
    }
}

/// The schemas that a union refers to.
fn members(union: &str) -> Vec<String> {
    let parts = DOCUMENT["components"]["schemas"][union]["oneOf"].as_array().expect("oneOf");
    let name = |part: &Value| {
        part["$ref"].as_str().expect("a reference")["#/components/schemas/".len()..].to_owned()
    };
    parts.iter().map(name).collect()
}

#[test]
fn messages_are_unions_of_flat_objects_that_every_generator_narrows() {
    for union in ["Event", "LogEvent"] {
        let schema = &DOCUMENT["components"]["schemas"][union];
        assert_eq!(schema["discriminator"]["propertyName"], "event", "{union}");
        assert_eq!(schema.get("type"), None, "{union}: a type beside oneOf");
        let mapping = schema["discriminator"]["mapping"].as_object().expect("a mapping");
        let mut mapped = BTreeSet::new();
        for (word, target) in mapping {
            let name = target.as_str().expect("a target").rsplit('/').next().expect("a name");
            let kind = &DOCUMENT["components"]["schemas"][name];
            assert_eq!(kind["properties"]["event"]["enum"], json!([word]), "{name}");
            assert_eq!(kind["properties"]["event"]["type"], "string", "{name}");
            assert_eq!(kind["required"], json!(["id", "event", "data", "timestamp"]), "{name}");
            assert_eq!(kind["type"], "object", "{name}");
            assert!(kind.get("allOf").is_none() && kind.get("oneOf").is_none(), "{name} is not flat");
            assert!(mapped.insert(name.to_owned()), "{name} twice");
        }
        assert_eq!(mapped, members(union).into_iter().collect(), "{union}");
    }
    let stream = &DOCUMENT["paths"]["/api/events/stream"]["get"]["responses"]["200"]["content"];
    let event = json!({ "$ref": "#/components/schemas/Event" });
    assert_eq!(stream["text/event-stream"]["schema"], event);
    // Every SDK gets a parser for it, also one that cannot stream.
    let list = &DOCUMENT["paths"]["/api/events"]["get"]["responses"]["200"]["content"];
    assert_eq!(list["application/json"]["schema"], json!({ "type": "array", "items": event }));
}

#[test]
fn nothing_is_in_the_document_that_generators_stumble_over() {
    assert_eq!(DOCUMENT["openapi"], "3.0.3");
    walk(&DOCUMENT, "", &mut |place, object| {
        let members = object.as_object().expect("an object");
        if members.get("$ref").is_some_and(Value::is_string) {
            assert_eq!(members.len(), 1, "{place}: siblings of a $ref");
        }
        assert!(!says_nothing(members), "{place}: null or an empty text");
        if let Some(content) = object["content"].as_object() {
            assert!(content.keys().all(|kind| !kind.contains(';')), "{place}: a charset");
        }
        if object["in"].is_string() && object["required"] != true {
            assert_eq!(object["schema"].get("example"), None, "{place}: Swagger UI would send it");
        }
        if object["nullable"] == true {
            assert!(object["type"].is_string(), "{place}: nullable says nothing without a type");
        }
    });
    for (name, schema) in schemas() {
        assert!(schema.get("nullable").is_none(), "{name}: a nullable component");
    }
}

/// Whether a member is there and says nothing. A default may be empty.
fn says_nothing(object: &Map<String, Value>) -> bool {
    object.iter().any(|(name, value)| name != "default" && (value.is_null() || *value == json!("")))
}

#[test]
fn the_document_is_the_same_each_time_it_is_made() {
    let output = std::process::Command::new(crate::harness::BINARY).arg("openapi").output().expect("it runs");
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), text());
}

#[test]
fn streams_say_how_to_have_them_and_how_to_come_back() {
    for path in ["/api/events/stream", "/api/exec/{task_id}/logs/stream"] {
        let operation = &DOCUMENT["paths"][path]["get"];
        let words = operation["description"].as_str().expect("words");
        for said in [
            "curl -N http://localhost:8000",
            "Try it out",
            "`id: …`",
            "`data: …`",
            "retry: 3000",
            "goodbye",
            "reset",
        ] {
            assert!(words.contains(said), "{path} does not speak of {said}");
        }
        for said in ["keepalive", "Last-Event-ID", "last_event_id", "x-ndjson"] {
            assert!(words.contains(said), "{path} does not speak of {said}");
        }
        assert!(words.contains(path), "{path}: its curl line leads elsewhere");
    }
}

#[test]
fn the_word_of_an_event_is_named_unlike_its_variant_of_the_union() {
    let union = |schema: &Value| schema["oneOf"].as_array().cloned().unwrap_or_default();
    let mut variants = 0;
    for (union_name, variant) in
        schemas().flat_map(|(name, schema)| union(schema).into_iter().map(move |it| (name, it)))
    {
        let name = variant["$ref"].as_str().expect("a reference").rsplit('/').next().expect("a name");
        let word = &DOCUMENT["components"]["schemas"][name]["properties"]["event"];
        assert!(word["x-ogen-name"].is_string(), "{name}");
        assert_ne!(word["x-ogen-name"], format!("{name}{union_name}"), "{name}");
        variants += 1;
    }
    assert!(variants >= 14, "{variants}");
}
