//! The operation for many changes at once, as JSON or as lines of JSON.

use poem::http::header;
use poem::web::Data;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::error::ContentTypeError;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::auth::Principal;
use crate::domain::batch::{BatchOperation, OPERATIONS_MAX, TaskOperation};
use crate::domain::event::EventId;
use crate::domain::task::Task;
use crate::domain::token::Scope;
use crate::service::{BatchRefused, Done, Service, Stamped};

use super::json_body::{self, JsonBody, is_json, is_ndjson};
use super::problem::problems::{BODY, CONFLICT, NOT_FOUND, PRECONDITION_FAILED, UNPROCESSABLE};
use super::problem::{Code, Problem, ProblemBody, Problems};
use super::{Tags, negotiation, permission};

const NDJSON: &str = "application/x-ndjson";

#[derive(Debug)]
pub struct BatchApi;

/// Changes of tasks, in order.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields)]
pub struct Batch {
    /// All of them or none; otherwise each for itself.
    #[oai(default)]
    pub atomic: bool,
    /// What to do.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub operations: Vec<BatchOperation>,
}

/// What became of one operation.
#[derive(Debug, Object, Serialize)]
pub struct BatchResult {
    /// The status that the operation alone would have been answered with.
    #[oai(validator(minimum(value = "200"), maximum(value = "599")))]
    pub status: u16,
    /// The task as it is after the operation; absent when it was deleted or the operation was refused.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Why the operation was refused; absent when it was done.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody>,
}

/// What became of a batch.
#[derive(Debug, Object, Serialize)]
pub struct BatchResults {
    /// One for each operation, in the same order.
    #[oai(validator(max_items = 1000))]
    pub results: Vec<BatchResult>,
}

/// [`Batch`] as it is read: an operation that does not read is the fault of that operation alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBatch {
    #[serde(default)]
    atomic: bool,
    operations: Vec<Box<RawValue>>,
}

/// The body of a batch: JSON, or an operation a line.
#[derive(Debug)]
pub struct BatchBody {
    atomic: bool,
    operations: Vec<Result<BatchOperation, Problem>>,
}

#[OpenApi(tag = "Tags::Tasks")]
impl BatchApi {
    /// Change many tasks at once
    ///
    /// Up to 1,000 operations, done in order, in one transaction: to import tasks, and to change many faster than requests
    /// allow. Each is answered as if it had come alone, and emits the same events.
    ///
    /// With `atomic`, all are done or none: the first one that is refused refuses the batch, and `field` names it. Only then
    /// an `Idempotency-Key` is taken: a repetition within 24 hours changes nothing and answers what the first one answered.
    ///
    /// As `application/x-ndjson` the body is one operation a line, and the answer one result a line.
    ///
    /// An operation that sets or clears a `script` or `auto_start` needs the scope `exec`.
    #[oai(path = "/api/tasks/batch", method = "post", operation_id = "changeTasks")]
    async fn change(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        request: &Request,
        /// All or none, as `atomic` of the body: for lines, which have no other place for it.
        #[oai(default)]
        atomic: Query<bool>,
        /// Your name for this request, 1–255 visible ASCII characters, so that it can be repeated safely.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]*[!-~][ -~]*$")
        )]
        _key: Header<Option<String>>,
        body: BatchBody,
    ) -> Result<BatchReply, Problems<{ BODY | NOT_FOUND | CONFLICT | PRECONDITION_FAILED | UNPROCESSABLE }>>
    {
        let BatchBody { atomic: atomic_in_body, operations } = body;
        let is_atomic = atomic.0 || atomic_in_body;
        let key = super::request_headers::idempotency_key(request)?;
        if key.is_some() && !is_atomic {
            let detail = "Idempotency-Key: is taken only with `atomic`; leave it out, or do all or none";
            return Err(Problem::new(Code::InvalidParameter, detail).with_field("Idempotency-Key").into());
        }
        let may_delete_scripts = principal.scope >= Scope::Exec;
        let checked = operations.into_iter().map(|operation| checked(operation?, &principal));
        let (results, cursor) = if is_atomic {
            let numbered = checked.enumerate().map(|(index, it)| it.map_err(|problem| at(index, problem)));
            let operations = numbered.collect::<Result<_, _>>()?;
            let refused = |BatchRefused { operation, error }: BatchRefused| match operation {
                Some(index) => at(index, error.into()),
                None => error.into(),
            };
            let done = service.all_of(operations, may_delete_scripts, key).await.map_err(refused)?;
            (done.value.into_iter().map(Ok).collect(), done.cursor)
        } else {
            each(&service, checked.collect(), may_delete_scripts).await?
        };
        Ok(BatchReply::of(wants_lines(request), results, cursor))
    }
}

/// What became of each operation, also of those that were refused before they came to the service.
async fn each(
    service: &Service,
    checked: Vec<Result<TaskOperation, Problem>>,
    may_delete_scripts: bool,
) -> Result<(Vec<Result<Done, Problem>>, EventId), Problem> {
    let mut refused = Vec::with_capacity(checked.len());
    let mut operations = Vec::with_capacity(checked.len());
    for operation in checked {
        match operation {
            Ok(operation) => {
                operations.push(operation);
                refused.push(None);
            }
            Err(problem) => refused.push(Some(problem)),
        }
    }
    let Stamped { value, cursor } = service.each_of(operations, may_delete_scripts).await?;
    let mut done = value.into_iter();
    let results = refused.into_iter().map(|refused| match refused {
        Some(problem) => Err(problem),
        None => done.next().expect("one for each operation").map_err(Problem::from),
    });
    Ok((results.collect(), cursor))
}

