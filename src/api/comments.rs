//! The operations on comments.

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, OpenApi};

use crate::domain::comment::{Comment, CommentDraft};
use crate::domain::event::EventId;
use crate::domain::id::{CommentId, LeaseId, TaskId};
use crate::service::{Service, Stamped};
use crate::store::CommentQuery;

use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT, NOT_FOUND, UNPROCESSABLE};
use super::{Tags, conditional};

#[derive(Debug)]
pub struct CommentApi;

#[derive(Debug, ApiResponse)]
pub enum CommentCreatedReply {
    /// The comment was added, now or by an earlier request with the same `Idempotency-Key`.
    #[oai(status = 201)]
    Created(
        JsonBody<Comment>,
        /// The comments of the task: a path on this hub.
        #[oai(header = "Location")]
        String,
        /// `true` when an earlier request with the same `Idempotency-Key` had added the comment.
        #[oai(header = "Idempotency-Replayed")]
        bool,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum CommentListReply {
    /// A page of comments, oldest first.
    #[oai(status = 200)]
    Ok(
        JsonBody<Vec<Comment>>,
        /// `<…>; rel="next"` leads to the next page; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "Taskhub-Next-Page")]
        Option<String>,
        /// Names this page as it is; with it in `If-None-Match` the same page is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi(tag = "Tags::Tasks")]
impl CommentApi {
    /// Comment on a task
    ///
    /// Emits `comment_added`; the task itself stays at its version. A comment is Markdown of 1–16,384 characters, and never
    /// changes. Its `author` is the name of the token. Without a token it is the `author` of the body, or nobody.
    ///
    /// With an `Idempotency-Key` a repetition of the same request within 24 hours answers what the first one answered and
    /// adds nothing; another request with that key is refused (422).
    #[oai(path = "/api/tasks/:task_id/comments", method = "post", operation_id = "addComment")]
    async fn add(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// Your name for this request, 1–255 visible ASCII characters, so that it can be repeated safely.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]*[!-~][ -~]*$")
        )]
        _key: Header<Option<String>>,
        /// The lease that the caller holds the task by; with one that is not in force nothing is changed (409).
        #[oai(name = "Taskhub-Lease")]
        _lease: Header<Option<LeaseId>>,
        body: JsonBody<CommentDraft>,
    ) -> Result<CommentCreatedReply, Problems<{ NOT_FOUND | CONFLICT | BODY | UNPROCESSABLE }>> {
        let key = super::request_headers::idempotency_key(request)?;
        let lease = super::request_headers::lease(request)?;
        let Stamped { value, cursor } = service.comment(task_id.0, body.0, key, lease).await?;
        let (comment, repeated) = value;
        Ok(CommentCreatedReply::Created(JsonBody(comment), path(task_id.0), repeated, cursor))
    }

    /// List the comments on a task
    ///
    /// Oldest first. While there are more, the header `Taskhub-Next-Page` has the `cursor` of the next page, and `Link` its
    /// address (`<…>; rel="next"`): follow one of them until it is absent. The comments go when the task is deleted.
    #[oai(path = "/api/tasks/:task_id/comments", method = "get", operation_id = "listComments")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// How many comments to answer at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts: opaque; the `Taskhub-Next-Page` of the page before.
        cursor: Query<Option<CommentId>>,
    ) -> Result<CommentListReply, Problems<NOT_FOUND>> {
        let query = CommentQuery { task_id: task_id.0, after: cursor.0, limit: limit.0 as usize };
        let (comments, next) = service.comments(query).await?;
        let next = next.map(|id| id.to_string());
        let link = next.as_ref().map(|cursor| {
            let pairs = [("limit", limit.0.to_string()), ("cursor", cursor.clone())];
            super::paging::next_link(&path(task_id.0), &pairs)
        });
        let etag = conditional::tag_of_json(&(&comments, &next));
        Ok(CommentListReply::Ok(JsonBody(comments), link, next, etag))
    }
}

fn path(task_id: TaskId) -> String {
    format!("/api/tasks/{task_id}/comments")
}

fn default_limit() -> u32 {
    100
}
