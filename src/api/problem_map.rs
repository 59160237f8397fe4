//! Which problem an error of the hub is: its code, and a text that is safe to show and says what to do. Only this module maps
//! them.
//!
//! SQL, paths and causes go only to the log.

use crate::domain::question::{Question, QuestionStatus};
use crate::executor::NotAttachable;
use crate::service::ServiceError;
use crate::store::StoreError;

use super::problem::{Code, Problem};

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
            StoreError::Late => Self::new(
                Code::QueryTimeout,
                "the hub did not find the page in the time that a query has; ask for less, with a `project` or `ready`, or \
                 sorted by `created_at`, or ask later",
            ),
            // Nobody reads this answer.
            StoreError::Abandoned => Self::internal(),
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
