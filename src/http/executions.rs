//! The operations on executions.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use poem::error::StaticFileError;
use poem::http::{HeaderValue, header};
use poem::web::{Data, StaticFileRequest, StaticFileResponse};
use poem::{FromRequest, IntoResponse, Request, RequestBody};
use poem_openapi::param::{Header, Path, Query};
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
use super::problem::problems::{BODY, CONFLICT, NONE, NOT_FOUND, PRECONDITION_FAILED, RANGE};
use super::problem::{Code, Problem, Problems};
use super::raw_log::RawLog;
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
pub enum ExecutionReply {
    /// The execution as it stands now.
    #[oai(status = 200)]
    Ok(Body<Execution>),
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionLogReply {
    /// A part of the log, at most 1 MiB.
    #[oai(status = 200)]
    Ok(Body<ExecutionLog>),
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionAttachmentReply {
    /// How to attach.
    #[oai(status = 200)]
    Ok(Body<ExecutionAttachment>),
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
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "Taskhub-Next-Page")]
        Option<u64>,
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
    #[oai(path = "/api/exec/:task_id", method = "post", operation_id = "startExecution")]
    async fn start(
        &self,
        service: Data<&Service>,
        /// The id of the task to run.
        task_id: Path<TaskId>,
        body: Body<Option<ExecutionRequest>>,
    ) -> Result<ExecutionReply, Problems<{ NOT_FOUND | CONFLICT | BODY }>> {
        let request = body.0.unwrap_or_default();
        Ok(ExecutionReply::Ok(Body(service.start_execution(task_id.0, request).await?)))
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
    ) -> Result<ExecutionReply, Problems<NOT_FOUND>> {
        Ok(ExecutionReply::Ok(Body(service.latest_execution(task_id.0).await?)))
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
        Ok(ExecutionReply::Ok(Body(service.stop_execution(task_id.0).await?)))
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
        /// The id of the task.
        task_id: Path<TaskId>,
    ) -> Result<ExecutionAttachmentReply, Problems<{ NOT_FOUND | CONFLICT }>> {
        let execution = service.latest_execution(task_id.0).await?;
        let command = rooms.sessions.attach_command(&execution).await?;
        Ok(ExecutionAttachmentReply::Ok(Body(ExecutionAttachment {
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
        status: Query<List<ExecutionStatus>>,
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
            ("status", super::comma_list(&query.statuses)),
            ("limit", limit.0.to_string()),
        ];
        let (executions, next) = service.executions(query).await?;
        let link = next.map(|number| {
            pairs.push(("cursor", number.to_string()));
            super::next_link("/api/executions", &pairs)
        });
        Ok(ExecutionListReply::Ok(Body(executions), link, next.map(i64::cast_unsigned)))
    }

    /// Read the log of an execution
    ///
    /// A page of at most 1 MiB as text: from byte `offset` on, or, without it, the last `tail` lines. Output is there as
    /// soon as it is written. Read on with `offset` set to `next_offset`, until `complete` says that the execution has
    /// ended and nothing is left. To be told instead of asking, use `streamExecutionLogs`.
    #[oai(path = "/api/exec/:task_id/logs", method = "get", operation_id = "getExecutionLogs")]
    async fn logs(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// How many lines to answer, counted from the end; without effect beside `offset`.
        #[oai(default = "default_tail", validator(minimum(value = "1"), maximum(value = "10000")))]
        tail: Query<u32>,
        /// The byte to start at; `next_offset` of the page before. Beyond the end there is nothing.
        #[oai(validator(maximum(value = "1125899906842624")))]
        offset: Query<Option<u64>>,
        /// The id of one of the task's executions; without it: the latest.
        execution_id: Query<Option<ExecutionId>>,
    ) -> Result<ExecutionLogReply, Problems<NOT_FOUND>> {
        let execution = service.execution_of(task_id.0, execution_id.0).await?;
        let ended = execution.status.is_final();
        let from = match offset.0 {
            Some(offset) => From::Offset(offset),
            None => From::Tail(tail.0 as usize),
        };
        let page = logs::read_page(&log_path(&rooms.data_dir, &execution), from, PAGE_BYTES_MAX, ended)
            .await
            .map_err(unreadable)?;
        Ok(ExecutionLogReply::Ok(Body(ExecutionLog {
            complete: ended && page.next_offset >= page.size,
            log_file: execution.log_file,
            offset: page.offset,
            next_offset: page.next_offset,
            size: page.size,
            text: page.text,
        })))
    }

    /// Download the log of an execution
    ///
    /// The bytes as they were written, whatever they are; `text/plain` is what they mostly are. Understands `Range` (RFC
    /// 9110), so that a download can go on where it broke off, and conditions by `ETag` and time: `If-Match`,
    /// `If-Unmodified-Since` (412), `If-None-Match`, `If-Modified-Since` (304). While the execution runs its log grows, and
    /// with it its `ETag`.
    #[oai(path = "/api/exec/:task_id/logs/raw", method = "get", operation_id = "downloadExecutionLog")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn raw_log(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The id of one of the task's executions; without it: the latest.
        execution_id: Query<Option<ExecutionId>>,
        /// Which bytes, such as `bytes=4096-`; of several ranges the first is answered, and what is no range of bytes is
        /// passed over.
        #[oai(name = "Range")]
        _range: Header<Option<String>>,
        /// The `ETag` of what you have: with nothing new the answer is 304, without a body.
        #[oai(name = "If-None-Match")]
        _if_none_match: Header<Option<String>>,
    ) -> Result<RawLog, Problems<{ NOT_FOUND | PRECONDITION_FAILED | RANGE }>> {
        let execution = service.execution_of(task_id.0, execution_id.0).await?;
        let path = log_path(&rooms.data_dir, &execution);
        let wanted = StaticFileRequest::from_request(request, &mut RequestBody::default())
            .await
            .map_err(|_| Problem::internal())?;
        match logs::check(&path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unreadable(error).into()),
            _ => {}
        }
        let file = rooms.log_places.take(Some(service.actor().caller())).map_err(|_| {
            let detail = "as many logs are being read as there is room for; try again, or raise the hub's limit on open files";
            Problem::new(Code::Unavailable, detail)
        })?;
        let mut response = match wanted.create_response(&path, false, false) {
            // The framework answers a part without a byte; RFC 9110, section 14.1.2, has none.
            Ok(StaticFileResponse::Ok { content_range: Some((range, size)), .. }) if range.is_empty() => {
                return Err(beyond(size).into());
            }
            Ok(reply) => reply.with_content_type("text/plain; charset=utf-8").into_response(),
            // It is made when the execution starts.
            Err(StaticFileError::NotFound) => {
                let detail = "the execution has no log yet; wait for `started`";
                return Err(Problem::new(Code::ExecutionNotFound, detail).into());
            }
            Err(StaticFileError::RangeNotSatisfiable { size }) => return Err(beyond(size).into()),
            Err(StaticFileError::PreconditionFailed) => {
                let detail = "the log is not, or no longer, the one that the condition names; get it again";
                return Err(Problem::new(Code::VersionMismatch, detail).into());
            }
            Err(StaticFileError::Io(error)) => return Err(unreadable(error).into()),
            Err(error) => return Err(unreadable(std::io::Error::other(error)).into()),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(RawLog::new(response, file))
    }

    /// Follow the log of an execution
    ///
    /// A Server-Sent Events stream (WHATWG) of everything that an execution writes, from any byte of its log on, as it is
    /// written; the stream of one that has ended is its whole log. For `EventSource` or any client that reads lines:
    ///
    /// ```sh
    /// curl -N http://localhost:8000/api/exec/{task_id}/logs/stream
    /// ```
    ///
    /// *Try it out* of Swagger UI shows the log only once it has ended.
    ///
    /// **Framing.** A message is a line `id: …`, a line `data: …` and an empty line, without an `event:` line. The data is
    /// one line of JSON, one `LogEvent`: `log` carries a piece of at most 32 KiB; `end`, the last message, tells how the
    /// execution ended; `goodbye` ends the stream of a hub that shuts down, to be resumed; `reset` begins the log anew. The
    /// first line is `retry: 3000`: milliseconds before a client that was cut off comes back. A comment (`: keepalive`) is
    /// sent every 30 seconds, unless the hub's operator says otherwise. With `Accept: application/x-ndjson` each line is
    /// one `LogEvent`, and there is nothing else.
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
    #[oai(path = "/api/exec/:task_id/logs/stream", method = "get", operation_id = "streamExecutionLogs")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn stream_log(
        &self,
        service: Data<&Service>,
        rooms: Data<&Arc<Rooms>>,
        principal: Data<&Principal>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The id of one of the task's executions; without it: the one that the id of the last message names, or else the
        /// latest.
        execution_id: Query<Option<ExecutionId>>,
        // Generators make one name of this and the header, so the header is told of in words, as the protocol's own.
        /// The id of the last message you have seen: `{number}-{offset}`. What is no such id gets a `reset`. The header `Last-Event-ID`, which
        /// browsers and libraries for Server-Sent Events send by themselves, comes before it.
        last_event_id: Query<Option<String>>,
        /// The byte to start at; without it: the first.
        #[oai(validator(maximum(value = "1125899906842624")))]
        offset: Query<Option<u64>>,
        /// Starts so many lines before the end, as far as they lie in the last MiB.
        #[oai(validator(minimum(value = "0"), maximum(value = "10000")))]
        tail: Query<Option<u32>>,
        /// In place of a token, for clients that cannot send headers; from `POST /api/events/tickets`.
        #[oai(name = "ticket")]
        _ticket: Query<Option<String>>,
    ) -> Result<StreamReply<LogEvent>, Problems<NOT_FOUND>> {
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
            Err(ServiceError::Store(error)) => return Ok(cannot_start(format, &error)?),
            Err(error) => return Err(error.into()),
        };
        let place = super::stream::place(&rooms.places, service.actor())?;
        let Ok(file) = rooms.log_places.take(Some(service.actor().caller())) else {
            return Ok(StreamReply::unavailable(format)?);
        };
        let admission = Admission { gone: principal.gone.clone(), places: [place, file] };
        Ok(match rooms.logs.open(execution, start, format, admission).await {
            Ok(log) => StreamReply::<LogEvent>::of(format, log),
            Err(error) => cannot_start(format, &error)?,
        })
    }
}

fn cannot_start(
    format: Format,
    error: &(dyn std::error::Error + 'static),
) -> Result<StreamReply<LogEvent>, Problem> {
    tracing::error!(error, "a log's stream cannot start");
    StreamReply::unavailable(format)
}

/// Built from the hub's own number, never from what a client sent.
fn log_path(data_dir: &std::path::Path, execution: &Execution) -> PathBuf {
    data_dir.join(&execution.log_file)
}

fn beyond(size: u64) -> Problem {
    Problem::new(Code::RangeNotSatisfiable, format!("the log has {size} bytes; ask for a range inside it"))
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
