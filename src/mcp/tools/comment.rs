//! `comment`: note on a task what was found out.

use serde::Deserialize;
use serde_json::json;

use crate::domain::comment::{CommentDraft, CommentText};
use crate::domain::lease::LeaseHandle;
use crate::domain::text::Author;
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommentArguments {
    task: TaskName,
    text: CommentText,
    #[serde(default)]
    lease: Option<LeaseHandle>,
    #[serde(default)]
    request_id: Option<String>,
}

pub fn row() -> Row {
    Row {
        name: "comment",
        scope: Scope::Write,
        description: "Add a comment to a task, in Markdown.",
        effect: Effect::Adds,
        input: schema::object(
            json!({
                "task": schema::task(),
                "text": schema::string(),
                "lease": schema::string(),
                "request_id": schema::string(),
            }),
            &["task", "text"],
        ),
        output: Some(schema::result(json!({ "key": schema::string() }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: CommentArguments = arguments.read()?;
    let key = Call::request_key(given.request_id)?;
    let task = call.task(given.task).await?;
    let lease = call.lease_on(given.lease, &task).await?;
    // Under a lease the worker writes; a token's name comes before it.
    let author = task.lease.as_ref().filter(|_| lease.is_some()).map(|lease| Author::from(&lease.worker));
    let draft = CommentDraft { text: given.text, author };
    call.service.comment(task.id, draft, key, lease).await?;
    Ok(Answer::Data(json!({ "key": task.key })))
}
