//! Errors as problem details (RFC 9457). Only this module maps an error to a status, a code and a
//! text that is safe to show.
//!
//! The texts for clients are written here. SQL, paths and causes go only to the log.

use poem::error::ResponseError;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::domain::error::Invalid;
use crate::domain::question::{Question, QuestionStatus};
use crate::executor::NotAttachable;
use crate::service::ServiceError;
use crate::store::StoreError;

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

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(
                Code::StorageFull,
                "the hub's disk is full; nothing was changed, try again once there is room",
            ),
            StoreError::Unreachable(_) | StoreError::File(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be reached");
                Self::new(
                    Code::Unavailable,
                    "the hub cannot reach its database at the moment; nothing was changed, try again",
                )
            }
            StoreError::Gone => {
                tracing::error!("the database was removed or replaced; restart the hub");
                Self::new(
                    Code::Unavailable,
                    "the hub's database was removed or replaced; nothing can be kept until its operator restarts the hub",
                )
            }
            StoreError::Damaged(_) => Self::new(
                Code::Unavailable,
                "the hub's database is damaged, and nothing is written any more; its operator has to restore a backup",
            ),
            StoreError::Closed => Self::new(Code::Unavailable, "the hub is shutting down; try again"),
            StoreError::Aborted | StoreError::Database(_) | StoreError::Corrupt(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let words = error.to_string();
        match error {
            ServiceError::NoTask(_) | ServiceError::NoTaskOf(_) => Self::new(Code::TaskNotFound, words),
            ServiceError::NoProject(_) => {
                Self::new(Code::ProjectNotFound, format!("{words}; `GET /api/projects` lists them"))
            }
            ServiceError::ProjectExists(_) => {
                Self::new(Code::ProjectExists, format!("{words}; choose another name, or change that one"))
            }
            ServiceError::NoQuestion(_) => {
                Self::new(Code::QuestionNotFound, format!("{words}; `GET /api/questions` lists them"))
            }
            ServiceError::QuestionEnded(question) => Self::new(Code::QuestionAnswered, ended(&question)),
            ServiceError::TooManyQuestions(_) => {
                Self::new(Code::LimitReached, format!("{words}; wait until one is answered"))
            }
            ServiceError::ProjectInUse(..) => {
                Self::new(Code::ProjectInUse, format!("{words}, so it stays; archive it instead"))
            }
            ServiceError::ProjectArchived(_) => Self::new(
                Code::ProjectArchived,
                format!("{words}; open it again with PATCH and `\"archived\": false`, or name another"),
            ),
            ServiceError::BeyondProjects => {
                Self::new(Code::ScopeMissing, format!("{words}; use a token that is bound to none"))
            }
            ServiceError::TooManyProjects(_) => {
                Self::new(Code::LimitReached, format!("{words}; delete one without tasks"))
            }
            ServiceError::Cycle(_) => {
                Self::new(Code::DependencyCycle, format!("{words}; leave one of these out"))
                    .with_field("blocked_by")
            }
            ServiceError::TooManyDependents(_) | ServiceError::TooManyDependencies(_) => {
                Self::new(Code::LimitReached, format!("{words}; put a task in between"))
                    .with_field("blocked_by")
            }
            ServiceError::NotThere(_) => {
                let detail = format!("min_cursor: {words}, or not yet; use a `Taskhub-Cursor` of this hub");
                Self::new(Code::CursorGone, detail).with_field("min_cursor")
            }
            ServiceError::NoLease(_) => {
                Self::new(Code::LeaseNotFound, format!("{words}: it has ended, or there never was one"))
            }
            ServiceError::BatchTooLarge => Self::new(
                Code::LimitReached,
                format!("{words}; send this operation and those that follow in another batch"),
            ),
            ServiceError::TooManyClaims(_) => {
                Self::new(Code::LimitReached, format!("{words}; ask without `wait_seconds`, or later"))
            }
            ServiceError::LeaseLost(_) => Self::new(
                Code::LeaseLost,
                format!("{words}: it has expired, was given back or was taken away; claim a task again"),
            ),
            ServiceError::QuestionsOpen(_) => Self::new(
                Code::QuestionsOpen,
                format!("{words}; wait for their answers, or report the status `review`"),
            ),
            ServiceError::NeverExecuted(_) => {
                Self::new(Code::ExecutionNotFound, format!("{words}; POST starts an execution"))
            }
            ServiceError::NoExecution { .. } => {
                Self::new(Code::ExecutionNotFound, format!("{words}; `GET /api/executions` lists them"))
            }
            ServiceError::Invalid(invalid) => invalid.into(),
            ServiceError::VersionMismatch { current } => Self::new(
                Code::VersionMismatch,
                format!(
                    "the ETag is \"{current}\" (with its quotes), which If-Match does not name; get the task \
                     again and repeat the change on it"
                ),
            ),
            ServiceError::KeyReused => {
                Self::new(Code::IdempotencyKeyReused, format!("{words}; use a new key for a new request"))
            }
            ServiceError::Live { .. } => {
                Self::new(Code::ExecutionLive, format!("{words}; stop it first or wait for its end"))
            }
            ServiceError::HasScript => {
                Self::new(Code::ScopeMissing, format!("{words}; use a token with the scope `exec`"))
            }
            ServiceError::NothingToRun => Self::new(
                Code::NothingToRun,
                format!("{words}; send `script_content`, or set the task's `script`"),
            ),
            ServiceError::Ended(_) => Self::new(Code::ExecutionEnded, format!("{words}; start a new one")),
            ServiceError::Store(error) => error.into(),
        }
    }
}

/// How a question has ended, with its answer.
fn ended(question: &Question) -> String {
    let how = match (question.status, &question.answer) {
        (QuestionStatus::Expired, Some(answer)) => {
            format!("has expired with its default {:?}", answer.as_str())
        }
        (QuestionStatus::Expired, None) => "has expired without an answer".to_owned(),
        (_, Some(answer)) => format!("was answered already: {:?}", answer.as_str()),
        (_, None) => "has ended".to_owned(),
    };
    format!("the question {how}; `GET /api/questions/{}` has the whole", question.id)
}

impl From<NotAttachable> for Problem {
    fn from(error: NotAttachable) -> Self {
        let (code, advice) = match error {
            NotAttachable::Ended(_) => (Code::ExecutionEnded, "its log holds what it wrote"),
            NotAttachable::Queued => (Code::NotAttachable, "wait for `started`"),
            NotAttachable::Changing => (Code::NotAttachable, "ask again in a moment"),
            NotAttachable::PlainProcess => (
                Code::NotAttachable,
                "follow its log instead, or have the hub started with `--sessions tmux`",
            ),
        };
        Self::new(code, format!("{error}; {advice}"))
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
        if matches!(code, Code::StorageFull | Code::Unavailable | Code::TooManyStreams) {
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
