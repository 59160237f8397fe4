//! The operations on the logs of executions: a page, the bytes, and the stream.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use poem::Request;
use poem::http::header;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::auth::Principal;
use crate::domain::execution::Execution;
use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::log::LogCursor;
use crate::events::frame::Format;
use crate::executor::logs::{self, From};
use crate::executor::{Admission, LogStart};
use crate::service::{Service, ServiceError};

use super::byte_range::{self, Wanted};
use super::event_schema::LogEvent;
use super::json_body::JsonBody;
use super::negotiation::wants_ndjson;
use super::problem::problems::{NOT_FOUND, PRECONDITION_FAILED, RANGE};
use super::problem::{Code, Problem, Problems};
use super::raw_log::RawLog;
use super::stream_reply::StreamReply;
use super::{ApiContext, Tags, conditional, permission};

/// Most bytes of a log in one JSON page.
const PAGE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub struct LogApi;

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
    /// Whether somebody has removed the log of an execution that has started. The log of one that still runs is put back
    /// within a few seconds.
    pub log_lost: bool,
}

#[derive(Debug, ApiResponse)]
pub enum ExecutionLogReply {
    /// A part of the log, at most 1 MiB.
    #[oai(status = 200)]
    Ok(
        JsonBody<ExecutionLog>,
        /// Names this part of the log as it is; with it in `If-None-Match` the same part is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi(tag = "Tags::Executions")]
impl LogApi {
    /// Read the log of an execution
    ///
    /// A page of at most 1 MiB as text: from byte `offset` on, or, without it, the last `tail` lines. Output is there as
    /// soon as it is written. Read on with `offset` set to `next_offset`, until `complete` says that the execution has
    /// ended and nothing is left. To be told instead of asking, use `streamExecutionLogs`.
    #[oai(path = "/api/exec/:task_id/logs", method = "get", operation_id = "getExecutionLogs")]
    async fn logs(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
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
        let page = logs::read_page(&log_path(&context.data_dir, &execution), from, PAGE_BYTES_MAX, ended)
            .await
            .map_err(unreadable)?;
        let log = ExecutionLog {
            complete: ended && page.next_offset >= page.size,
            log_lost: page.is_missing && execution.started_at.is_some(),
            log_file: execution.log_file,
            offset: page.offset,
            next_offset: page.next_offset,
            size: page.size,
            text: page.text,
        };
        let tag = conditional::tag_of_json(&(execution.id, &log));
        Ok(ExecutionLogReply::Ok(JsonBody(log), tag))
    }

    /// Download the log of an execution
    ///
    /// The bytes as they were written, whatever they are; `text/plain` is what they mostly are. Understands `Range` (RFC
    /// 9110), so that a download can go on where it broke off, and conditions by `ETag` and time: `If-Range` (all of it, 200,
    /// when the log is another by now), `If-Match`,
    /// `If-Unmodified-Since` (412), `If-None-Match`, `If-Modified-Since` (304). While the execution runs its log grows, and
    /// with it its `ETag`.
    #[oai(path = "/api/exec/:task_id/logs/raw", method = "get", operation_id = "downloadExecutionLog")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn raw_log(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
        principal: Data<&Principal>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The id of one of the task's executions; without it: the latest.
        execution_id: Query<Option<ExecutionId>>,
        /// Which bytes, such as `bytes=4096-`; of several ranges the first one that there is is answered, and what is no range
        /// of bytes is passed over.
        #[oai(name = "Range")]
        _range: Header<Option<String>>,
        /// The `ETag` of what you have: with nothing new the answer is 304, without a body.
        #[oai(name = "If-None-Match")]
        _if_none_match: Header<Option<String>>,
    ) -> Result<RawLog, Problems<{ NOT_FOUND | PRECONDITION_FAILED | RANGE }>> {
        let execution = service.execution_of(task_id.0, execution_id.0).await?;
        let permit = context.log_quota.take(Some(service.actor().caller())).map_err(|_| {
            let detail = "as many logs are being read as there is room for; try again, or raise the hub's limit on open files";
            Problem::new(Code::Unavailable, detail)
        })?;
        let path = log_path(&context.data_dir, &execution);
        let log = logs::open(&path).await.map_err(|error| match error.kind() {
            // The log is made when the execution starts.
            ErrorKind::NotFound => {
                Problem::new(Code::ExecutionNotFound, "the execution has no log yet; wait for `started`")
            }
            _ => unreadable(error),
        })?;
        // A log only grows, so the execution and the log's size identify its bytes.
        let tag = format!("{}-{}", execution.id, log.size);
        if conditional::is_another(request, &tag, log.modified) {
            let detail = "the log is not, or no longer, the one that the condition names; get it again";
            return Err(Problem::new(Code::VersionMismatch, detail).into());
        }
        let tag = format!("\"{tag}\"");
        if conditional::is_unmodified(request, log.modified) {
            return Ok(RawLog::unchanged(&log, &tag));
        }
        match byte_range::wanted(request, log.size, &tag) {
            Wanted::Beyond => Err(beyond(log.size).into()),
            wanted => Ok(RawLog::new(log, wanted, &tag, permit, principal.gone.clone())),
        }
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
    /// sent every 30 seconds, unless you say `keepalive_seconds`, or the hub's operator says otherwise. With `Accept: application/x-ndjson` each line is
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
    /// Parameters that are not listed here are passed over, as on the stream of events, and `lastEventId` is taken for
    /// `last_event_id`.
    ///
    /// After `end` there is nothing more: close your `EventSource`. One that comes back gets `end` again.
    #[oai(path = "/api/exec/:task_id/logs/stream", method = "get", operation_id = "streamExecutionLogs")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn stream_log(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
        principal: Data<&Principal>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The id of one of the task's executions; without it: the one that the id of the last message names, or else the
        /// latest.
        execution_id: Query<Option<ExecutionId>>,
        // Generators would give this and the header the same name. So the text mentions the header,
        // which belongs to the protocol.
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
        /// A comment is sent at least this often, in seconds; without it as often as the hub's operator says.
        #[oai(validator(minimum(value = "5"), maximum(value = "60")))]
        keepalive_seconds: Query<Option<u64>>,
    ) -> Result<StreamReply<LogEvent>, Problems<NOT_FOUND>> {
        let format = if wants_ndjson(request) { Format::Ndjson } else { Format::Sse };
        let header =
            super::request_headers::header_list(request, "Last-Event-ID").filter(|id| !id.is_empty());
        let resume = header.or(last_event_id.0.filter(|id| !id.is_empty())).map(|id| id.parse().ok());
        let start = match (resume, offset.0, tail.0) {
            (Some(cursor), _, _) => LogStart::After(cursor),
            (None, Some(offset), _) => LogStart::Offset(offset),
            (None, None, Some(lines)) => LogStart::Tail(lines as usize),
            (None, None, None) => LogStart::Offset(0),
        };
        let named = resume.flatten().and_then(|cursor: LogCursor| cursor.number);
        let found = match (execution_id.0, named) {
            // A browser resumes with the same URL. The id names the log, so the browser does not
            // resume in another one.
            (None, Some(number)) => service.numbered_execution(task_id.0, number).await,
            (id, _) => service.execution_of(task_id.0, id).await,
        };
        let execution = match found {
            Ok(execution) => execution,
            Err(ServiceError::Store(error)) => return Ok(cannot_start(format, &error)?),
            Err(error) => return Err(error.into()),
        };
        let permit = super::stream_reply::permit(&context.stream_quota, service.actor())?;
        let Ok(file) = context.log_quota.take(Some(service.actor().caller())) else {
            return Ok(StreamReply::unavailable(format)?);
        };
        permission::use_up_ticket(request, &context.auth)?;
        let admission = Admission { gone: principal.gone.clone(), permits: [permit, file] };
        Ok(match context.logs.open(execution, start, format, keepalive_seconds.0, admission).await {
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

/// The path comes from the hub's own number, never from what a client sent.
fn log_path(data_dir: &std::path::Path, execution: &Execution) -> PathBuf {
    data_dir.join(&execution.log_file)
}

fn beyond(size: u64) -> Problem {
    // RFC 9110, section 14.4.
    let range = format!("bytes */{size}");
    Problem::new(Code::RangeNotSatisfiable, format!("the log has {size} bytes; ask for a range inside it"))
        .with_header(header::CONTENT_RANGE, range)
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

fn default_tail() -> u32 {
    100
}
