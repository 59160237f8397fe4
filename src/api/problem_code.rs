//! What can go wrong: a closed vocabulary. Programs can rely on these codes.

use poem::http::StatusCode;

use crate::domain::schema::word_enum;

word_enum! {
    /// What went wrong, for programs. Codes are stable; more may be added.
    Code {
        /// (400) the body is not JSON
        InvalidJson = "invalid_json",
        /// (400) a field of the body breaks its rule; `field` names it
        InvalidField = "invalid_field",
        /// (400) a parameter of the path, the query or a header breaks its rule, or is not known; `field` names it
        InvalidParameter = "invalid_parameter",
        /// (400) there is not exactly one good `Host` header
        InvalidHost = "invalid_host",
        /// (404) there is nothing at this path
        RouteNotFound = "route_not_found",
        /// (404) there is no such task, or not any more
        TaskNotFound = "task_not_found",
        /// (404) there is no such project, or not any more
        ProjectNotFound = "project_not_found",
        /// (409) there is a project of this name already
        ProjectExists = "project_exists",
        /// (409) the project has tasks, or is the one that every hub has
        ProjectInUse = "project_in_use",
        /// (409) the project is archived and takes no new tasks
        ProjectArchived = "project_archived",
        /// (409) the tasks would wait for each other
        DependencyCycle = "dependency_cycle",
        /// (409) the lease is not, or no longer, in force; nothing was changed
        LeaseLost = "lease_lost",
        /// (409) a worker calls a task done that waits for answers
        QuestionsOpen = "questions_open",
        /// (409) there are as many as there can be
        LimitReached = "limit_reached",
        /// (404) there is no such lease in force
        LeaseNotFound = "lease_not_found",
        /// (404) there is no such question, or not any more
        QuestionNotFound = "question_not_found",
        /// (409) the question has an answer already, or has expired; `detail` tells the answer, and `getQuestion` has it
        QuestionAnswered = "question_answered",
        /// (404) there is no such execution, or it has no log yet, or not any more
        ExecutionNotFound = "execution_not_found",
        /// (410) this route is of an earlier system and not served any more
        RouteGone = "route_gone",
        /// (409) this hub mirrors no Markdown files
        NoMirror = "no_mirror",
        /// (405) the path has other methods; `Allow` names them
        MethodNotAllowed = "method_not_allowed",
        /// (408) the body did not arrive in time
        RequestTimeout = "request_timeout",
        /// (413) the body has more bytes than the hub takes
        BodyTooLarge = "body_too_large",
        /// (415) the body is not declared as JSON
        UnsupportedMediaType = "unsupported_media_type",
        /// (416) `Range` asks for bytes beyond the end
        RangeNotSatisfiable = "range_not_satisfiable",
        /// (421) `Host` names a host that this hub does not answer for
        HostNotAllowed = "host_not_allowed",
        /// (403) a page of another site asks for a change
        CrossSite = "cross_site",
        /// (401) this hub asks for a token, and there is none
        TokenMissing = "token_missing",
        /// (401) the token or ticket is unknown, used, revoked or expired
        TokenInvalid = "token_invalid",
        /// (403) the token does not allow this
        ScopeMissing = "scope_missing",
        /// (429) the client asks more often than the operator allows; wait as long as `Retry-After` says
        TooManyRequests = "too_many_requests",
        /// (429) the client has as many streams open as it may
        TooManyStreams = "too_many_streams",
        /// (412) what was to be changed or read is at another version than `If-Match` or `If-Unmodified-Since` names
        VersionMismatch = "version_mismatch",
        /// (422) the `Idempotency-Key` was used for another request
        IdempotencyKeyReused = "idempotency_key_reused",
        /// (409) an execution of the task is queued or running
        ExecutionLive = "execution_live",
        /// (409) the execution has ended already
        ExecutionEnded = "execution_ended",
        /// (409) neither the request nor the task nor the hub has a script
        NothingToRun = "nothing_to_run",
        /// (409) there is no terminal to attach to
        NotAttachable = "not_attachable",
        /// (410) the place is not, or no longer, in the log; begin with `since=earliest`
        CursorGone = "cursor_gone",
        /// (507) the hub's disk is full; nothing was changed
        StorageFull = "storage_full",
        /// (503) the hub cannot reach its database, or is shutting down; nothing was changed
        Unavailable = "unavailable",
        /// (503) the query took longer than a query may; ask for less or ask later
        QueryTimeout = "query_timeout",
        /// (500) the hub failed; its log says why
        Internal = "internal",
    }
}

impl Code {
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::InvalidField | Self::InvalidParameter | Self::InvalidHost => {
                StatusCode::BAD_REQUEST
            }
            Self::RouteNotFound
            | Self::TaskNotFound
            | Self::ProjectNotFound
            | Self::LeaseNotFound
            | Self::QuestionNotFound
            | Self::ExecutionNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::HostNotAllowed => StatusCode::MISDIRECTED_REQUEST,
            Self::TokenMissing | Self::TokenInvalid => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::ScopeMissing => StatusCode::FORBIDDEN,
            Self::TooManyRequests | Self::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
            Self::VersionMismatch => StatusCode::PRECONDITION_FAILED,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ExecutionLive
            | Self::ExecutionEnded
            | Self::NothingToRun
            | Self::NotAttachable
            | Self::NoMirror
            | Self::ProjectExists
            | Self::ProjectInUse
            | Self::ProjectArchived
            | Self::DependencyCycle
            | Self::LeaseLost
            | Self::QuestionsOpen
            | Self::QuestionAnswered
            | Self::LimitReached => StatusCode::CONFLICT,
            Self::CursorGone | Self::RouteGone => StatusCode::GONE,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable | Self::QueryTimeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Code {
    /// The page of the documentation that explains this code, as a path in the repository.
    pub fn page(self) -> Option<&'static str> {
        Some(match self {
            Self::TokenMissing | Self::TokenInvalid | Self::ScopeMissing => "docs/security.md#tokens",
            Self::HostNotAllowed | Self::CrossSite => "docs/operations.md#behind-a-proxy",
            Self::TooManyRequests | Self::TooManyStreams | Self::BodyTooLarge => "docs/security.md#limits",
            Self::CursorGone => "docs/stream.md#resume-after-a-break",
            Self::NothingToRun => "docs/executions.md#what-is-run",
            Self::NotAttachable => "docs/executions.md#attach-a-terminal",
            Self::DependencyCycle => "docs/tasks.md#what-waits-for-what",
            Self::LeaseLost => "docs/tasks.md#claim-a-task",
            Self::StorageFull => "docs/operations.md#what-lies-in-the-data-directory",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::spec;

    #[test]
    fn every_code_has_an_error_status_and_says_it() {
        for code in Code::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error(), "{code}");
            let words = format!("\n- `{code}`: ({}) ", status.as_u16());
            let said = spec::DOCUMENT["components"]["schemas"]["Code"]["description"].as_str();
            assert!(
                said.is_some_and(|said| said.contains(&words)),
                "the words of {code} name another status"
            );
        }
    }
}
