//! Examples: everywhere where somebody begins by copying one, and each of them right.

use serde_json::{Value, json};
use taskhub::api::spec::DOCUMENT;

use crate::contract;

/// Every schema with an example, of whatever it is an example.
fn shown() -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    collect(&DOCUMENT, "", &mut found);
    found
}

fn collect(value: &Value, place: &str, found: &mut Vec<(String, Value, Value)>) {
    let Some(object) = value.as_object() else {
        for (number, inner) in value.as_array().into_iter().flatten().enumerate() {
            collect(inner, &format!("{place}/{number}"), found);
        }
        return;
    };
    let mut examples: Vec<_> = object.get("example").into_iter().cloned().collect();
    let named = object.get("examples").and_then(Value::as_object).into_iter().flatten();
    examples.extend(named.map(|(_, example)| example["value"].clone()));
    // A media type, a parameter and a header have a schema; a schema is one.
    let schema = object.get("schema").unwrap_or(value);
    for example in examples {
        found.push((place.to_owned(), schema.clone(), example));
    }
    for (name, inner) in object.iter().filter(|(name, _)| !matches!(name.as_str(), "example" | "examples")) {
        collect(inner, &format!("{place}/{name}"), found);
    }
}

#[test]
fn every_example_fits_its_schema() {
    let shown = shown();
    assert!(shown.len() > 100, "the examples are found");
    for (place, schema, example) in shown {
        contract::assert_value_fits(&schema, &example, &place);
    }
}

#[test]
fn every_request_and_every_answer_has_an_example() {
    for (path, operations) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let answers = operation["responses"].as_object().expect("responses").values();
            let bodies = std::iter::once(&operation["requestBody"]).chain(answers);
            for (kind, media) in bodies.filter_map(|it| it["content"].as_object()).flatten() {
                let has = |name| media.get(name).is_some();
                assert!(has("example") || has("examples"), "{method} {path}: no example of {kind}");
            }
        }
    }
    for (name, answer) in DOCUMENT["components"]["responses"].as_object().expect("responses") {
        let Some(problem) = answer["content"].get("application/problem+json") else {
            assert!(answer["content"]["application/json"]["example"].is_object(), "{name}: no example");
            continue;
        };
        let example = &problem["example"];
        assert_eq!(
            example["type"],
            json!(format!("urn:taskhub:problem:{}", example["code"].as_str().expect(name)))
        );
    }
}

/// A problem that is shown for a status has that status.
#[test]
fn examples_of_problems_have_the_status_they_stand_for() {
    for operations in DOCUMENT["paths"].as_object().expect("paths").values() {
        for operation in operations.as_object().expect("operations").values() {
            for (status, answer) in operation["responses"].as_object().expect("responses") {
                let Some(reference) = answer["$ref"].as_str() else { continue };
                let answer = DOCUMENT.pointer(&reference[1..]).expect("it is there");
                let Some(problem) = answer["content"].get("application/problem+json") else { continue };
                let example = problem["example"]["status"].to_string();
                let stands = status.trim_end_matches('X');
                assert!(example.starts_with(stands), "{reference} shows {example} for {status}");
            }
        }
    }
}
