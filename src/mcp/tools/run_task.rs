//! `run_task`: run a script on the hub's machine, and wait for its end; or stop one.

use serde::Deserialize;
use serde_json::json;

use crate::api::waiting::{self, Until};
use crate::domain::execution::{Execution, ExecutionRequest};
use crate::domain::lease::LeaseHandle;
use crate::domain::text::Script;
use crate::domain::token::Scope;
use crate::executor::logs::{self, From};
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::failure::Failure;
use crate::mcp::preconditions;
use crate::mcp::progress::Progress;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::service::Stamped;

/// Bytes of the log, so that the answer of a run stays short. `read_log` has more.
const TAIL_BYTES_MAX: usize = 2 << 10;
/// Lines of the log; more do not fit into its bytes.
const TAIL_LINES: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunArguments {
    task: TaskName,
    #[serde(default)]
    script: Option<Script>,
    #[serde(default)]
    timeout_seconds: Option<u32>,
    #[serde(default)]
    stop: bool,
    #[serde(default = "wait_seconds")]
    wait_seconds: u32,
    #[serde(default)]
    lease: Option<LeaseHandle>,
    #[serde(default)]
    request_id: Option<String>,
}

fn wait_seconds() -> u32 {
    WAIT_SECONDS_MAX
}

pub fn row() -> Row {
    Row {
        name: "run_task",
        scope: Scope::Exec,
        description: "Run a task's script, or the one given, on the hub's machine, and wait. Still running? wait_events with \
                      events [\"execution_event\"]. stop: true stops it.",
        effect: Effect::Runs,
        input: schema::object(
            json!({
                "task": schema::task(),
                "script": schema::described("Shell, or #! first"),
                "timeout_seconds": schema::integer(1, 86_400),
                "wait_seconds": schema::integer(0, WAIT_SECONDS_MAX.into()),
                "stop": schema::boolean(),
                "lease": schema::string(),
                "request_id": schema::string(),
            }),
            &["task"],
        ),
        output: Some(schema::result(json!({
            "execution": schema::string(),
            "status": schema::string(),
            "exit_code": schema::number(),
            "task_status": schema::string(),
            "log_tail": schema::string(),
            "reason": schema::string(),
            "cursor": schema::described("For wait_events, while it runs"),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let run: RunArguments = arguments.read()?;
    let mut until = Call::until(run.wait_seconds);
    let key = Call::request_key(run.request_id)?;
    let task = call.task(run.task).await?;
    let started = if run.stop {
        call.service.stop_execution(task.id).await?
    } else {
        // A worker that waits here cannot call `heartbeat`.
        let lease;
        (lease, until) = call.renewed_lease_on(run.lease, &task, until).await?;
        // Who has the task may run it whatever it waits for by now.
        if lease.is_none() {
            preconditions::refuse_if_held(call, &task, "call again with its lease").await?;
            preconditions::refuse_if_blocked(call, &task).await?;
        }
        let request = ExecutionRequest {
            script_content: run.script,
            timeout_seconds: run.timeout_seconds,
            ..ExecutionRequest::default()
        };
        call.service.start_execution(task.id, request, key, lease).await?
    };
    let id = started.value.id;
    if !started.value.status.is_final() {
        let after = Some(started.cursor);
        let end =
            waiting::wait(&call.context.events, &call.service, task.id, &Until::ExecutionEnded, after, until);
        Progress::while_waiting(call.progress.as_deref(), "it runs", end).await?;
    }
    // Both at one place of the log: what happens to the execution after it comes behind that place.
    let Stamped { value: (execution, task), cursor } = call.service.execution_with_task(task.id, id).await?;
    let mut answer = answer(call, &execution).await;
    answer["task_status"] = json!(task.status);
    if !execution.status.is_final() {
        answer["cursor"] = json!(cursor);
    }
    Ok(Answer::Data(answer))
}

async fn answer(call: &Call, execution: &Execution) -> serde_json::Value {
    let mut answer = json!({ "execution": execution.id, "status": execution.status });
    if let Some(code) = execution.exit_code {
        answer["exit_code"] = code.into();
    }
    let code = execution.exit_code.map(|code| format!("exit code {code}"));
    if let Some(reason) = execution.reason.as_ref().filter(|reason| Some(*reason) != code.as_ref()) {
        answer["reason"] = reason.as_str().into();
    }
    let path = call.context.data_dir.join(&execution.log_file);
    let page =
        logs::read_page(&path, From::Tail(TAIL_LINES), TAIL_BYTES_MAX, execution.status.is_final()).await;
    // A log that cannot be read is told by `read_log`.
    if let Ok(page) = page
        && !page.text.is_empty()
    {
        answer["log_tail"] = page.text.into();
    }
    answer
}
