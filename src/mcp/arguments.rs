//! Reads the arguments of a call. What is wrong is refused with the name of the argument and what would be right.
//!
//! A value where a list is wanted is taken as a list of one: models leave out the brackets. A number out of its range is
//! refused, and not brought into it: the model would go on with what it has not got.

use std::borrow::Cow;

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::json_body;
use crate::api::problem::{Code, Problem};

use super::failure::Failure;
use super::schema;

/// # Errors
/// A [`Failure`] that names the argument.
pub fn read<T: DeserializeOwned>(arguments: &JsonObject, schema: &JsonObject) -> Result<T, Failure> {
    let mut arguments = Cow::Borrowed(arguments);
    if lacks_brackets(&arguments, schema) {
        add_brackets(arguments.to_mut(), schema);
    }
    refuse_out_of_range(&arguments, schema)?;
    let text = serde_json::to_vec(&*arguments).expect("JSON is always text");
    json_body::parse(&text).map_err(|problem| refused(&problem, &arguments, schema))
}

/// The arguments in `given` that are no list and should be one, or an object inside one.
fn lists(schema: &JsonObject) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .filter(|(_, property)| property["type"] == "array")
        .map(|(name, it)| (name.as_str(), &it["items"]))
}

fn lacks_brackets(given: &JsonObject, schema: &JsonObject) -> bool {
    lists(schema).any(|(name, items)| match (given.get(name), items.as_object()) {
        (Some(Value::Array(list)), Some(inner)) => {
            list.iter().filter_map(Value::as_object).any(|it| lacks_brackets(it, inner))
        }
        (None | Some(Value::Array(_) | Value::Null), _) => false,
        (Some(_), _) => true,
    })
}

fn add_brackets(given: &mut JsonObject, schema: &JsonObject) {
    for (name, items) in lists(schema) {
        let Some(value) = given.get_mut(name).filter(|value| !value.is_null()) else {
            continue;
        };
        if !value.is_array() {
            *value = Value::Array(vec![value.take()]);
        }
        let inner = items.as_object();
        for object in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            inner.into_iter().for_each(|inner| add_brackets(object, inner));
        }
    }
}

fn refuse_out_of_range(given: &JsonObject, schema: &JsonObject) -> Result<(), Failure> {
    for (name, value) in given {
        let property = &schema.get("properties").unwrap_or(&Value::Null)[name];
        let Some(number) = value.as_f64() else {
            continue;
        };
        let (minimum, maximum) = (property["minimum"].as_i64(), property["maximum"].as_i64());
        let nearest = match (minimum, maximum) {
            (Some(minimum), _) if number < minimum as f64 => minimum,
            (_, Some(maximum)) if number > maximum as f64 => maximum,
            _ => continue,
        };
        let detail = format!("{name}: {value} is out of range");
        let range = schema::range_in_words(property);
        let next = format!("{name} takes a whole number{range}; the nearest is {nearest}");
        return Err(Failure::new(Code::InvalidField, detail, next));
    }
    Ok(())
}

fn refused(problem: &Problem, arguments: &JsonObject, schema: &JsonObject) -> Failure {
    if let Some(unknown) = arguments.keys().find(|name| schema::property(schema, name).is_none()) {
        let detail = format!("{unknown}: there is no such argument");
        let known: Vec<_> = schema::names(schema).collect();
        return Failure::new(Code::InvalidField, detail, format!("use only {}", known.join(", ")));
    }
    let place = problem.field().unwrap_or_default();
    // Only what may be left out can be.
    let detail = match schema::is_required(schema, place) {
        true => problem.words().replace(", or leave it out", ""),
        false => problem.words().to_owned(),
    };
    let has_wrong_type =
        ["invalid type", "unknown value", "is required"].iter().any(|it| detail.contains(it));
    let next = match place.rsplit('.').next().unwrap_or_default() {
        "" => "correct the argument and call again".to_owned(),
        "task" => "pass the key of a task, as list_tasks shows it".to_owned(),
        "lease" => "pass the lease as claim_task answered it".to_owned(),
        "question" => "pass the question as ask_person answered it".to_owned(),
        _ if has_wrong_type => match schema::in_words(schema, place) {
            Some(words) => format!("{place} takes {words}"),
            None => format!("correct {place} and call again"),
        },
        _ => format!("correct {place} and call again"),
    };
    Failure::new(Code::InvalidField, detail, next)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[serde(rename = "status")]
        _status: Vec<crate::domain::task::Status>,
        #[serde(rename = "limit")]
        _limit: u32,
    }

    #[test]
    fn a_value_is_taken_as_a_list_of_one() {
        let inner =
            schema::object(json!({ "tags": schema::strings("labels"), "title": schema::string() }), &[]);
        let properties = json!({
            "status": { "type": "array", "items": schema::one_of(&["todo", "done"]) },
            "tasks": { "type": "array", "items": inner },
        });
        let schema = schema::object(properties, &[]);
        for (given, taken) in [
            (json!({ "status": "todo" }), json!({ "status": ["todo"] })),
            (json!({ "tasks": { "tags": "a" } }), json!({ "tasks": [{ "tags": ["a"] }] })),
            (
                json!({ "tasks": [{ "tags": "a" }, { "tags": [], "title": "t" }, 7] }),
                json!({ "tasks": [{ "tags": ["a"] }, { "tags": [], "title": "t" }, 7] }),
            ),
        ] {
            let given = given.as_object().expect("an object");
            assert!(lacks_brackets(given, &schema), "{given:?}");
            assert_eq!(read::<serde_json::Value>(given, &schema), Ok(taken));
        }
        let same = json!({ "status": ["todo"], "tasks": [], "other": "x" });
        assert!(!lacks_brackets(same.as_object().expect("an object"), &schema));
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_with_the_nearest() {
        let schema = schema::object(json!({ "wait_seconds": schema::integer(0, 45) }), &[]);
        let outcome = |number: serde_json::Value| {
            let given = json!({ "wait_seconds": number });
            let read = read::<serde_json::Value>(given.as_object().expect("an object"), &schema);
            read.map_err(|failure| failure.next)
        };
        for good in [0, 45] {
            assert!(outcome(json!(good)).is_ok(), "{good}");
        }
        let range = "wait_seconds takes a whole number from 0 to 45; the nearest is";
        for (bad, nearest) in [(json!(46), 45), (json!(-1), 0), (json!(1e30), 45), (json!(45.5), 45)] {
            assert_eq!(outcome(bad), Err(format!("{range} {nearest}")));
        }
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_would_be_right() {
        let properties = json!({
            "status": { "type": "array", "items": schema::one_of(&["todo", "done"]) },
            "limit": schema::integer(1, 50),
        });
        let schema = schema::object(properties, &["limit"]);
        let failure = |arguments: serde_json::Value| {
            let arguments = arguments.as_object().expect("an object");
            read::<Arguments>(arguments, &schema).expect_err("refused")
        };
        let wrong = failure(json!({ "status": ["doing"], "limit": 3 }));
        assert!(wrong.detail.starts_with("status[0]: "), "{}", wrong.detail);
        assert_eq!(wrong.next, "status[0] takes one of todo, done");
        let wrong = failure(json!({ "status": [], "limit": "many" }));
        assert_eq!(wrong.next, "limit takes a whole number from 1 to 50");
        let wrong = failure(json!({ "status": [], "limit": 1, "labels": [] }));
        assert_eq!(
            (wrong.detail.as_str(), wrong.next.as_str()),
            ("labels: there is no such argument", "use only status, limit")
        );
        assert_eq!(failure(json!({ "status": [] })).detail, "limit: is required");
    }
}
