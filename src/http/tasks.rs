//! The operations on tasks.

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::types::ToHeader;
use poem_openapi::{ApiResponse, OpenApi};

use crate::auth::Principal;
use crate::domain::event::EventId;
use crate::domain::filter::FacetFilter;
use crate::domain::id::TaskId;
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use crate::domain::task::{NewTask, Priority, Status, StatusUpdate, Task, TaskPatch};
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::service::{IdempotencyKey, Precondition, Service, TaskPage};

use super::Tags;
use super::access;
use super::body::Body;
use super::list::List;
use super::problem::problems::{BAD_REQUEST, BODY, CONFLICT, NOT_FOUND, PRECONDITION_FAILED, UNPROCESSABLE};
use super::problem::{Code, Problem, Problems};

/// Longest search text, in characters.
const SEARCH_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub struct TaskApi;

#[derive(Debug, ApiResponse)]
pub enum TaskReply {
    /// The task as it is now.
    #[oai(status = 200)]
    Ok(
        Body<Task>,
        /// The task's version in quotes; send it in `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum TaskCreatedReply {
    /// The task was created, now or by an earlier request with the same `Idempotency-Key`.
    #[oai(status = 201)]
    Created(
        Body<Task>,
        /// Where the task is.
        #[oai(header = "Location")]
        String,
        /// The task's version in quotes; send it in `If-Match`.
        #[oai(header = "ETag")]
        String,
        /// `true` when an earlier request with the same `Idempotency-Key` had created the task.
        #[oai(header = "Idempotency-Replayed")]
        bool,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum TaskDeletedReply {
    /// The task is gone.
    #[oai(status = 204)]
    Deleted,
}

#[derive(Debug, ApiResponse)]
pub enum TaskListReply {
    /// A page of tasks, all of one moment.
    #[oai(status = 200)]
    Ok(
        Body<Vec<Task>>,
        /// `<…>; rel="next"` leads to the next page; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// The event id at which the list was read. A stream opened with `since` set to it misses nothing
        /// and repeats nothing.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
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
    /// Filters combine with AND; a filter with several values matches any of them. Follow `Link` for more.
    /// To follow changes from here, open the stream with `since` set to `Taskhub-Cursor`.
    #[oai(path = "/api/tasks", method = "get", operation_id = "listTasks")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented query parameter")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// Only tasks with one of these statuses, separated by commas.
        status: Query<List<Status>>,
        /// Only tasks with one of these priorities, separated by commas.
        priority: Query<List<Priority>>,
        /// Only tasks of one of these assignees, separated by commas.
        assignee: Query<List<Assignee>>,
        /// Only tasks with at least one of these tags, separated by commas.
        tag: Query<List<Tag>>,
        /// Only tasks with this text in title or description; upper and lower case of ASCII letters are the same.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// What to sort by.
        #[oai(default = "default_sort")]
        sort: Query<TaskSort>,
        /// Which way to sort.
        #[oai(default = "default_order")]
        order: Query<SortOrder>,
        /// How many tasks to answer at most. A page of large tasks may be shorter; `Link` tells whether more
        /// follow.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts; take it from the `Link` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<TaskListReply, Problems<{ BAD_REQUEST }>> {
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
                statuses: status.0.0,
                priorities: priority.0.0,
                assignees: assignee.0.0,
                tags: tag.0.0,
            },
            text,
            sort: sort.0,
            order: order.0,
            after,
            limit: limit.0 as usize,
        };
        let link_query = query.clone();
        let TaskPage { tasks, next, cursor } = service.tasks(query).await?;
        let link = next.map(|key| next_link(&link_query, &key));
        Ok(TaskListReply::Ok(Body(tasks), link, cursor))
    }

    /// Create a task
    ///
    /// Emits `task_created`. With an `Idempotency-Key` a repetition of the same request within 24 hours
    /// answers what the first one answered and creates nothing. A `script` needs the scope `exec`.
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
        body: Body<NewTask>,
    ) -> Result<TaskCreatedReply, Problems<{ BAD_REQUEST | BODY | UNPROCESSABLE }>> {
        if body.0.script.is_some() {
            access::require(&principal, Scope::Exec)?;
        }
        let key = super::header_list(request, "Idempotency-Key")
            .map(|text| text.parse::<IdempotencyKey>())
            .transpose()
            .map_err(|words| {
                let field = "Idempotency-Key";
                Problem::new(Code::InvalidParameter, format!("{field}: {words}")).with_field(field)
            })?;
        let created = service.create_task(body.0, key).await?;
        let location = format!("/api/tasks/{}", created.task.id);
        let etag = etag(&created.task);
        Ok(TaskCreatedReply::Created(Body(created.task), location, etag, created.repeated))
    }

