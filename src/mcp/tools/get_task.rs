//! `get_task`: all of one task, as text. A long description is read on by its offset.

use serde::Deserialize;
use serde_json::json;

use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::mcp::task_text;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GetArguments {
    task: TaskName,
    /// Of the description, in bytes.
    #[serde(default)]
    offset: Option<u64>,
}

pub fn row() -> Row {
    Row {
        name: "get_task",
        scope: Scope::Read,
        description: "Read a task: description, what blocks it, comments, questions, last execution.",
        effect: Effect::Reads,
        input: schema::object(json!({ "task": schema::task(), "offset": schema::offset() }), &["task"]),
        output: None,
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: GetArguments = arguments.read()?;
    let task = call.task(given.task).await?;
    Ok(Answer::Text(match given.offset {
        Some(offset) => task_text::description_from(&task, usize::try_from(offset).unwrap_or(usize::MAX)),
        None => task_text::of(&call.service, &task).await?,
    }))
}
