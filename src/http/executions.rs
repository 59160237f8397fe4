//! The operations on executions.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use poem::error::StaticFileError;
use poem::http::{HeaderValue, header};
use poem::web::{Data, StaticFileRequest};
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::auth::Principal;
use crate::domain::execution::{Execution, ExecutionRequest, ExecutionStatus};
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::log::LogCursor;
use crate::events::frame::Format;
use crate::executor::logs::{self, From};
use crate::executor::{Admission, LogStart};
use crate::service::{Service, ServiceError};
use crate::store::ExecutionQuery;

use super::body::Body;
use super::list::List;
use super::problem::problems::{BAD_REQUEST, BODY, CONFLICT, NOT_FOUND, RANGE};
use super::problem::{Code, Problem, Problems};
use super::schema::LogEvent;
use super::stream::{StreamReply, accepts_ndjson};
use super::{Rooms, Tags};

/// Bytes of a log in one JSON page.
const PAGE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub struct ExecutionApi;

/// A part of a log as text. What is not UTF-8 is shown as U+FFFD; the raw log has the bytes.
#[derive(Debug, Object, Serialize)]
pub struct ExecutionLog {
    /// Where the log is, relative to the data directory.
    pub log_file: String,
    /// The byte at which `text` starts.
    pub offset: u64,
    /// The byte after `text`; send it as `offset` to read on.
    pub next_offset: u64,
    /// The size of the log at this moment, in bytes.
    pub size: u64,
    /// What was written.
    pub text: String,
    /// Whether the execution has ended and `text` reaches the end of its log.
    pub complete: bool,
}

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
pub enum ExecutionListReply {
    /// A page of executions, newest first.
    #[oai(status = 200)]
    Ok(
        Body<Vec<Execution>>,
        /// `<…>; rel="next"` leads to the next page; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

/// The bytes of a log.
#[derive(Debug)]
pub struct RawLog(Response);

impl IntoResponse for RawLog {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for RawLog {
    fn meta() -> MetaResponses {
        let reply = |status, description| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "text/plain",
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
            }],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![
                reply(200, "The whole log so far."),
                reply(206, "The part of it that `Range` asked for."),
            ],
        }
    }

    fn register(_: &mut Registry) {}
}

#[OpenApi(tag = "Tags::Executions")]
impl ExecutionApi {
    /// Run a task
    ///
    /// Runs the given script, or else the task's own, or else what the hub's operator has named for all tasks, in a
    /// session of its own, and sets the task `inprogress`.
    /// Answers as soon as that is durable; the stream then tells with `execution_event` how it goes: `queued`
    /// if it has to wait for its turn, `started`, and one of `completed`, `failed`, `stopped`, `timed_out`,
    /// `lost`. What the script names in the file at `$TASKHUB_ARTIFACTS`, one path a line, is added to the task's
    /// artifacts; after a success the task goes to `review`, unless the hub's operator or somebody meanwhile has
    /// said otherwise. A task has at most one execution that is queued or running.
    #[oai(path = "/api/exec/:task_id", method = "post", operation_id = "startExecution")]
    async fn start(
        &self,
        service: Data<&Service>,
        /// The task to run.
        task_id: Path<TaskId>,
        body: Body<Option<ExecutionRequest>>,
    ) -> Result<Body<Execution>, Problems<{ BAD_REQUEST | NOT_FOUND | CONFLICT | BODY }>> {
        let request = body.0.unwrap_or_default();
        Ok(Body(service.start_execution(task_id.0, request).await?))
    }

