//! Turns errors of poem and poem-openapi, raised before a handler is called, into problems.

use poem::error::ParsePathError as PoemPathError;
use poem::http::StatusCode;
use poem::{IntoResponse, Response};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError};

use crate::api::problem::{Code, Problem, ProblemError};

use super::operation::{self, Template};

/// The answer for an error of the framework in a request to `path`.
pub fn answer(error: poem::Error, path: &str) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    if let Some(ProblemError(problem)) = error.downcast_ref() {
        return problem.clone().into_response();
    }
    let status = error.status();
    let problem = if let Some(it) = error.downcast_ref::<ParseParamError>() {
        parameter(it.name, &it.reason, "is required")
    } else if let Some(it) = error.downcast_ref::<ParsePathError>() {
        // poem-openapi numbers the parameters of a path; the specification knows their names.
        let number = it.name.strip_prefix("param").and_then(|digits| digits.parse().ok());
        let name = number.and_then(|number| operation::at(path)?.parameter(number));
        // A path parameter is never absent. The router sees it as absent when it does not decode.
        parameter(name.unwrap_or(it.name), &it.reason, "is not UTF-8")
    } else if error.downcast_ref::<ContentTypeError>().is_some() {
        let detail = "send the body as JSON, with the header `Content-Type: application/json`";
        Problem::new(Code::UnsupportedMediaType, detail)
    } else if status == StatusCode::METHOD_NOT_ALLOWED {
        // A path without operations is a page.
        let methods = operation::at(path).map_or_else(|| "GET, HEAD".to_owned(), Template::methods);
        let detail = format!("the path exists, but only with {methods}");
        Problem::new(Code::MethodNotAllowed, detail).with_allow(methods)
    } else if status == StatusCode::NOT_FOUND || error.downcast_ref::<PoemPathError>().is_some() {
        Problem::new(Code::RouteNotFound, "nothing is here; /docs lists what there is")
    } else if status.is_client_error() {
        Problem::new(Code::InvalidParameter, error.to_string())
    } else {
        tracing::error!(error = %error, "a request failed");
        Problem::internal()
    };
    problem.into_response()
}

fn parameter(name: &str, reason: &str, absent: &str) -> Problem {
    // poem-openapi puts a prefix before the messages of our own parsers.
    let words = reason
        .strip_prefix("failed to parse \"")
        .and_then(|rest| rest.split_once("\": "))
        .map_or(reason, |(_, words)| words);
    let words = &bound(words).unwrap_or_else(|| words.to_owned());
    let words = match words.starts_with("Type \"") && words.ends_with("expects an input value.") {
        true => absent,
        false => words,
    };
    Problem::new(Code::InvalidParameter, format!("{name}: {words}")).with_field(name)
}

/// poem-openapi reports a broken bound as `verification failed. maximum(500, exclusive: false)`.
fn bound(words: &str) -> Option<String> {
    let (name, rest) = words.strip_prefix("verification failed. ")?.split_once('(')?;
    let value = rest.split([',', ')']).next()?;
    Some(match name {
        "minimum" => format!("must be at least {value}"),
        "maximum" => format!("must be at most {value}"),
        "minLength" => format!("must have at least {value} characters"),
        "maxLength" => format!("must have at most {value} characters"),
        "pattern" => "has characters that are not allowed".to_owned(),
        _ => return None,
    })
}
