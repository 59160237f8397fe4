//! A call that was refused, in words that a model can act on: a code, what went wrong, and what to do next.
//!
//! It is the result of the tool, with `isError`. Rejected: an error of JSON-RPC, which most clients hide from the model.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

use crate::api::problem::{Code, Problem};
use crate::domain::error::Invalid;
use crate::service::ServiceError;
use crate::store::StoreError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub detail: String,
    /// What the model should do.
    pub next: String,
}

impl Failure {
    pub fn new(code: Code, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code: code.to_string(), detail: detail.into(), next: next.into() }
    }

    /// A refusal that only tools give, by a code of their own.
    pub fn of_tools(code: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), next: next.into() }
    }

    /// The log is there, and the disk does not give it. Not `execution_not_found`: a model would run the script again.
    pub fn unreadable_log(error: std::io::Error) -> Self {
        tracing::error!(%error, "a log cannot be read");
        let next = "call again in a few seconds; if that does not help, tell the person";
        Self::new(Code::Unavailable, "the hub cannot read the log at the moment", next)
    }

    pub fn result(self) -> CallToolResult {
        let Self { code, detail, next } = self;
        let data = json!({ "code": code, "detail": detail, "next": next });
        let mut result = CallToolResult::structured_error(data);
        // Some clients show the model the text alone.
        result.content = vec![ContentBlock::text(format!("{code}: {detail}; {next}"))];
        result
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = problem.code();
        Self::new(code, problem.words(), next_of(code))
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        // The API speaks of routes and headers, which a tool does not have.
        let words = match &error {
            ServiceError::VersionMismatch { .. }
            | ServiceError::NoTask(_)
            | ServiceError::NoProject(_)
            | ServiceError::NoQuestion(_)
            | ServiceError::ProjectArchived(_)
            | ServiceError::QuestionsOpen(_)
            | ServiceError::NeverExecuted(_)
            | ServiceError::NoExecution { .. }
            | ServiceError::NothingToRun
            | ServiceError::KeyReused
            | ServiceError::TooManyClaims(_)
            | ServiceError::Live { .. } => Some(error.to_string()),
            _ => None,
        };
        let failure = Self::from(Problem::from(error));
        Self { detail: words.unwrap_or(failure.detail), ..failure }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Problem::from(invalid).into()
    }
}

/// What to do about a problem that a tool can meet.
pub fn next_of(code: Code) -> &'static str {
    match code {
        Code::TaskNotFound => "call list_tasks for the tasks there are",
        Code::ProjectNotFound => "leave project out",
        Code::ProjectArchived => "use another project, or ask the person to open that one again",
        Code::QuestionNotFound => "call get_task for the questions of a task",
        Code::LimitReached => "wait until some of them have ended, or tell the person",
        Code::LeaseNotFound => {
            "check the spelling: pass the lease as claim_task answered it, or as get_task shows it"
        }
        Code::LeaseLost => "stop working on that task and call claim_task",
        Code::QuestionsOpen => {
            "call ask_person with the question to wait for its answer, or ask the person to answer"
        }
        Code::QuestionAnswered => "go on with that answer",
        Code::VersionMismatch => "call get_task, then repeat the change on what it shows",
        Code::ExecutionLive => "call wait_events with events execution_event, or run_task with stop true",
        Code::ExecutionNotFound => "call run_task first, or get_task for what has run",
        Code::NothingToRun => "call run_task with script",
        Code::ExecutionEnded => "call read_log for what it wrote",
        Code::DependencyCycle => "leave one of these out of blocked_by",
        Code::CursorGone => "call wait_events without cursor",
        Code::IdempotencyKeyReused => "use another request_id",
        Code::ScopeMissing => "tell the person that this token may not do that",
        Code::InvalidField | Code::InvalidParameter | Code::InvalidJson => {
            "correct the argument and call again"
        }
        Code::StorageFull | Code::Unavailable | Code::TooManyRequests | Code::TooManyStreams => {
            "wait a few seconds and call again"
        }
        Code::TokenMissing | Code::TokenInvalid => "tell the person that the token is no longer accepted",
        _ => "do something else, or tell the person",
    }
}
