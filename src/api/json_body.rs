//! Reads and writes JSON with serde alone: one codec for requests, responses, the store and the
//! stream.
//!
//! poem-openapi describes the types, but does not parse or write them. Rejected: its own `Json`. It
//! encodes a value through a map of its own, and its error for a wrong body does not name the
//! place.

use poem::http::header;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::error::ContentTypeError;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};

/// A JSON body.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

impl<T: Type> Payload for JsonBody<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        is_json(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// `application/json` or any `application/…+json`, such as `application/merge-patch+json`.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.strip_prefix("application/") {
        Some(subtype) => subtype == "json" || subtype.ends_with("+json"),
        None => false,
    }
}

/// Lines of JSON.
pub fn is_ndjson(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-ndjson")
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: T::schema_ref() }],
            required: T::IS_REQUIRED,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        // The intake has already read the body, within its limits.
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        match request.content_type() {
            Some(content_type) if is_json(content_type) => {}
            None if bytes.is_empty() && !T::IS_REQUIRED => {}
            None => return Err(ContentTypeError::ExpectContentType.into()),
            Some(other) => {
                return Err(ContentTypeError::NotSupported { content_type: other.to_owned() }.into());
            }
        }
        let text: &[u8] = match bytes.is_empty() && !T::IS_REQUIRED {
            true => b"null",
            false => &bytes,
        };
        Ok(Self(parse(text)?))
    }
}

/// # Errors
/// A [`Problem`] that names the place.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // serde accepts an array for an object and takes its elements as the fields in order. The
    // specification does not allow that.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(Code::InvalidField, "the body is an array; send an object"));
    }
    if text.is_empty() {
        return Err(Problem::new(Code::InvalidJson, "the body is empty; send a JSON object"));
    }
    let mut from = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return Problem::new(Code::InvalidJson, format!("the body is not JSON: {inner}"));
        }
        let words = in_plain_words(&without_position(&inner));
        let about = |field: &str, words: &str| {
            Problem::new(Code::InvalidField, format!("{field}: {words}")).with_field(field)
        };
        match words.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            Some(field) => about(field, "is required"),
            None if path == "." => Problem::new(Code::InvalidField, words),
            None => about(&path, &words),
        }
    })?;
    from.end().map_err(|error| Problem::new(Code::InvalidJson, format!("the body is not JSON: {error}")))?;
    Ok(value)
}

/// Removes the position that serde_json appends to messages about values. The path in the problem
/// is more useful.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// serde names Rust's types. Clients know JSON's types.
fn in_plain_words(words: &str) -> String {
    let words = words.replace("a sequence", "a list").replace("a map", "an object");
    let Some((before, expected)) = words.rsplit_once(", expected ") else {
        return words;
    };
    let plain = match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") || other.starts_with("variant ") => {
            "one of the words that there are"
        }
        other => other,
    };
    format!("{before}, expected {plain}")
}

impl<T: Serialize + Send> IntoResponse for JsonBody<T> {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.0).expect("API types have string keys and no fallible parts");
        Response::builder().header(header::CONTENT_TYPE, "application/json").body(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_of_rust_is_named() {
        for (words, plain) in [
            (
                "invalid type: floating point `5.0`, expected u32",
                "invalid type: floating point `5.0`, expected a whole number",
            ),
            ("invalid type: map, expected f64", "invalid type: map, expected a number"),
            ("invalid type: null, expected struct TaskDraft", "invalid type: null, expected an object"),
            ("unknown field `x`, expected one of `a`, `b`", "unknown field `x`, expected one of `a`, `b`"),
        ] {
            assert_eq!(in_plain_words(words), plain);
        }
    }

    #[test]
    fn json_goes_by_several_names() {
        for name in ["application/json", "Application/JSON ; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(name), "{name}");
        }
        for name in ["", "json", "text/json", "application/jsonl", "application/json+x", "xapplication/json"]
        {
            assert!(!is_json(name), "{name}");
        }
    }
}
