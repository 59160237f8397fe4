//! The operations on tasks.

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::types::ToHeader;
use poem_openapi::{ApiResponse, OpenApi};

use crate::auth::Principal;
use crate::domain::event::EventId;
use crate::domain::filter::FacetFilter;
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::{PriorityFilter, Status, StatusUpdate, Task, TaskDraft, TaskKey, TaskPatch};
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::service::{Service, Stamped, TaskPage};

use super::comma_list::CommaList;
use super::json_body::JsonBody;
use super::problem::problems::{BODY, CONFLICT, GONE, NOT_FOUND, PRECONDITION_FAILED, UNPROCESSABLE};
use super::problem::{Code, Problem, Problems};
use super::{Tags, conditional, permission};

/// Longest search text, in characters.
const SEARCH_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub struct TaskApi;

#[derive(Debug, ApiResponse)]
pub enum TaskReply {
    /// The task as it is now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Task>,
        /// The task's version in quotes, such as `"3"`; send it in `If-Match`, with its quotes.
        #[oai(header = "ETag")]
        String,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum TaskCreatedReply {
    /// The task was created, now or by an earlier request with the same `Idempotency-Key`.
    #[oai(status = 201)]
    Created(
        JsonBody<Task>,
        /// Where the task is: a path on this hub.
        #[oai(header = "Location")]
        String,
        /// The task's version in quotes, such as `"3"`; send it in `If-Match`, with its quotes.
        #[oai(header = "ETag")]
        String,
        /// `true` when an earlier request with the same `Idempotency-Key` had created the task.
        #[oai(header = "Idempotency-Replayed")]
        bool,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum TaskDeletedReply {
    /// The task is gone.
    #[oai(status = 204)]
    Deleted(
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum TaskListReply {
    /// A page of tasks, all of one moment.
    #[oai(status = 200)]
    Ok(
        JsonBody<Vec<Task>>,
        /// `<…>; rel="next"` leads to the next page; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "Taskhub-Next-Page")]
        Option<String>,
        /// The event id at which the list was read. A stream opened with `since` set to it misses nothing
        /// and repeats nothing.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
        /// Changes when any task may have; send it in `If-None-Match`, and with nothing new the answer is 304, without a body.
        #[oai(header = "ETag")]
        String,
    ),
}

impl ToHeader for EventId {
    fn to_header(&self) -> Option<poem::http::HeaderValue> {
        poem::http::HeaderValue::from_str(&self.to_string()).ok()
    }
}

#[OpenApi(tag = "Tags::Tasks")]
impl TaskApi {
    /// List tasks
    ///
    /// Filters combine with AND; a filter with several values matches any of them. Without one: all tasks.
    ///
    /// A page has at most `limit` tasks. While there are more, the header `Taskhub-Next-Page` has the `cursor` of the next
    /// page, and `Link` its address (`<…>; rel="next"`): follow one of them until it is absent. A task that changes
    /// meanwhile may show up twice or not at all when the list is sorted by what changed.
    ///
    /// To go on from here without a gap, open the stream (or `listEvents`) with `since` set to the `Taskhub-Cursor` of the
    /// *first* page.
    #[oai(path = "/api/tasks", method = "get", operation_id = "listTasks")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented query parameter")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// Only tasks of one of these projects, separated by commas.
        project: Query<CommaList<ProjectName>>,
        /// Only the tasks with these keys, separated by commas.
        key: Query<CommaList<TaskKey>>,
        /// Only tasks that are ready, or with `false` only tasks that are not.
        ready: Query<Option<bool>>,
        /// Only tasks with one of these statuses, separated by commas.
        status: Query<CommaList<Status>>,
        /// Only tasks with one of these priorities, separated by commas; `none` stands for tasks without one.
        priority: Query<CommaList<PriorityFilter>>,
        /// Only tasks of one of these assignees, separated by commas; `none` stands for tasks without one.
        assignee: Query<CommaList<Assignee>>,
        /// Only tasks with at least one of these tags, separated by commas.
        tag: Query<CommaList<Tag>>,
        /// Only tasks in which this search finds something, at most 200 characters. It finds words by their beginnings, in the
        /// title, the description and the comments, and each word must be found; or a key by its beginning (`web-1` finds `web-17`,
        /// too). Upper and lower case are the same, and accents make no difference. What is neither letter nor digit only
        /// separates words.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// What to sort by.
        #[oai(default = "default_sort")]
        sort: Query<TaskSort>,
        /// Which way to sort.
        #[oai(default = "default_order")]
        order: Query<SortOrder>,
        /// How many tasks to answer at most. A page of large tasks may be shorter; `Taskhub-Next-Page` tells whether
        /// more follow.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts: opaque; the `Taskhub-Next-Page` of the page before, with all else as it was.
        cursor: Query<Option<String>>,
        /// Answers nothing older than this event, the `Taskhub-Cursor` of an earlier answer.
        min_cursor: Query<Option<EventId>>,
    ) -> Result<TaskListReply, Problems<GONE>> {
        let after = match &cursor.0 {
            Some(text) => Some(page_key(text, sort.0, order.0)?),
            None => None,
        };
        let text = q.0.filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
            let detail = format!("q: is longer than {SEARCH_CHARS_MAX} characters");
            return Err(Problem::new(Code::InvalidParameter, detail).with_field("q").into());
        }
        let query = TaskQuery {
            filter: FacetFilter {
                projects: project.0.0.into(),
                keys: key.0.0.into(),
                ready: ready.0,
                statuses: status.0.0.into(),
                priorities: priority.0.0.into(),
                assignees: assignee.0.0.into(),
                tags: tag.0.0.into(),
                ..FacetFilter::default()
            },
            text,
            sort: sort.0,
            order: order.0,
            after,
            limit: limit.0 as usize,
        };
        let link_query = query.clone();
        let Stamped { value: TaskPage { tasks, next }, cursor } = service.tasks(query, min_cursor.0).await?;
        let link = next.as_ref().map(|key| next_link(&link_query, key));
        let next_page = next.map(|key| key.to_string());
        // Everything in the list follows from the log up to its cursor, so the cursor identifies
        // the list.
        let tag = format!("W/\"{cursor}\"");
        Ok(TaskListReply::Ok(JsonBody(tasks), link, next_page, cursor, tag))
    }

    /// Create a task
    ///
    /// Emits `task_created`.
    ///
    /// With an `Idempotency-Key` a repetition of the same request within 24 hours answers what the first one answered and
    /// creates nothing; another request with that key is refused (422). Without a key, a repetition creates another task.
    ///
    /// A task with a `script` or `auto_start` needs the scope `exec`.
    #[oai(path = "/api/tasks", method = "post", operation_id = "createTask")]
    async fn create(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        /// Your name for this request, 1–255 visible ASCII characters, so that it can be repeated safely.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]*[!-~][ -~]*$")
        )]
        _key: Header<Option<String>>,
        body: JsonBody<TaskDraft>,
    ) -> Result<TaskCreatedReply, Problems<{ BODY | CONFLICT | UNPROCESSABLE }>> {
        if body.0.script.is_some() || body.0.auto_start {
            permission::require(&principal, Scope::Exec)?;
        }
        let key = super::request_headers::idempotency_key(request)?;
        let Stamped { value: created, cursor } = service.create_task(body.0, key).await?;
        let location = format!("/api/tasks/{}", created.task.id);
        let etag = etag(&created.task);
        Ok(TaskCreatedReply::Created(JsonBody(created.task), location, etag, created.repeated, cursor))
    }

    /// Get a task
    ///
    /// The header `ETag` is its version: send it as `If-Match` with a change, and the change is made to exactly what you
    /// have seen, or refused (412). Send it as `If-None-Match`, and with nothing new the answer is 304, without a body.
    #[oai(path = "/api/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// Answers nothing older than this event, the `Taskhub-Cursor` of an earlier answer.
        min_cursor: Query<Option<EventId>>,
    ) -> Result<TaskReply, Problems<{ NOT_FOUND | GONE }>> {
        Ok(reply(service.task(task_id.0, min_cursor.0).await?))
    }

