//! Errors as problem details (RFC 9457): how one is built, and how it is sent.
//!
//! `problem_map` says which problem an error of the hub is. SQL, paths and causes go only to the log.

use poem::error::ResponseError;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::domain::error::Invalid;

pub use super::problem_code::Code;

/// How many seconds a client should wait before it tries again, when the hub cannot write or the
/// client has too many streams.
const RETRY_AFTER_SECONDS: &str = "5";

/// An error, after RFC 9457. `detail` says what to do about it.
#[derive(Debug, Clone, Object, Serialize)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// `urn:taskhub:problem:` and the code.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub status: u16,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, and what to do about it, for people.
    pub detail: String,
    /// The field of the request that is wrong, if it is one; otherwise null.
    #[oai(nullable)]
    pub field: Option<String>,
}

/// A problem on its way to a client.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    header: Option<(HeaderName, String)>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, header: None }
    }

    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same problem of a part of the request.
    pub fn inside(self, part: &str) -> Self {
        let field = match &self.field {
            Some(field) => format!("{part}.{field}"),
            None => part.to_owned(),
        };
        Self { detail: format!("{part}: {}", self.detail), field: Some(field), ..self }
    }

    /// What is sent of it.
    pub fn body(self) -> ProblemBody {
        let status = self.code.status();
        ProblemBody {
            kind: format!("urn:taskhub:problem:{}", self.code),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: self.code,
            detail: match self.code.page() {
                Some(page) => format!("{} (see {page})", self.detail),
                None => self.detail,
            },
            field: self.field,
        }
    }

    /// The same text, with the status of a hub that cannot serve.
    pub fn unavailable(self) -> Self {
        Self { code: Code::Unavailable, ..self }
    }

    /// Adds the methods that the path supports (RFC 9110, section 15.5.6).
    pub fn with_allow(mut self, methods: String) -> Self {
        self.header = Some((header::ALLOW, methods));
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Adds the challenge, which says how to authenticate (RFC 9110, section 11.6.1).
    pub fn with_challenge(mut self, challenge: String) -> Self {
        self.header = Some((header::WWW_AUTHENTICATE, challenge));
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    /// What went wrong, without what follows from the code.
    pub fn words(&self) -> &str {
        &self.detail
    }

    /// The field of the request that is wrong, if it is one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    pub fn internal() -> Self {
        Self::new(Code::Internal, "the hub failed; its log says why")
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = format!("{}: {}", invalid.field, invalid.message);
        Self::new(Code::InvalidField, detail).with_field(invalid.field)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, status, header) = (self.code, self.code.status(), self.header.clone());
        let body = self.body();
        let bytes = serde_json::to_vec(&body).expect("a problem is always JSON");
        let mut response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/problem+json")
            .body(bytes);
        let headers = response.headers_mut();
        if let Some((name, words)) = header
            && let Ok(value) = HeaderValue::from_str(&words)
        {
            headers.insert(name, value);
        }
        if matches!(code, Code::StorageFull | Code::Unavailable | Code::QueryTimeout | Code::TooManyStreams) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// Carries a problem through the framework's error type.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.detail)]
pub struct ProblemError(pub Problem);

impl ResponseError for ProblemError {
    fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    fn as_response(&self) -> Response {
        self.0.clone().into_response()
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        ProblemError(problem).into()
    }
}

/// A problem of an operation. `SET` has a bit of [`problems`] for each kind that the operation may
/// answer, and the specification lists these.
#[derive(Debug)]
pub struct Problems<const SET: u16>(Problem);

/// The bits of [`Problems`].
pub mod problems {
    pub const NOT_FOUND: u16 = 1;
    pub const CONFLICT: u16 = 1 << 1;
    pub const PRECONDITION_FAILED: u16 = 1 << 2;
    pub const BODY: u16 = 1 << 3;
    pub const UNPROCESSABLE: u16 = 1 << 4;
    pub const GONE: u16 = 1 << 5;
    pub const RANGE: u16 = 1 << 6;
    pub const NONE: u16 = 0;
}

impl<const SET: u16, E: Into<Problem>> From<E> for Problems<SET> {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<const SET: u16> From<Problems<SET>> for poem::Error {
    fn from(problems: Problems<SET>) -> Self {
        problems.0.into()
    }
}

impl<const SET: u16> ApiResponse for Problems<SET> {
    fn meta() -> MetaResponses {
        use problems::*;
        let listed: [(u16, u16); 9] = [
            (NOT_FOUND, 404),
            (BODY, 408),
            (CONFLICT, 409),
            (GONE, 410),
            (PRECONDITION_FAILED, 412),
            (BODY, 413),
            (BODY, 415),
            (RANGE, 416),
            (UNPROCESSABLE, 422),
        ];
        // `spec/answers.rs` adds the descriptions, and the problems that the layers in front
        // answer.
        let response = |status, range: Option<&str>| MetaResponse {
            description: "",
            status,
            status_range: range.map(str::to_owned),
            content: vec![MetaMediaType {
                content_type: "application/problem+json",
                schema: ProblemBody::schema_ref(),
            }],
            headers: vec![],
        };
        let exact = listed.into_iter().filter(|(bit, _)| SET & bit != 0);
        let exact = exact.map(|(_, status)| response(Some(status), None));
        let ranges = ["4XX", "5XX"].into_iter().map(|range| response(None, Some(range)));
        MetaResponses { responses: exact.chain(ranges).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}
