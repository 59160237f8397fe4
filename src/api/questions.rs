//! The operations on questions.

use std::sync::Arc;
use std::time::Duration;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use tokio::time::Instant;

use crate::auth::Principal;
use crate::domain::event::EventId;
use crate::domain::id::{LeaseId, QuestionId, TaskId};
use crate::domain::question::{AnswerDraft, Question, QuestionDraft};
use crate::service::{Service, Stamped};
use crate::store::QuestionQuery;

use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT, NONE, NOT_FOUND, UNPROCESSABLE};
use super::{ApiContext, Tags, conditional, permission};

#[derive(Debug)]
pub struct QuestionApi;

#[derive(Debug, ApiResponse)]
pub enum QuestionReply {
    /// The question as it is now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Question>,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum QuestionFoundReply {
    /// The question as it is now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Question>,
        /// Names this state of the question; with it in `If-None-Match` the same state is answered 304.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum QuestionCreatedReply {
    /// The question was asked, now or by an earlier request with the same `Idempotency-Key`.
    #[oai(status = 201)]
    Created(
        JsonBody<Question>,
        /// Where the question is: a path on this hub.
        #[oai(header = "Location")]
        String,
        /// `true` when an earlier request with the same `Idempotency-Key` had asked the question.
        #[oai(header = "Idempotency-Replayed")]
        bool,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum QuestionListReply {
    /// A page of questions, oldest first.
    #[oai(status = 200)]
    Ok(
        JsonBody<Vec<Question>>,
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

#[OpenApi(tag = "Tags::Questions")]
impl QuestionApi {
    /// Ask a question about a task
    ///
    /// Emits `question_asked`, then `task_updated`: the question is in the task's `waiting_for` until it ends. Somebody
    /// answers it by `answerQuestion`, as on the board. To wait for the answer, use `getQuestion` with `wait`, or follow the
    /// stream. Questions survive a restart of the hub. A script asks by `taskhub ask`.
    ///
    /// With `deadline_seconds` the question expires (`question_expired`) when nobody has answered it in time, and its
    /// `default`, if it has one, becomes its answer. A task can have 100 open questions (409 beyond that).
    ///
    /// With an `Idempotency-Key` a repetition of the same request within 24 hours asks nothing and answers the question that
    /// the first one asked, as it is now; another request with that key is refused (422).
    #[oai(path = "/api/tasks/:task_id/questions", method = "post", operation_id = "askQuestion")]
    async fn ask(
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
        body: JsonBody<QuestionDraft>,
    ) -> Result<QuestionCreatedReply, Problems<{ NOT_FOUND | CONFLICT | BODY | UNPROCESSABLE }>> {
        let key = super::request_headers::idempotency_key(request)?;
        let lease = super::request_headers::lease(request)?;
        let Stamped { value: asked, cursor } = service.ask(task_id.0, body.0, key, lease).await?;
        let location = format!("/api/questions/{}", asked.question.id);
        Ok(QuestionCreatedReply::Created(JsonBody(asked.question), location, asked.repeated, cursor))
    }

    /// List questions
    ///
    /// Of all tasks or of one; oldest first. While there are more, the header `Taskhub-Next-Page` has the `cursor` of the
    /// next page, and `Link` its address (`<…>; rel="next"`): follow one of them until it is absent. The questions of a task
    /// go when it is deleted.
    #[oai(path = "/api/questions", method = "get", operation_id = "listQuestions")]
    async fn list(
        &self,
        service: Data<&Service>,
        /// Only open questions, or with `false` only questions that have ended.
        open: Query<Option<bool>>,
        /// Only questions about this task.
        task_id: Query<Option<TaskId>>,
        /// How many questions to answer at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Where the page starts: opaque; the `Taskhub-Next-Page` of the page before, with all else as it was.
        cursor: Query<Option<QuestionId>>,
    ) -> Result<QuestionListReply, Problems<NONE>> {
        let query =
            QuestionQuery { task_id: task_id.0, open: open.0, after: cursor.0, limit: limit.0 as usize };
        let (questions, next) = service.questions(query).await?;
        let next = next.map(|id| id.to_string());
        let link = next.as_ref().map(|cursor| {
            let pairs = [
                ("open", open.0.map(|open| open.to_string()).unwrap_or_default()),
                ("task_id", task_id.0.map(|id| id.to_string()).unwrap_or_default()),
                ("limit", limit.0.to_string()),
                ("cursor", cursor.clone()),
            ];
            super::paging::next_link("/api/questions", &pairs)
        });
        let etag = conditional::tag_of_json(&(&questions, &next));
        Ok(QuestionListReply::Ok(JsonBody(questions), link, next, etag))
    }

    /// Get a question, or wait for its answer
    ///
    /// With `wait` the answer of the hub is held back until the question has ended or the time is over (long polling): a
    /// question that is still `open` then is no error, so ask again. A hub that is shutting down answers at once. The
    /// questions of a task that was deleted are gone (404).
    #[oai(path = "/api/questions/:question_id", method = "get", operation_id = "getQuestion")]
    async fn get(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
        principal: Data<&Principal>,
        /// The id of the question.
        question_id: Path<QuestionId>,
        /// How many seconds to wait for its end.
        #[oai(default, validator(maximum(value = "60")))]
        wait: Query<u32>,
    ) -> Result<QuestionFoundReply, Problems<NOT_FOUND>> {
        let until = Instant::now() + Duration::from_secs(u64::from(wait.0));
        // Cancel safe: both branches only read.
        let question = tokio::select! {
            question = service.question(question_id.0, until, context.events.draining()) => question?,
            () = principal.gone.cancelled() => return Err(permission::no_longer_let_in().into()),
        };
        let etag = conditional::tag_of_json(&question);
        Ok(QuestionFoundReply::Ok(JsonBody(question), etag))
    }

    /// Answer a question
    ///
    /// Once. Emits `question_answered`, then `task_updated`: the question leaves the task's `waiting_for`. A question with
    /// `options` takes one of them; any other takes 1–16,384 characters of any text.
    ///
    /// A question that has ended takes no other answer (409, `question_answered`): `detail` tells the first answer to
    /// people, and `getQuestion` has it for programs.
    #[oai(path = "/api/questions/:question_id/answer", method = "put", operation_id = "answerQuestion")]
    async fn answer(
        &self,
        service: Data<&Service>,
        /// The id of the question.
        question_id: Path<QuestionId>,
        body: JsonBody<AnswerDraft>,
    ) -> Result<QuestionReply, Problems<{ NOT_FOUND | CONFLICT | BODY }>> {
        let Stamped { value, cursor } = service.answer(question_id.0, body.0.answer).await?;
        Ok(QuestionReply::Ok(JsonBody(value), cursor))
    }
}

fn default_limit() -> u32 {
    100
}