    /// Change a task
    ///
    /// A JSON Merge Patch (RFC 7396): what is absent stays, `null` clears, a list replaces the whole list.
    /// `Content-Type: application/merge-patch+json` is accepted as well as `application/json`.
    ///
    /// Emits one `task_updated` whose `changed` names the fields that differ. A patch that would change nothing changes
    /// no `version` and emits nothing. With `If-Match` it is made only to the version that you have seen (412 otherwise):
    /// get the task again and repeat your change on it.
    ///
    /// A patch with `script` (be it null) or `auto_start` needs the scope `exec`.
    #[oai(path = "/api/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn update(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The `ETag` that the change is meant for; with another version nothing is changed (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        /// The lease that the caller holds the task by; with one that is not in force nothing is changed (409).
        #[oai(name = "Taskhub-Lease")]
        _lease: Header<Option<LeaseId>>,
        body: JsonBody<TaskPatch>,
    ) -> Result<TaskReply, Problems<{ NOT_FOUND | CONFLICT | PRECONDITION_FAILED | BODY }>> {
        if !body.0.script.is_undefined() || !body.0.auto_start.is_undefined() {
            permission::require(&principal, Scope::Exec)?;
        }
        let (expected, lease) = (conditional::of(request), super::request_headers::lease(request)?);
        Ok(reply(service.update_task(task_id.0, body.0, expected, lease).await?))
    }

    /// Delete a task
    ///
    /// Emits `task_deleted`. Refused while an execution of the task is queued or running (409): stop it first. The history
    /// of its executions, their logs and the events about it stay as long as all others.
    ///
    /// To delete a task that has a `script` needs the scope `exec`, as any change of a script does.
    #[oai(path = "/api/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The `ETag` of the version to delete; with another version nothing is deleted (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        /// The lease that the caller holds the task by; with one that is not in force nothing is deleted (409).
        #[oai(name = "Taskhub-Lease")]
        _lease: Header<Option<LeaseId>>,
    ) -> Result<TaskDeletedReply, Problems<{ NOT_FOUND | CONFLICT | PRECONDITION_FAILED }>> {
        let (expected, lease) = (conditional::of(request), super::request_headers::lease(request)?);
        let may_delete_scripts = principal.scope >= Scope::Exec;
        let deleted = service.delete_task(task_id.0, expected, lease, may_delete_scripts).await?;
        Ok(TaskDeletedReply::Deleted(deleted.cursor))
    }

    /// Report a task's status
    ///
    /// For workers on the task. Sets the status and, if given, priority, assignee and artifacts; what is absent or
    /// null stays as it is (to clear a field, use `updateTask`). Any status may follow any other.
    ///
    /// Emits one `task_updated` with the task's current fields, unless nothing would change. An execution is neither
    /// started nor stopped by it.
    #[oai(path = "/api/tasks/status/:task_id", method = "put", operation_id = "updateTaskStatus")]
    async fn update_status(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// The `ETag` that the report is meant for; with another version nothing is changed (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        /// The lease that the caller holds the task by; with one that is not in force nothing is changed (409).
        #[oai(name = "Taskhub-Lease")]
        _lease: Header<Option<LeaseId>>,
        body: JsonBody<StatusUpdate>,
    ) -> Result<TaskReply, Problems<{ NOT_FOUND | CONFLICT | PRECONDITION_FAILED | BODY }>> {
        let (expected, lease) = (conditional::of(request), super::request_headers::lease(request)?);
        Ok(reply(service.update_task_status(task_id.0, body.0, expected, lease).await?))
    }
}

