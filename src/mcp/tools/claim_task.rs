//! `claim_task`: get a task that is surely one's own, or wait for one.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::id::TaskId;
use crate::domain::lease::LeaseHandle;
use crate::domain::project::ProjectName;
use crate::domain::task::{Status, Task};
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::failure::Failure;
use crate::mcp::progress::Progress;
use crate::mcp::projects;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::mcp::task_text::cut_description;
use crate::service::{ClaimRequest, ClaimedTask};

/// A client may have given up before the answer came. So the first lease is short, and the first heartbeat makes it as long as
/// was asked for.
const UNCONFIRMED_SECONDS_MAX: u32 = 120;
/// Bytes of a description, so that a claim stays short. `get_task` has more.
const DESCRIPTION_BYTES_MAX: usize = 8_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimArguments {
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
        description: "Get the most pressing ready task for yourself, with a lease. A worker that holds one gets it again (again: true), \
                      unless task or another is given. Empty answer: none was ready; call again.",
        effect: Effect::Settles,
        input: schema::object(
            json!({
                "worker": schema::described("Your name: always the same, used by no other session"),
                "task": schema::described("Only this one, also if it is assigned to you"),
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
            "priority": schema::string(),
            "has_script": schema::boolean(),
            "comments": schema::number(),
            "questions": schema::described_number("Open ones"),
            "attempts": schema::number(),
            "attempts_max": schema::number(),
            "lease": schema::described("For heartbeat and reports"),
            "expires_at": schema::string(),
            "again": schema::boolean(),
            "reason": schema::string(),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: ClaimArguments = arguments.read()?;
    let task_id = match given.task {
        Some(name) => Some(call.task(name).await?.id),
        None => None,
    };
    let project = projects::known(call, given.project).await?;
    let worker = given.worker;
    // A worker that names a task gets it beside the one that it holds.
    let held = match task_id {
        Some(_) => call.service.held_by(worker.clone()).await?,
        None => None,
    };
    let request = ClaimRequest {
        worker: worker.clone(),
        task_id,
        project: project.clone(),
        tag: given.tag.clone(),
        priority: None,
        lease_seconds: given.lease_seconds,
        wait_seconds: given.wait_seconds.min(WAIT_SECONDS_MAX),
        another: given.another,
        unconfirmed_seconds_max: Some(UNCONFIRMED_SECONDS_MAX),
    };
    let claim = call.service.claim_task(request);
    let claimed = Progress::while_waiting(call.progress.as_deref(), "no task is ready yet", claim).await?;
    match claimed.map(|claimed| claimed.value) {
        None => none(call, task_id, &worker).await,
        Some(ClaimedTask { task, again }) => {
            let mut answer = claimed_task(call, &task).await?;
            if again {
                answer["again"] = true.into();
                answer["reason"] = why_again(&task, project.as_ref(), given.tag.as_ref()).into();
            } else if let Some(held) = held {
                let also = format!("you hold {} too: renew both leases, and finish both", held.key);
                answer["reason"] = also.into();
            }
            Ok(Answer::Data(answer))
        }
    }
}

/// Nothing was free. Of a task that was asked for it says why.
async fn none(call: &Call, task: Option<TaskId>, worker: &Assignee) -> Result<Answer, Failure> {
    let Some(id) = task else {
        return Ok(Answer::Data(json!({})));
    };
    let why = call.service.why(id, None).await?.value;
    let is_free = why.lease.is_none() && why.status == Status::Todo;
    let other = why.assignee.as_ref().filter(|name| is_free && *name != worker);
    let reason = match other {
        Some(name) => format!(
            "it is assigned to {name}, and only a worker of that name may claim it; \
             update_task with assignee \"\" makes it free for all"
        ),
        None => why.summary,
    };
    Ok(Answer::Data(json!({ "reason": reason })))
}

async fn claimed_task(call: &Call, task: &Task) -> Result<Value, Failure> {
    let mut answer = json!({ "key": task.key, "title": task.title });
    if !task.description.as_str().is_empty() {
        answer["description"] = cut_description(task.description.as_str(), DESCRIPTION_BYTES_MAX).into();
    }
    if !task.tags.is_empty() {
        answer["tags"] = json!(task.tags);
    }
    if let Some(priority) = task.priority {
        answer["priority"] = json!(priority);
    }
    if task.script.is_some() {
        answer["has_script"] = true.into();
    }
    let comments = call.service.comment_count(task.id).await?;
    if comments > 0 {
        answer["comments"] = comments.into();
    }
    if !task.waiting_for.is_empty() {
        answer["questions"] = task.waiting_for.len().into();
    }
    answer["attempts"] = task.attempts.into();
    answer["attempts_max"] = task.attempts_max.into();
    if let Some(lease) = &task.lease {
        answer["lease"] = LeaseHandle::of(&task.key, lease).to_string().into();
        answer["expires_at"] = json!(lease.expires_at);
    }
    Ok(answer)
}

/// Why a worker gets a task that it has already. Two sessions with one name would both work on it.
fn why_again(task: &Task, project: Option<&ProjectName>, tag: Option<&Tag>) -> String {
    let (worker, since) = match &task.lease {
        Some(lease) => (lease.worker.as_str(), lease.claimed_at()),
        None => ("you", None),
    };
    let since = since.map(|time| format!(" since {time}")).unwrap_or_default();
    let mut misfits = Vec::new();
    if let Some(project) = project.filter(|it| **it != task.project) {
        misfits.push(format!("is not of project {project}"));
    }
    if let Some(tag) = tag.filter(|it| !task.tags.contains(it)) {
        misfits.push(format!("has no tag {tag}"));
    }
    let held = format!("{worker} has it already{since}");
    match misfits.is_empty() {
        true => format!("{held}; if that was not you, claim under a name of your own"),
        false => {
            format!("{held}, though it {}; finish it first, or pass another: true", misfits.join(" and "))
        }
    }
}
