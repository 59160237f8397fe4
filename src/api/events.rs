//! The operations on events: follow them, list past ones, see the state of the streams.

use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem::{IntoResponse, Request, Response};
use poem_openapi::param::Query;
use poem_openapi::registry::Registry;
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, OpenApi};
use tokio::time::Instant;

use crate::auth::Principal;
use crate::close_reason::CloseNote;
use crate::domain::clock::Timestamp;
use crate::domain::event::{EventId, EventKind};
use crate::domain::filter::{EventFilter, FacetFilter};
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::task::{PriorityFilter, Status, TaskKey};
use crate::domain::text::{Assignee, Tag};
use crate::events::frame::Format;
use crate::events::{Peer, Start, StreamOptions};
use crate::handoff::Offer;
use crate::quota::OnReserve;
use crate::service::Service;

use super::comma_list::CommaList;
use super::event_schema::Event;
use super::json_body::JsonBody;
use super::negotiation::wants_ndjson;
use super::problem::problems::{GONE, NONE};
use super::problem::{Code, Problem, Problems};
use super::stream_reply::StreamReply;
use super::stream_status::EventStatus;
use super::{ApiContext, Tags, permission};

#[derive(Debug)]
pub struct EventApi;

/// A list of events. Each was encoded before its commit.
#[derive(Debug)]
pub struct EventList(Vec<u8>);

impl poem_openapi::payload::Payload for EventList {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
        Vec::<Event>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Event::register(registry);
    }
}

impl IntoResponse for EventList {
    fn into_response(self) -> Response {
        Response::builder().content_type("application/json").body(self.0)
    }
}

