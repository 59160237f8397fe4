//! `update_task`: change fields of a task.
//!
//! It finishes only what no worker has and nobody is asked about: otherwise an agent could leave out the proof.

use poem_openapi::types::MaybeUndefined;
use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::lease::LeaseHandle;
use crate::domain::task::{Status, Task, TaskPatch};
use crate::domain::text::{Description, Script, Tag, Title};
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::preconditions;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::service::{Precondition, Versions};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    task: TaskName,
    #[serde(default)]
    title: Option<Title>,
    #[serde(default)]
    description: Option<Description>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    assignee: Option<String>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    script: Option<Script>,
    #[serde(default)]
    blocked_by: Option<Vec<TaskName>>,
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    lease: Option<LeaseHandle>,
}

pub fn row() -> Row {
    Row {
        name: "update_task",
        scope: Scope::Write,
        description: "Change a task; what is left out stays, lists are replaced, priority or assignee \"\" clears. \
                      A task that a worker has is finished by complete_task alone.",
        effect: Effect::Overwrites,
        input: schema::object(
            json!({
                "task": schema::task(),
                "title": schema::string(),
                "description": schema::string(),
                "status": schema::one_of(&["todo", "inprogress", "review", "done"]),
                "priority": schema::one_of(&["low", "medium", "high", ""]),
                "assignee": schema::string(),
                "tags": { "type": "array", "items": schema::string() },
                "script": schema::string(),
                "blocked_by": schema::strings("Keys or ids"),
                "version": schema::described_number("Refuse if at another"),
                "lease": schema::string(),
            }),
            &["task"],
        ),
        output: Some(schema::task_state()),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let change: UpdateArguments = arguments.read()?;
    if change.script.is_some() {
        call.require(Scope::Exec)?;
    }
    let task = call.task(change.task).await?;
    let lease = call.lease_on(change.lease, &task).await?;
    let mut version = change.version;
    if change.status == Some(Status::Done) && task.status != Status::Done {
        if lease.is_some() {
            return Err(preconditions::must_be_completed(&task));
        }
        preconditions::refuse_if_held(call, &task, "call complete_task with its lease").await?;
        preconditions::refuse_if_asked(call, &task).await?;
        // A claim or a question in between changes the version.
        version = version.or(Some(task.version));
    }
    let blocked_by = match change.blocked_by {
        None => MaybeUndefined::Undefined,
        Some(names) => MaybeUndefined::Value(call.tasks("blocked_by", names).await?),
    };
    let patch = TaskPatch {
        title: given(change.title),
        description: given(change.description),
        status: given(change.status),
        priority: cleared_or("priority", change.priority)?,
        assignee: cleared_or("assignee", change.assignee)?,
        tags: given(change.tags),
        script: given(change.script),
        blocked_by,
        ..TaskPatch::default()
    };
    let expected =
        Precondition { if_match: version.map(|version| Versions::OneOf(vec![version])), if_none_match: None };
    let changed = call.service.update_task(task.id, patch, expected, lease).await?;
    Ok(state(&changed.value))
}

/// Where a task stands after a write.
pub fn state(task: &Task) -> Answer {
    Answer::Data(json!({ "key": task.key, "status": task.status, "version": task.version }))
}

fn given<T>(value: Option<T>) -> MaybeUndefined<T> {
    value.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value)
}

/// A value that the empty text clears: null is no argument that every client can send.
fn cleared_or<T: std::str::FromStr<Err = String>>(
    argument: &str,
    text: Option<String>,
) -> Result<MaybeUndefined<T>, Failure> {
    match text.as_deref() {
        None => Ok(MaybeUndefined::Undefined),
        Some("") => Ok(MaybeUndefined::Null),
        Some(text) => text.parse().map(MaybeUndefined::Value).map_err(|words| {
            let next = format!("correct {argument}, or pass \"\" to clear it");
            Failure::new(Code::InvalidField, format!("{argument}: {words}"), next)
        }),
    }
}
