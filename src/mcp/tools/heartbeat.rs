//! `heartbeat`: keep a task, and say how far it is.

use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::lease::{LeaseHandle, Progress};
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::service::ServiceError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatArguments {
    lease: LeaseHandle,
    #[serde(default)]
    progress: Option<Progress>,
}

pub fn row() -> Row {
    Row {
        name: "heartbeat",
        scope: Scope::Write,
        description: "Renew a lease. stop: true means that the task is not yours any more: drop it.",
        effect: Effect::Settles,
        input: schema::object(
            json!({ "lease": schema::string(), "progress": schema::described("How far you are, one line") }),
            &["lease"],
        ),
        output: Some(schema::result(
            json!({ "stop": schema::boolean(), "expires_at": schema::string(), "reason": schema::string() }),
        )),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: HeartbeatArguments = arguments.read()?;
    let renewed = match call.service.lease_of(given.lease.clone()).await {
        Ok((lease, _)) => call.service.renew_lease(lease, None, false, given.progress).await,
        Err(error) => Err(error),
    };
    match renewed {
        Ok(lease) => Ok(Answer::Data(json!({ "stop": false, "expires_at": lease.value.expires_at }))),
        Err(error @ ServiceError::LeaseLost(_)) => {
            let refused = call.refused_under(&given.lease, error).await;
            match refused.code == Code::LeaseLost.to_string() {
                true => Ok(Answer::Data(json!({ "stop": true, "reason": refused.detail }))),
                false => Err(refused),
            }
        }
        Err(error) => Err(error.into()),
    }
}
