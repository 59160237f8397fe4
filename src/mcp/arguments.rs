//! Reads the arguments of a call. What is wrong is refused with the name of the argument and what would be right.

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;

use crate::api::json_body;
use crate::api::problem::{Code, Problem};

use super::failure::Failure;
use super::schema;

/// # Errors
/// A [`Failure`] that names the argument.
pub fn read<T: DeserializeOwned>(arguments: &JsonObject, schema: &JsonObject) -> Result<T, Failure> {
    let text = serde_json::to_vec(arguments).expect("JSON is always text");
    json_body::parse(&text).map_err(|problem| refused(&problem, arguments, schema))
}

fn refused(problem: &Problem, arguments: &JsonObject, schema: &JsonObject) -> Failure {
    let known = schema.get("properties").and_then(|properties| properties.as_object());
    let known: Vec<_> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
        let detail = format!("{unknown}: there is no such argument");
        return Failure::new(Code::InvalidField, detail, format!("use only {}", known.join(", ")));
    }
    // `tags[2]` is about `tags`.
    let argument = problem.field().map(|field| field.split(['.', '[']).next().unwrap_or_default());
    let right = argument
        .and_then(|argument| Some(format!("{argument} takes {}", schema::in_words(schema, argument)?)));
    let next = right.unwrap_or_else(|| "correct the argument and call again".to_owned());
    Failure::new(Code::InvalidField, problem.words(), next)
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
    fn a_wrong_argument_is_named_with_what_would_be_right() {
        let properties = json!({
            "status": { "type": "array", "items": schema::one_of(&["todo", "done"]) },
            "limit": schema::integer(1, 50),
        });
        let schema = schema::object(properties, &[]);
        let failure = |arguments: serde_json::Value| {
            let arguments = arguments.as_object().expect("an object");
            read::<Arguments>(arguments, &schema).expect_err("refused")
        };
        let wrong = failure(json!({ "status": ["doing"], "limit": 3 }));
        assert!(wrong.detail.starts_with("status[0]: "), "{}", wrong.detail);
        assert_eq!(wrong.next, "status takes a list of one of todo, done");
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