    /// Get a task's latest execution
    ///
    /// The one that is queued or running if there is one, else the last that ended.
    #[oai(path = "/api/exec/:task_id", method = "get", operation_id = "getExecution")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The task.
        task_id: Path<TaskId>,
    ) -> Result<Body<Execution>, Problems<{ BAD_REQUEST | NOT_FOUND }>> {
        Ok(Body(service.latest_execution(task_id.0).await?))
    }

    /// Stop a task's execution
    ///
    /// Its processes are asked to end (TERM) and killed after a grace. Answers at once; the stream tells when
    /// it has ended (`stopped`). Asking again changes nothing.
    #[oai(path = "/api/exec/:task_id/stop", method = "post", operation_id = "stopExecution")]
    async fn stop(
        &self,
        service: Data<&Service>,
        /// The task.
        task_id: Path<TaskId>,
    ) -> Result<Body<Execution>, Problems<{ BAD_REQUEST | NOT_FOUND | CONFLICT }>> {
        Ok(Body(service.stop_execution(task_id.0).await?))
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
        rooms: Data<&Arc<Rooms>>,
        /// The task.
        task_id: Path<TaskId>,
    ) -> Result<Body<ExecutionAttachment>, Problems<{ BAD_REQUEST | NOT_FOUND | CONFLICT }>> {
        let execution = service.latest_execution(task_id.0).await?;
        let command = rooms.sessions.attach_command(&execution).await?;
        Ok(Body(ExecutionAttachment {
            execution_id: execution.id,
            session_name: execution.session_name,
            command,
        }))
    }

    /// List executions
    ///
    /// Newest first. Follow `Link` for more.
    #[oai(path = "/api/executions", method = "get", operation_id = "listExecutions")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// Only executions of this task.
        task_id: Query<Option<TaskId>>,
        /// Only executions with one of these statuses, separated by commas.
        status: Query<List<ExecutionStatus>>,
        /// How many executions to answer at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts; take it from the `Link` of the page before.
        #[oai(validator(minimum(value = "1")))]
        cursor: Query<Option<i64>>,
    ) -> Result<ExecutionListReply, Problems<{ BAD_REQUEST }>> {
        let query = ExecutionQuery {
            task_id: task_id.0,
            statuses: status.0.0,
            before: cursor.0,
            limit: limit.0 as usize,
        };
        let mut pairs = vec![
            ("task_id", task_id.0.map(|id| id.to_string()).unwrap_or_default()),
            ("status", super::comma_list(&query.statuses)),
            ("limit", limit.0.to_string()),
        ];
        let (executions, next) = service.executions(query).await?;
        let link = next.map(|number| {
            pairs.push(("cursor", number.to_string()));
            super::next_link("/api/executions", &pairs)
        });
        Ok(ExecutionListReply::Ok(Body(executions), link))
    }

    /// Read the log of an execution
    ///
    /// From `offset` on, or, without it, the last `tail` lines. Output is there as soon as it is written.
    #[oai(path = "/api/exec/:task_id/logs", method = "get", operation_id = "getExecutionLogs")]
    async fn logs(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        /// The task.
        task_id: Path<TaskId>,
        /// How many lines to answer, counted from the end.
        #[oai(default = "default_tail", validator(minimum(value = "1"), maximum(value = "10000")))]
        tail: Query<u32>,
        /// The byte to start at; `next_offset` of the page before.
        offset: Query<Option<u64>>,
        /// Which execution of the task; without it: the latest.
        execution_id: Query<Option<ExecutionId>>,
    ) -> Result<Body<ExecutionLog>, Problems<{ BAD_REQUEST | NOT_FOUND }>> {
        let execution = service.execution_of(task_id.0, execution_id.0).await?;
        let ended = execution.status.is_final();
        let from = match offset.0 {
            Some(offset) => From::Offset(offset),
            None => From::Tail(tail.0 as usize),
        };
        let page = logs::read_page(&log_path(&rooms.data_dir, &execution), from, PAGE_BYTES_MAX, ended)
            .await
            .map_err(unreadable)?;
        Ok(Body(ExecutionLog {
            complete: ended && page.next_offset >= page.size,
            log_file: execution.log_file,
            offset: page.offset,
            next_offset: page.next_offset,
            size: page.size,
            text: page.text,
        }))
    }

    /// Download the log of an execution
    ///
    /// The bytes as they were written. Understands `Range`.
    #[oai(path = "/api/exec/:task_id/logs/raw", method = "get", operation_id = "downloadExecutionLog")]
    async fn raw_log(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        request: &Request,
        /// The task.
        task_id: Path<TaskId>,
        /// Which execution of the task; without it: the latest.
        execution_id: Query<Option<ExecutionId>>,
    ) -> Result<RawLog, Problems<{ BAD_REQUEST | NOT_FOUND | RANGE }>> {
        let execution = service.execution_of(task_id.0, execution_id.0).await?;
        let path = log_path(&rooms.data_dir, &execution);
        let wanted = StaticFileRequest::from_request(request, &mut RequestBody::default())
            .await
            .map_err(|_| Problem::internal())?;
        match logs::check(&path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unreadable(error).into()),
            _ => {}
        }
        let mut response = match wanted.create_response(&path, false, false) {
            Ok(reply) => reply.with_content_type("text/plain; charset=utf-8").into_response(),
            // It is made when the execution starts.
            Err(StaticFileError::NotFound) => {
                let detail = "the execution has no log yet; wait for `started`";
                return Err(Problem::new(Code::ExecutionNotFound, detail).into());
            }
            Err(StaticFileError::RangeNotSatisfiable { size }) => {
                let detail = format!("the log has {size} bytes; ask for a range inside it");
                return Err(Problem::new(Code::RangeNotSatisfiable, detail).into());
            }
            Err(StaticFileError::Io(error)) => return Err(unreadable(error).into()),
            Err(error) => return Err(unreadable(std::io::Error::other(error)).into()),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(RawLog(response))
    }

    /// Follow the log of an execution
    ///
    /// A Server-Sent Events stream of everything that an execution writes, from any byte of its log on, as it is
    /// written; the stream of one that has ended is its whole log. Every message is one `LogEvent` as JSON in
    /// `data:`, without an `event:` line: `log` carries a piece of at most 32 KiB, and `end`, the last message,
    /// tells how the execution ended. A comment (`: keepalive`) is sent every 30 seconds.
    ///
    /// **Ids are offsets**: the id of a message is `{number}-{offset}`, the execution's number and the byte of its log
    /// after what the message carries. Resume with the id of the last message: browsers send it as `Last-Event-ID` by
    /// themselves, others may use `last_event_id`, or `execution_id` and `offset`; the header comes first, then
    /// `last_event_id`, then `offset`, then `tail`. Nothing is missed and nothing comes twice, also across restarts of
    /// the hub, and also when the task's next execution has begun meanwhile: without `execution_id` the stream is that of
    /// the execution which the id names, and only without either that of the latest. A bare number of bytes is
    /// taken as an id, too. If that log has no such place, is gone, or is not the one that `execution_id` asks
    /// for, the first message is `reset`, and the log that is followed comes from its beginning; the status is
    /// always 200, since a browser gives up on any other.
    ///
    /// Bytes that are UTF-8 come as `text`, in whole characters: half a character waits for its rest. Others
    /// come as `base64`. Put together they are the very bytes of the log. Of a log that reaches its limit the
    /// stream shows the beginning and a mark, then nothing until the execution ends, then how much was left out
    /// and the last bytes.
    ///
    /// After `end` there is nothing more: close your `EventSource`. One that comes back gets `end` again.
    ///
    /// With `Accept: application/x-ndjson` each line is one `LogEvent`.
    #[oai(path = "/api/exec/:task_id/logs/stream", method = "get", operation_id = "streamExecutionLogs")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn stream_log(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        principal: Data<&Principal>,
        request: &Request,
        /// The task.
        task_id: Path<TaskId>,
        /// Which execution of the task; without it: the one that the id of the last message names, or else the latest.
        execution_id: Query<Option<ExecutionId>>,
        /// The id of the last message you have seen.
        #[oai(name = "Last-Event-ID")]
        _last_event_id_header: Header<Option<String>>,
        /// The same, for clients that cannot send headers.
        last_event_id: Query<Option<String>>,
        /// The byte to start at; without it: the first.
        offset: Query<Option<u64>>,
        /// Starts so many lines before the end, as far as they lie in the last MiB.
        #[oai(validator(minimum(value = "0"), maximum(value = "10000")))]
        tail: Query<Option<u32>>,
        /// In place of a token, for clients that cannot send headers; from `POST /api/events/tickets`.
        #[oai(name = "ticket")]
        _ticket: Query<Option<String>>,
    ) -> Result<StreamReply<LogEvent>, Problems<{ BAD_REQUEST | NOT_FOUND }>> {
        let format = if accepts_ndjson(request) { Format::Ndjson } else { Format::Sse };
        let header = super::header_list(request, "Last-Event-ID").filter(|id| !id.is_empty());
        let resume = header.or(last_event_id.0.filter(|id| !id.is_empty())).map(|id| id.parse().ok());
        let start = match (resume, offset.0, tail.0) {
            (Some(cursor), _, _) => LogStart::After(cursor),
            (None, Some(offset), _) => LogStart::Offset(offset),
            (None, None, Some(lines)) => LogStart::Tail(lines as usize),
            (None, None, None) => LogStart::Offset(0),
        };
        let named = resume.flatten().and_then(|cursor: LogCursor| cursor.number);
        let found = match (execution_id.0, named) {
            // The id names the log, so that a browser, which repeats its URL, does not resume in another one.
            (None, Some(number)) => service.numbered_execution(task_id.0, number).await,
            (id, _) => service.execution_of(task_id.0, id).await,
        };
        let execution = match found {
            Ok(execution) => execution,
            Err(ServiceError::Store(error)) => return Ok(cannot_start(format, &error)),
            Err(error) => return Err(error.into()),
        };
        let place = super::stream::place(&rooms.places, service.actor())?;
        let admission = Admission { gone: principal.gone.clone(), place };
        Ok(match rooms.logs.open(execution, start, format, admission).await {
            Ok(log) => StreamReply::<LogEvent>::of(format, log),
            Err(error) => cannot_start(format, &error),
        })
    }
}

fn cannot_start(format: Format, error: &(dyn std::error::Error + 'static)) -> StreamReply<LogEvent> {
    tracing::error!(error, "a log's stream cannot start");
    StreamReply::unavailable(format)
}

/// Built from the hub's own number, never from what a client sent.
fn log_path(data_dir: &std::path::Path, execution: &Execution) -> PathBuf {
    data_dir.join(&execution.log_file)
}

fn unreadable(error: std::io::Error) -> Problem {
    if error.kind() == ErrorKind::InvalidData {
        let detail =
            "what lies in the place of the execution's log is no log: something else has put it there";
        return Problem::new(Code::ExecutionNotFound, detail);
    }
    tracing::error!(error = %error, "a log cannot be read");
    Problem::internal()
}

fn default_limit() -> u32 {
    100
}

fn default_tail() -> u32 {
    100
}