#[derive(Debug, ApiResponse)]
pub enum EventListReply {
    /// Events, oldest first.
    #[oai(status = 200)]
    Ok(
        EventList,
        /// Where to go on: send it as `since` of the next request, even when the list is empty.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
        /// While the log has more: the `since` of the next page. Absent when this page reaches the end of the log.
        #[oai(header = "Taskhub-Next-Page")]
        Option<EventId>,
        /// Names this part of the log; with it in `If-None-Match` the same part is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum EventStatusReply {
    /// How the broadcasting stands now.
    #[oai(status = 200)]
    Ok(JsonBody<EventStatus>),
}

#[OpenApi(tag = "Tags::Events")]
impl EventApi {
    /// Follow events as they happen
    ///
    /// A Server-Sent Events stream (WHATWG) that stays open. For `EventSource` or any client that reads lines:
    ///
    /// ```sh
    /// curl -N http://localhost:8000/api/events/stream
    /// ```
    ///
    /// *Try it out* of Swagger UI shows nothing: it waits for an end that never comes.
    ///
    /// **Framing.** A message is a line `id: …`, a line `data: …` and an empty line:
    ///
    /// ```text
    /// id: 7c1e9a42-1042
    /// data: {"id":"7c1e9a42-1042","event":"task_updated","data":{…},"timestamp":"2025-06-22T10:00:00.000Z"}
    /// ```
    ///
    /// The data is one line of JSON, one `Event`, which says by itself what it is. There is no `event:` line unless
    /// `named=true`, so `EventSource.onmessage` and line-reading clients get all of them. The first line is `retry: 3000`:
    /// milliseconds before a client that was cut off comes back. A comment (`: keepalive`) is sent every 30 seconds, unless
    /// you say `keepalive_seconds`, or the hub's operator says otherwise (`keepalive_seconds` of `getEventStatus`): a client
    /// that hears nothing for longer has lost the connection. With `Accept: application/x-ndjson` each line is one `Event`, and there is nothing else.
    ///
    /// **Control messages** are about this connection and not in the log. `connected`: what follows is complete. `reset`:
    /// events are missing before this point. `checkpoint`, on filtered streams: nothing matched up to this id. `snapshot`:
    /// tasks as they stand. `goodbye`: the hub ends the stream; come back with its id after `retry_ms`.
    ///
    /// **Resume** by the id of the last message, whatever its kind: browsers send it as `Last-Event-ID` by themselves, others
    /// may use `last_event_id` or `since`; the header comes first, then `last_event_id`, then `since`. What was missed is
    /// sent in order, each event once, then what happens, also when the hub was restarted meanwhile. If that is not
    /// possible, the first message is `reset`, which says why, and the stream goes on from the id of that message: read
    /// again what you had derived from it. The status is always 200, since a browser gives up on any other. Ids are
    /// `{epoch}-{seq}`, and `seq` has no gaps.
    ///
    /// **Filters** combine with AND; a filter with several values matches any of them. A filter on a task's fields
    /// matches when the task matched before *or* after the change, so that you see a task leave.
    ///
    /// **State and stream**: with `snapshot=true` the first messages are `snapshot`, the tasks that match the
    /// filter as they stand, in parts; then comes `connected`, and every change from there on. A client that
    /// inserts the tasks, copies the fields of `task_created` and `task_updated` over them, and removes a task
    /// that was deleted or no longer matches, holds what `GET /api/tasks` would say, but for `description` and
    /// `script`: these are not in events, and have to be fetched of a task that is new or whose `changed` names
    /// them. When the stream resumes there is no snapshot; when it cannot, a new one follows the `reset`.
    ///
    /// **Long lines.** An event takes at most 450,000 bytes, most of them its artifacts; a part of a snapshot, which may
    /// hold a task with a long description and script, 9,000,000. A client that takes only shorter lines, as many libraries
    /// do, says `max_bytes`: what does not fit is left out, and `omitted` names it.
    ///
    /// **Parameters** that are not listed here are passed over, and of a single value that is given several times the last
    /// one counts: libraries add parameters of their own, and a browser that is refused gives up for ever. `lastEventId` is
    /// taken for `last_event_id`.
    ///
    /// A client that takes nothing for 50 seconds is disconnected, and resumes when it comes back. A stream ends without `goodbye` when
    /// its token is revoked or expires.
    #[oai(path = "/api/events/stream", method = "get", operation_id = "streamEvents")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn stream(
        &self,
        context: Data<&Arc<ApiContext>>,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        // Generators would give this and the header the same name. So the text mentions the header,
        // which belongs to the protocol.
        /// The id of the last message you have seen. What is no such id gets a `reset`. The header `Last-Event-ID`, which
        /// browsers and libraries for Server-Sent Events send by themselves, comes before it.
        last_event_id: Query<Option<String>>,
        /// Where to start: an event id (after it), an RFC 3339 time (with the first event from then on), or `earliest`.
        /// Without it: now.
        since: Query<Option<String>>,
        /// Only events of these kinds, separated by commas.
        events: Query<CommaList<EventKind>>,
        /// Only events about these tasks, separated by commas.
        task_id: Query<CommaList<TaskId>>,
        /// Only events about these projects and their tasks, separated by commas.
        project: Query<CommaList<ProjectName>>,
        /// Only events about the tasks with these keys, separated by commas.
        key: Query<CommaList<TaskKey>>,
        /// Only events about tasks that are ready, or with `false` that are not.
        ready: Query<Option<bool>>,
        /// Only events about tasks of these assignees, separated by commas; `none` stands for tasks without one.
        assignee: Query<CommaList<Assignee>>,
        /// Only events about tasks with these statuses, separated by commas.
        status: Query<CommaList<Status>>,
        /// Only events about tasks with these priorities, separated by commas; `none` stands for tasks without one.
        priority: Query<CommaList<PriorityFilter>>,
        /// Only events about tasks with at least one of these tags, separated by commas.
        tag: Query<CommaList<Tag>>,
        /// Begins with the tasks as they stand, unless the stream resumes. Not together with a time or `earliest`, nor with
        /// `events` that leave out changes of tasks.
        #[oai(default)]
        snapshot: Query<bool>,
        /// Adds an `event:` line to every message, for `addEventListener`.
        #[oai(default)]
        named: Query<bool>,
        /// In place of a token, for clients that cannot send headers; from `POST /api/events/tickets`.
        #[oai(name = "ticket")]
        _ticket: Query<Option<String>>,
        /// A comment is sent at least this often, in seconds; without it as often as the hub's operator says.
        #[oai(validator(minimum(value = "5"), maximum(value = "60")))]
        keepalive_seconds: Query<Option<u64>>,
        /// The longest line that you take, in bytes. The lists of a longer event, and the long fields of a task in a
        /// snapshot, come empty, the texts of comments and questions come as `…`, and `omitted` names them.
        #[oai(validator(minimum(value = "16384"), maximum(value = "16777216")))]
        max_bytes: Query<Option<u32>>,
    ) -> Result<StreamReply<Event>, Problems<NONE>> {
        let format = match (wants_ndjson(request), named.0) {
            (true, _) => Format::Ndjson,
            (false, true) => Format::NamedSse,
            (false, false) => Format::Sse,
        };
        let facets = FacetFilter {
            projects: project.0.0.into(),
            keys: key.0.0.into(),
            ready: ready.0,
            statuses: status.0.0.into(),
            priorities: priority.0.0.into(),
            assignees: assignee.0.0.into(),
            tags: tag.0.0.into(),
            allowed: service.actor().projects.clone(),
        };
        let filter = EventFilter { events: events.0.0.into(), task_ids: task_id.0.0.into(), facets };
        let header =
            super::request_headers::header_list(request, "Last-Event-ID").filter(|id| !id.is_empty());
        let resume = header.or(last_event_id.0.filter(|id| !id.is_empty()));
        let start = match (resume, since.0.filter(|since| !since.is_empty())) {
            (Some(id), _) => Start::After(id),
            (None, Some(since)) => start_since(since)?,
            (None, None) => Start::Live,
        };
        if snapshot.0 && matches!(start, Start::Earliest | Start::Time(_)) {
            let detail = "since: a snapshot is of now; leave `since` out, or let it be the id of the last message \
                          you have seen";
            return Err(Problem::new(Code::InvalidParameter, detail).with_field("since").into());
        }
        if snapshot.0 && !filter.sees_changes_of_tasks() {
            let detail = "events: with a snapshot, leave it out or name task_created, task_updated and task_deleted \
                          as well; without them the tasks of the snapshot would go stale";
            return Err(Problem::new(Code::InvalidParameter, detail).with_field("events").into());
        }
        if request.extensions().get::<OnReserve>().is_some() {
            return Ok(StreamReply::unavailable(format)?);
        }
        let actor = service.actor();
        let permit = super::stream_reply::permit(&context.stream_quota, actor)?;
        permission::use_up_ticket(request, &context.auth)?;
        let (ip, gone) = (actor.address, principal.gone.clone());
        let peer = Peer {
            ip,
            gone,
            permit: Some(permit.into()),
            close_note: request.extensions().get::<CloseNote>().cloned().unwrap_or_default(),
        };
        let options = StreamOptions {
            line_bytes_max: max_bytes.0.map(|max| max as usize),
            keepalive_seconds: keepalive_seconds.0,
            ..StreamOptions::new(filter, format)
        };
        match context.events.subscribe(&start, options, snapshot.0, peer).await {
            Ok(stream) => {
                // The answer to HEAD has no body, and its connection goes on.
                let extensions = request.extensions();
                let has_body = extensions.get::<permission::HeadOnly>().is_none();
                let offer = extensions.get::<Offer>().filter(|_| has_body).cloned();
                Ok(StreamReply::<Event>::of(format, stream, offer))
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a stream cannot start");
                Ok(StreamReply::unavailable(format)?)
            }
        }
    }

