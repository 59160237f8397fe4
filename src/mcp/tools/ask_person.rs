//! `ask_person`: ask a question about a task, and wait for the answer.
//!
//! An agent that has lost the answer asks the same again, and gets that answer: the service tells a repetition from a new
//! question. A lease that is named is renewed: a worker that waits here cannot call `heartbeat`.

use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::id::QuestionId;
use crate::domain::lease::LeaseHandle;
use crate::domain::question::{QuestionDraft, QuestionOption, QuestionStatus, QuestionText};
use crate::domain::token::Scope;
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::failure::Failure;
use crate::mcp::progress::Progress;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskArguments {
    #[serde(default)]
    question: Option<QuestionId>,
    #[serde(default)]
    task: Option<TaskName>,
    #[serde(default)]
    text: Option<QuestionText>,
    #[serde(default)]
    options: Vec<QuestionOption>,
    #[serde(default)]
    lease: Option<LeaseHandle>,
    #[serde(default = "wait_seconds")]
    wait_seconds: u32,
}

fn wait_seconds() -> u32 {
    WAIT_SECONDS_MAX
}

pub fn row() -> Row {
    Row {
        name: "ask_person",
        scope: Scope::Write,
        description: "Ask a person about a task (task, text), and wait. Still open, or the answer lost? Call again, the same or with question alone.",
        effect: Effect::Settles,
        input: schema::object(
            json!({
                "task": schema::task(),
                "text": schema::string(),
                "options": schema::strings("Answers to choose from"),
                "question": schema::described("One asked before"),
                "wait_seconds": schema::integer(0, WAIT_SECONDS_MAX.into()),
                "lease": schema::string(),
            }),
            &[],
        ),
        output: Some(schema::result(json!({
            "question": schema::string(),
            "status": schema::one_of(&["open", "answered", "expired"]),
            "answer": schema::string(),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: AskArguments = arguments.read()?;
    let mut until = Call::until(given.wait_seconds);
    let id = match (given.question, given.task, given.text) {
        (Some(id), None, None) => {
            if let Some(handle) = &given.lease {
                let (lease, _) = call.lease(handle).await?;
                until = call.renew(handle, lease, until).await?;
            }
            id
        }
        (None, Some(task), Some(text)) => {
            let task = call.task(task).await?;
            let lease;
            (lease, until) = call.renewed_lease_on(given.lease, &task, until).await?;
            let draft = QuestionDraft { text, options: given.options, deadline_seconds: None, default: None };
            call.service.ask_once(task.id, draft, lease).await?.value.id
        }
        _ => {
            let next = "pass task and text to ask, or question alone to wait";
            return Err(Failure::new(Code::InvalidField, "task and text, or question: are required", next));
        }
    };
    let answer = call.service.question(id, until, call.context.events.draining());
    let question =
        Progress::while_waiting(call.progress.as_deref(), "nobody has answered yet", answer).await?;
    let mut answer = json!({ "question": question.id, "status": question.status });
    if let Some(text) = question.answer.filter(|_| question.status != QuestionStatus::Open) {
        answer["answer"] = text.as_str().into();
    }
    Ok(Answer::Data(answer))
}
