//! `complete_task`: the claimed task is done, with proof.

use serde::Deserialize;
use serde_json::json;

use crate::domain::lease::LeaseHandle;
use crate::domain::text::Artifact;
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::preconditions;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::service::{Completion, ServiceError};

use super::update_task::state;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompleteArguments {
    lease: LeaseHandle,
    summary: String,
    proof: String,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

pub fn row() -> Row {
    Row {
        name: "complete_task",
        scope: Scope::Write,
        description: "Finish a claimed task.",
        effect: Effect::Settles,
        input: schema::object(
            json!({
                "lease": schema::string(),
                "summary": schema::string(),
                "proof": schema::described("What you checked, how, and what came out"),
                "artifacts": schema::strings("Paths or URLs"),
            }),
            &["lease", "summary", "proof"],
        ),
        output: Some(schema::task_state()),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let CompleteArguments { lease, summary, proof, artifacts } = arguments.read()?;
    match call.service.complete_task(lease.clone(), Completion { summary, proof, artifacts }).await {
        Ok(task) => Ok(state(&task.value)),
        Err(ServiceError::QuestionsOpen(_)) => {
            let (_, task) = call.lease(&lease).await?;
            Err(preconditions::questions_open(call, &task).await?)
        }
        Err(error) => Err(call.refused_under(&lease, error).await),
    }
}