    /// List past events
    ///
    /// The same events as the stream, oldest first, each once, for clients that ask rather than listen; control messages
    /// are not among them. Go on with `since` set to the `Taskhub-Cursor` of the answer, also when the list is empty: it
    /// moves on over what the filter leaves out. A page has at most `limit` events, and may be shorter when they are large or
    /// few of many match: `Taskhub-Next-Page` tells whether the log has more. With `wait` the answer is held back until there is an event or the time
    /// is over (long polling).
    ///
    /// Filters are those of the stream. A `since` that retention has overtaken, or that is of another log, is refused
    /// (410): begin with `earliest`, or with a list of tasks and its `Taskhub-Cursor`.
    #[oai(path = "/api/events", method = "get", operation_id = "listEvents")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn list(
        &self,
        context: Data<&Arc<ApiContext>>,
        service: Data<&Service>,
        principal: Data<&Principal>,
        /// Where to start: an event id (after it), an RFC 3339 time (with the first event from then on), or `earliest`,
        /// which is also the default.
        since: Query<Option<String>>,
        /// How many events to answer at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
        /// How many seconds to wait for an event when there is none.
        #[oai(default, validator(maximum(value = "60")))]
        wait: Query<u32>,
        /// Only events of these kinds, separated by commas.
        events: Query<CommaList<EventKind>>,
        /// Only events about these tasks, separated by commas.
        task_id: Query<CommaList<TaskId>>,
        /// Only events about these projects and their tasks, separated by commas.
        project: Query<CommaList<ProjectName>>,
        /// Only events about the tasks with these keys, separated by commas.
        key: Query<CommaList<TaskKey>>,
        /// Only events about tasks that are ready, or with `false` that are not.
        ready: Query<Option<bool>>,
        /// Only events about tasks of these assignees, separated by commas; `none` stands for tasks without one.
        assignee: Query<CommaList<Assignee>>,
        /// Only events about tasks with these statuses, separated by commas.
        status: Query<CommaList<Status>>,
        /// Only events about tasks with these priorities, separated by commas; `none` stands for tasks without one.
        priority: Query<CommaList<PriorityFilter>>,
        /// Only events about tasks with at least one of these tags, separated by commas.
        tag: Query<CommaList<Tag>>,
    ) -> Result<EventListReply, Problems<GONE>> {
        let log = &context.events;
        let deadline = Instant::now() + Duration::from_secs(u64::from(wait.0));
        let facets = FacetFilter {
            projects: project.0.0.into(),
            keys: key.0.0.into(),
            ready: ready.0,
            statuses: status.0.0.into(),
            priorities: priority.0.0.into(),
            assignees: assignee.0.0.into(),
            tags: tag.0.0.into(),
            allowed: service.actor().projects.clone(),
        };
        let filter = EventFilter { events: events.0.0.into(), task_ids: task_id.0.0.into(), facets };
        let start = match since.0.filter(|since| !since.is_empty()) {
            Some(since) => start_since(since)?,
            None => Start::Earliest,
        };
        let position = log.locate(&start).await?;
        if position.reset.is_some() {
            return Err(gone(&format!(
                "since: is not, or no longer, a place in this log; the oldest is {}",
                log.status().oldest,
            )));
        }
        let limit = limit.0 as usize;
        // Cancel safe: both branches only read.
        let history = tokio::select! {
            history = log.history(position.cursor, filter, limit, deadline) => history?,
            () = principal.gone.cancelled() => return Err(permission::no_longer_let_in().into()),
        };
        match history {
            Some(history) => {
                let mut list = Vec::with_capacity(history.events.len() + 2);
                list.push(b'[');
                list.extend_from_slice(&history.events);
                list.push(b']');
                // The log between two positions never changes, and the URL has all other
                // parameters. So the positions identify the list.
                let tag = format!("W/\"{}-{}\"", log.id(position.cursor), history.cursor);
                let next_page = Some(history.cursor).filter(|cursor| cursor.seq < log.head().seq);
                Ok(EventListReply::Ok(EventList(list), history.cursor, next_page, tag))
            }
            None => Err(gone("since: retention has just removed this place of the log")),
        }
    }

    /// See how the broadcasting stands
    ///
    /// How many are connected, where the log begins and ends, and, with `clients=true`, who is behind and who has
    /// gone. Counts are those since the hub's start. A token that is bound to projects may not ask for `clients` (403).
    #[oai(path = "/api/events/status", method = "get", operation_id = "getEventStatus")]
    async fn status(
        &self,
        context: Data<&Arc<ApiContext>>,
        service: Data<&Service>,
        /// Name each open stream, and the last ones that have ended.
        #[oai(default)]
        clients: Query<bool>,
    ) -> Result<EventStatusReply, Problems<NONE>> {
        if clients.0 {
            service.refuse_bound()?;
        }
        Ok(EventStatusReply::Ok(JsonBody(EventStatus::of(&context.events, clients.0).await?)))
    }
}

fn default_limit() -> u32 {
    100
}

fn gone(words: &str) -> Problems<GONE> {
    let detail = format!("{words}; start with `since=earliest`, or with the cursor of a list of tasks");
    Problem::new(Code::CursorGone, detail).with_field("since").into()
}

/// The start of a stream: after an event id, at a time, or `earliest`.
fn start_since(since: String) -> Result<Start, Problem> {
    if since == "earliest" {
        return Ok(Start::Earliest);
    }
    // A `+` that the client did not encode arrives as a space.
    if let Ok(time) = since.replace(' ', "+").parse::<Timestamp>() {
        return Ok(Start::Time(time));
    }
    if since.parse::<EventId>().is_ok() {
        return Ok(Start::After(since));
    }
    let detail = "since: expected an event id such as 7c1e9a42-1042, an RFC 3339 time such as \
                  2025-06-22T10:00:00Z, or `earliest`";
    Err(Problem::new(Code::InvalidParameter, detail).with_field("since"))
}