fn checked(operation: BatchOperation, principal: &Principal) -> Result<TaskOperation, Problem> {
    let operation = operation.checked()?;
    let changes_what_runs = match &operation {
        TaskOperation::Create(draft) => draft.script.is_some() || draft.auto_start,
        TaskOperation::Change { patch, .. } => {
            !patch.script.is_undefined() || !patch.auto_start.is_undefined()
        }
        TaskOperation::Delete { .. } => false,
    };
    if changes_what_runs {
        permission::require(principal, Scope::Exec)?;
    }
    Ok(operation)
}

/// The problem of the operation with this number.
fn at(index: usize, problem: Problem) -> Problem {
    problem.inside(&format!("operations[{index}]"))
}

fn wants_lines(request: &Request) -> bool {
    match request.headers().contains_key(header::ACCEPT) {
        true => {
            negotiation::wants_ndjson(request)
                || request.content_type().is_some_and(is_ndjson) && !negotiation::names_json(request)
        }
        false => request.content_type().is_some_and(is_ndjson),
    }
}

impl<'a> ApiExtractor<'a> for BatchBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Batch::register(registry);
        BatchOperation::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = |content_type, schema| MetaMediaType { content_type, schema };
        Some(MetaRequest {
            description: None,
            content: vec![
                content(JsonBody::<Batch>::CONTENT_TYPE, Batch::schema_ref()),
                content(NDJSON, BatchOperation::schema_ref()),
            ],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        let (atomic, operations) = match request.content_type() {
            Some(kind) if is_ndjson(kind) => (false, lines(&bytes)),
            Some(kind) if is_json(kind) => {
                let RawBatch { atomic, operations } = json_body::parse(&bytes)?;
                let read = |raw: Box<RawValue>| json_body::parse(raw.get().as_bytes());
                (atomic, operations.into_iter().map(read).collect())
            }
            Some(other) => {
                return Err(ContentTypeError::NotSupported { content_type: other.to_owned() }.into());
            }
            None => return Err(ContentTypeError::ExpectContentType.into()),
        };
        match operations.len() {
            0 => Err(count("is empty; send 1 to 1000 operations").into()),
            size if size > OPERATIONS_MAX => {
                let words = format!("holds {size} entries or more; at most {OPERATIONS_MAX} are allowed");
                Err(count(&words).into())
            }
            _ => Ok(Self { atomic, operations }),
        }
    }
}

fn count(words: &str) -> Problem {
    Problem::new(Code::InvalidField, format!("operations: {words}")).with_field("operations")
}

/// One operation a line; empty lines are passed over.
fn lines(bytes: &[u8]) -> Vec<Result<BatchOperation, Problem>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.take(OPERATIONS_MAX + 1).map(json_body::parse).collect()
}

/// The answer to a batch.
#[derive(Debug)]
pub struct BatchReply(Response);

impl BatchReply {
    fn of(as_lines: bool, results: Vec<Result<Done, Problem>>, cursor: EventId) -> Self {
        let results: Vec<_> = results.into_iter().map(BatchResult::of).collect();
        let (kind, bytes) = match as_lines {
            true => {
                let mut bytes = Vec::new();
                for result in &results {
                    serde_json::to_writer(&mut bytes, result).expect("a result is always JSON");
                    bytes.push(b'\n');
                }
                (NDJSON, bytes)
            }
            false => {
                let bytes = serde_json::to_vec(&BatchResults { results }).expect("results are always JSON");
                (JsonBody::<BatchResults>::CONTENT_TYPE, bytes)
            }
        };
        Self(Response::builder().content_type(kind).header("Taskhub-Cursor", cursor.to_string()).body(bytes))
    }
}

impl BatchResult {
    fn of(done: Result<Done, Problem>) -> Self {
        match done {
            Ok(Done::Created(task)) => Self { status: 201, task: Some(task), problem: None },
            Ok(Done::Changed(task)) => Self { status: 200, task: Some(task), problem: None },
            Ok(Done::Deleted) => Self { status: 204, task: None, problem: None },
            Err(problem) => {
                let problem = problem.body();
                Self { status: problem.status, task: None, problem: Some(problem) }
            }
        }
    }
}

impl IntoResponse for BatchReply {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for BatchReply {
    fn meta() -> MetaResponses {
        let content = |content_type, schema: MetaSchemaRef| MetaMediaType { content_type, schema };
        let cursor = MetaHeader {
            name: "Taskhub-Cursor".to_owned(),
            description: Some("The last event that the answer reflects.".to_owned()),
            required: true,
            deprecated: false,
            schema: EventId::schema_ref(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "What became of each operation, in order.",
                status: Some(200),
                status_range: None,
                content: vec![
                    content(JsonBody::<BatchResults>::CONTENT_TYPE, BatchResults::schema_ref()),
                    content(NDJSON, BatchResult::schema_ref()),
                ],
                headers: vec![cursor],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        BatchResults::register(registry);
        BatchResult::register(registry);
    }
}
