//! `claim_task`: get a task that is surely one's own, or wait for one.

use serde::Deserialize;
use serde_json::json;

use crate::domain::lease::LeaseHandle;
use crate::domain::project::ProjectName;
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::failure::Failure;
use crate::mcp::progress::Progress;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::mcp::task_text::cut;
use crate::service::ClaimRequest;

/// A client may have given up before the answer came. So the first lease is short, and the first heartbeat makes it as long as
/// was asked for.
const UNCONFIRMED_SECONDS_MAX: u32 = 120;
/// Of a description, in bytes; `get_task` has more.
const DESCRIPTION_BYTES_MAX: usize = 8_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    worker: Assignee,
    #[serde(default)]
    task: Option<TaskName>,
    #[serde(default)]
    project: Option<ProjectName>,
    #[serde(default)]
    tag: Option<Tag>,
    #[serde(default = "lease_seconds")]
    lease_seconds: u32,
    #[serde(default)]
    wait_seconds: u32,
    #[serde(default)]
    another: bool,
}

fn lease_seconds() -> u32 {
    600
}

pub fn row() -> Row {
    Row {
        name: "claim_task",
        scope: Scope::Write,
        description: "Get the most pressing ready task for yourself, with a lease. A worker that holds one gets it again, unless another is true. \
                      Empty answer: none was ready; call again.",
        effect: Effect::Settles,
        input: schema::object(
            json!({
                "worker": schema::described("Your name, always the same"),
                "task": schema::described("Only this one"),
                "project": schema::string(),
                "tag": schema::string(),
                "lease_seconds": schema::integer(5, 3600),
                "wait_seconds": schema::integer(0, WAIT_SECONDS_MAX.into()),
                "another": schema::boolean(),
            }),
            &["worker"],
        ),
        output: Some(schema::result(json!({
            "key": schema::string(),
            "title": schema::string(),
            "description": schema::string(),
            "tags": { "type": "array", "items": schema::string() },
            "attempts": schema::described_number("Times it was lost before"),
            "lease": schema::described("For heartbeat and reports"),
            "expires_at": schema::string(),
            "reason": schema::described("Why the task asked for was not free"),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let wish: Wish = arguments.read()?;
    let task_id = match wish.task {
        Some(name) => Some(call.task(name).await?.id),
        None => None,
    };
    let request = ClaimRequest {
        worker: wish.worker,
        task_id,
        project: wish.project,
        tag: wish.tag,
        priority: None,
        lease_seconds: wish.lease_seconds,
        wait_seconds: wish.wait_seconds.min(WAIT_SECONDS_MAX),
        another: wish.another,
        unconfirmed_seconds_max: Some(UNCONFIRMED_SECONDS_MAX),
    };
    let claim = call.service.claim_task(request);
    let claimed = Progress::while_waiting(call.progress.as_ref(), "no task is ready yet", claim).await?;
    let Some(task) = claimed.map(|claimed| claimed.value) else {
        let none = match task_id {
            Some(id) => json!({ "reason": call.service.why(id, None).await?.value.summary }),
            None => json!({}),
        };
        return Ok(Answer::Data(none));
    };
    let mut answer = json!({ "key": task.key, "title": task.title });
    if !task.description.as_str().is_empty() {
        answer["description"] =
            cut(task.description.as_str(), DESCRIPTION_BYTES_MAX, "get_task has the whole").into();
    }
    if !task.tags.is_empty() {
        answer["tags"] = json!(task.tags);
    }
    if task.attempts > 0 {
        answer["attempts"] = task.attempts.into();
    }
    if let Some(lease) = &task.lease {
        answer["lease"] = LeaseHandle::of(&task.key, lease).to_string().into();
        answer["expires_at"] = json!(lease.expires_at);
    }
    Ok(Answer::Data(answer))
}
