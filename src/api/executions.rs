//! The operations on executions.

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::domain::event::EventId;
use crate::domain::execution::{Execution, ExecutionRequest, ExecutionStatus};
use crate::domain::id::{ExecutionId, LeaseId, TaskId};
use crate::service::{Service, Stamped};
use crate::store::ExecutionQuery;

use super::comma_list::CommaList;
use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT, NONE, NOT_FOUND, UNPROCESSABLE};
use super::{ApiContext, Tags, conditional};

#[derive(Debug)]
pub struct ExecutionApi;

/// How to attach a terminal to a running execution.
#[derive(Debug, Object, Serialize)]
pub struct ExecutionAttachment {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The name of its session: `taskhub-{number}`.
    pub session_name: String,
    /// What to type in a shell on the hub's machine, as the user that the hub runs as.
    pub command: String,
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionReply {
    /// The execution as it stands now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Execution>,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionFoundReply {
    /// The execution as it stands now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Execution>,
        /// Names this state of the execution; with it in `If-None-Match` the same state is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionAttachmentReply {
    /// How to attach.
    #[oai(status = 200)]
    Ok(JsonBody<ExecutionAttachment>),
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionListReply {
    /// A page of executions, newest first.
    #[oai(status = 200)]
    Ok(
        JsonBody<Vec<Execution>>,
        /// `<…>; rel="next"` leads to the next page; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "Taskhub-Next-Page")]
        Option<u64>,
        /// Names this page as it is; with it in `If-None-Match` the same page is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi(tag = "Tags::Executions")]
impl ExecutionApi {
    /// Run a task
    ///
    /// Runs the given script, or else the task's own, or else what the hub's operator has named for all tasks, in a
    /// session of its own, and sets the task `inprogress`. Without any of these it is refused (409), and also while
    /// another execution of the task is queued or running.
    ///
    /// Answers as soon as that is durable, mostly with an execution that is still `queued`. The stream tells how it goes:
    /// `task_updated` if the task was not `inprogress` yet; `execution_event` with `queued` if it has to wait for its turn,
    /// `started`, and one of `completed`, `failed`, `stopped`, `timed_out`, `lost`; and after a success `task_updated`
    /// again: the task goes to `review`, unless the hub's operator or somebody meanwhile has said otherwise. What the script
    /// names in the file at `$TASKHUB_ARTIFACTS`, one path a line, is added to the task's artifacts.
    ///
    /// A script has a clean environment with `TASKHUB_TASK_ID`, `TASKHUB_EXECUTION_ID`, `TASKHUB_SESSION`, `TASKHUB_URL` and
    /// `TASKHUB_ARTIFACTS`, and a directory of its own. It goes on when the hub is restarted. Its output is a log:
    /// `getExecutionLogs`, `downloadExecutionLog`, `streamExecutionLogs`.
    ///
    /// With an `Idempotency-Key` a repetition of the same request within 24 hours starts nothing and answers the execution
    /// that the first one started, as it is now.
    #[oai(path = "/api/exec/:task_id", method = "post", operation_id = "startExecution")]
    async fn start(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The id of the task to run.
        task_id: Path<TaskId>,
        /// Your name for this request, 1–255 visible ASCII characters, so that it can be repeated safely.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]*[!-~][ -~]*$")
        )]
        _key: Header<Option<String>>,
        /// The lease that the caller holds the task by; with one that is not in force nothing is started (409).
        #[oai(name = "Taskhub-Lease")]
        _lease: Header<Option<LeaseId>>,
        body: JsonBody<Option<ExecutionRequest>>,
    ) -> Result<ExecutionReply, Problems<{ NOT_FOUND | CONFLICT | BODY | UNPROCESSABLE }>> {
        let key = super::request_headers::idempotency_key(request)?;
        let lease = super::request_headers::lease(request)?;
        let request = body.0.unwrap_or_default();
        let Stamped { value, cursor } = service.start_execution(task_id.0, request, key, lease).await?;
        Ok(ExecutionReply::Ok(JsonBody(value), cursor))
    }

    /// Get a task's latest execution
    ///
    /// The one that is queued or running if there is one, else the last that ended. A task that was never executed has
    /// none (404). To wait for an end, follow the stream or the log rather than ask again and again.
    #[oai(path = "/api/exec/:task_id", method = "get", operation_id = "getExecution")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The id of the task.
        task_id: Path<TaskId>,
    ) -> Result<ExecutionFoundReply, Problems<NOT_FOUND>> {
        let execution = service.latest_execution(task_id.0).await?;
        let etag = conditional::tag_of_json(&execution);
        Ok(ExecutionFoundReply::Ok(JsonBody(execution), etag))
    }

    /// Stop a task's execution
    ///
    /// Its processes are asked to end (TERM) and killed (KILL) after a grace. Answers at once; the stream tells when
    /// it has ended: `execution_event` with `stopped`. No further attempts are made. Asking again changes nothing; an
    /// execution that has ended cannot be stopped (409). The task stays as it is.
    #[oai(path = "/api/exec/:task_id/stop", method = "post", operation_id = "stopExecution")]
    async fn stop(
        &self,
        service: Data<&Service>,
        /// The id of the task.
        task_id: Path<TaskId>,
    ) -> Result<ExecutionReply, Problems<{ NOT_FOUND | CONFLICT }>> {
        let Stamped { value, cursor } = service.stop_execution(task_id.0).await?;
        Ok(ExecutionReply::Ok(JsonBody(value), cursor))
    }

    /// Get the command that attaches to a task's execution
    ///
    /// For a person who wants to look on, or to answer what the script asks on its terminal: while an execution runs,
    /// the command that attaches a terminal to its tmux session. Detach with Ctrl-b d; Ctrl-C interrupts the script,
    /// and closing the session stops the execution. On a hub whose sessions are plain processes there is nothing to
    /// attach to (409), nor before the start and after the end.
    #[oai(path = "/api/exec/:task_id/attach", method = "get", operation_id = "attachExecution")]
    async fn attach(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
        /// The id of the task.
        task_id: Path<TaskId>,
    ) -> Result<ExecutionAttachmentReply, Problems<{ NOT_FOUND | CONFLICT }>> {
        let execution = service.latest_execution(task_id.0).await?;
        let command = context.sessions.attach_command(&execution).await?;
        Ok(ExecutionAttachmentReply::Ok(JsonBody(ExecutionAttachment {
            execution_id: execution.id,
            session_name: execution.session_name,
            command,
        })))
    }

    /// List executions
    ///
    /// Of all tasks or of one, also of tasks that were deleted; newest first, by `number`. While there are more, the header
    /// `Taskhub-Next-Page` has the `cursor` of the next page, and `Link` its address (`<…>; rel="next"`): follow one of
    /// them until it is absent. Executions that have ended are forgotten, with their logs, after the hub's retention (30
    /// days, unless its operator says otherwise).
    #[oai(path = "/api/executions", method = "get", operation_id = "listExecutions")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// Only executions of this task.
        task_id: Query<Option<TaskId>>,
        /// Only executions with one of these statuses, separated by commas.
        status: Query<CommaList<ExecutionStatus>>,
        /// How many executions to answer at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts: opaque; the `Taskhub-Next-Page` of the page before, with all else as it was.
        #[oai(validator(minimum(value = "1")))]
        cursor: Query<Option<i64>>,
    ) -> Result<ExecutionListReply, Problems<NONE>> {
        let query = ExecutionQuery {
            task_id: task_id.0,
            statuses: status.0.0,
            before: cursor.0,
            limit: limit.0 as usize,
        };
        let mut pairs = vec![
            ("task_id", task_id.0.map(|id| id.to_string()).unwrap_or_default()),
            ("status", super::comma_list::comma_list(&query.statuses)),
            ("limit", limit.0.to_string()),
        ];
        let (executions, next) = service.executions(query).await?;
        let link = next.map(|number| {
            pairs.push(("cursor", number.to_string()));
            super::paging::next_link("/api/executions", &pairs)
        });
        // The tag covers the content: retention removes executions without an event that could
        // identify the page.
        let etag = conditional::tag_of_json(&(&executions, next));
        Ok(ExecutionListReply::Ok(JsonBody(executions), link, next.map(i64::cast_unsigned), etag))
    }
}

fn default_limit() -> u32 {
    100
}