fn default_sort() -> TaskSort {
    TaskSort::CreatedAt
}

fn default_order() -> SortOrder {
    SortOrder::Ascending
}

fn default_limit() -> u32 {
    100
}

fn reply(Stamped { value: task, cursor }: Stamped<Task>) -> TaskReply {
    let etag = etag(&task);
    TaskReply::Ok(JsonBody(task), etag, cursor)
}

fn etag(task: &Task) -> String {
    format!("\"{}\"", task.version)
}

fn page_key(text: &str, sort: TaskSort, order: SortOrder) -> Result<PageKey, Problem> {
    let wrong =
        |words: &str| Problem::new(Code::InvalidParameter, format!("cursor: {words}")).with_field("cursor");
    let key: PageKey = text.parse().map_err(|words: String| wrong(&words))?;
    if (key.sort, key.order) != (sort, order) {
        return Err(wrong("belongs to a list with another `sort` or `order`; start at its first page"));
    }
    Ok(key)
}

/// The address of the next page: the same list, after `key`.
fn next_link(query: &TaskQuery, key: &PageKey) -> String {
    let filter = &query.filter;
    let pairs = [
        ("project", super::comma_list::comma_list(&filter.projects)),
        ("key", super::comma_list::comma_list(&filter.keys)),
        ("ready", filter.ready.map(|ready| ready.to_string()).unwrap_or_default()),
        ("status", super::comma_list::comma_list(&filter.statuses)),
        ("priority", super::comma_list::comma_list(&filter.priorities)),
        ("assignee", super::comma_list::comma_list(&filter.assignees)),
        ("tag", super::comma_list::comma_list(&filter.tags)),
        ("q", query.text.clone().unwrap_or_default()),
        ("sort", query.sort.to_string()),
        ("order", query.order.to_string()),
        ("limit", query.limit.to_string()),
        ("cursor", key.to_string()),
    ];
    super::paging::next_link("/api/tasks", &pairs)
}
