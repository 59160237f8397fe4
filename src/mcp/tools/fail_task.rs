//! `fail_task`: give a claimed task back.

use serde::Deserialize;
use serde_json::json;

use crate::domain::comment::CommentText;
use crate::domain::lease::LeaseHandle;
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::service::FailureReport;

use super::update_task::state;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailArguments {
    lease: LeaseHandle,
    reason: CommentText,
    #[serde(default = "retry")]
    retry: bool,
}

fn retry() -> bool {
    true
}

pub fn row() -> Row {
    Row {
        name: "fail_task",
        scope: Scope::Write,
        description: "Give a claimed task back: to todo for another try, or with retry false to review by a person.",
        effect: Effect::Settles,
        input: schema::object(
            json!({ "lease": schema::string(), "reason": schema::string(), "retry": schema::boolean() }),
            &["lease", "reason"],
        ),
        output: Some(schema::task_state()),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let FailArguments { lease, reason, retry } = arguments.read()?;
    match call.service.fail_task(lease.clone(), FailureReport { reason, retry }).await {
        Ok(task) => Ok(state(&task.value)),
        Err(error) => Err(call.refused_under(&lease, error).await),
    }
}