    /// Get a task
    ///
    /// Its `ETag` is its version; send it in `If-Match` to change exactly what you have seen.
    #[oai(path = "/api/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The task.
        task_id: Path<TaskId>,
    ) -> Result<TaskReply, Problems<{ BAD_REQUEST | NOT_FOUND }>> {
        Ok(reply(service.task(task_id.0).await?))
    }

    /// Change a task
    ///
    /// A JSON Merge Patch (RFC 7396): what is absent stays, `null` clears. Emits `task_updated` unless nothing
    /// would change. `application/merge-patch+json` is accepted as well. A `script`, be it null, needs the scope `exec`.
    #[oai(path = "/api/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    async fn update(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        /// The task.
        task_id: Path<TaskId>,
        /// The `ETag` that the change is meant for; with another version nothing is changed (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        body: Body<TaskPatch>,
    ) -> Result<TaskReply, Problems<{ BAD_REQUEST | NOT_FOUND | PRECONDITION_FAILED | BODY }>> {
        if !body.0.script.is_undefined() {
            access::require(&principal, Scope::Exec)?;
        }
        let expected = precondition(super::header_list(request, "If-Match").as_deref());
        Ok(reply(service.update_task(task_id.0, body.0, expected).await?))
    }

    /// Delete a task
    ///
    /// Emits `task_deleted`. Refused while the task is being executed. The history of its executions stays.
    #[oai(path = "/api/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The task.
        task_id: Path<TaskId>,
        /// The `ETag` of the version to delete; with another version nothing is deleted (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
    ) -> Result<TaskDeletedReply, Problems<{ BAD_REQUEST | NOT_FOUND | CONFLICT | PRECONDITION_FAILED }>>
    {
        let expected = precondition(super::header_list(request, "If-Match").as_deref());
        service.delete_task(task_id.0, expected).await?;
        Ok(TaskDeletedReply::Deleted)
    }

    /// Report a task's status
    ///
    /// Sets the status and, if given, priority, assignee and artifacts; what is absent or null stays as it is.
    /// Emits one `task_updated` with the task's current fields, unless nothing would change.
    #[oai(path = "/api/tasks/status/:task_id", method = "put", operation_id = "updateTaskStatus")]
    async fn update_status(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The task.
        task_id: Path<TaskId>,
        /// The `ETag` that the report is meant for; with another version nothing is changed (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        body: Body<StatusUpdate>,
    ) -> Result<TaskReply, Problems<{ BAD_REQUEST | NOT_FOUND | PRECONDITION_FAILED | BODY }>> {
        let expected = precondition(super::header_list(request, "If-Match").as_deref());
        Ok(reply(service.update_task_status(task_id.0, body.0, expected).await?))
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

fn reply(task: Task) -> TaskReply {
    let etag = etag(&task);
    TaskReply::Ok(Body(task), etag)
}

fn etag(task: &Task) -> String {
    format!("\"{}\"", task.version)
}

/// Reads `If-Match`. A weak tag never matches (RFC 9110, section 8.8.3.2), nor does one that is not ours.
fn precondition(if_match: Option<&str>) -> Precondition {
    match if_match {
        None => Precondition::Any,
        Some(tags) if tags.trim() == "*" => Precondition::Any,
        Some(tags) => Precondition::OneOf(
            tags.split(',')
                .filter_map(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok())
                .collect(),
        ),
    }
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
        ("status", super::comma_list(&filter.statuses)),
        ("priority", super::comma_list(&filter.priorities)),
        ("assignee", super::comma_list(&filter.assignees)),
        ("tag", super::comma_list(&filter.tags)),
        ("q", query.text.clone().unwrap_or_default()),
        ("sort", query.sort.to_string()),
        ("order", query.order.to_string()),
        ("limit", query.limit.to_string()),
        ("cursor", key.to_string()),
    ];
    super::next_link("/api/tasks", &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_our_strong_tags_only() {
        assert_eq!(precondition(None), Precondition::Any);
        assert_eq!(precondition(Some("*")), Precondition::Any);
        assert_eq!(precondition(Some("\"3\", \"4\"")), Precondition::OneOf(vec![3, 4]));
        assert_eq!(precondition(Some("W/\"3\"")), Precondition::OneOf(vec![]));
        assert_eq!(precondition(Some("3")), Precondition::OneOf(vec![]));
    }
}
