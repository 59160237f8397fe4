//! `ask_person`: ask a question about a task, and wait for the answer.

use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::id::{QuestionId, TaskId};
use crate::domain::lease::LeaseHandle;
use crate::domain::question::{OPEN_MAX, QuestionDraft, QuestionOption, QuestionStatus, QuestionText};
use crate::domain::token::Scope;
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::failure::Failure;
use crate::mcp::progress::Progress;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::store::QuestionQuery;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inquiry {
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
        description: "Ask a person about a task (task, text), and wait. Still open? Call again, the same or with question alone.",
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
    let inquiry: Inquiry = arguments.read()?;
    let until = Call::until(inquiry.wait_seconds);
    let id = match (inquiry.question, inquiry.task, inquiry.text) {
        (Some(id), None, None) => id,
        (None, Some(task), Some(text)) => {
            let task = call.task(task).await?;
            let lease = call.lease_on(inquiry.lease, &task).await?;
            match asked_already(call, task.id, &text, &inquiry.options).await? {
                Some(id) => id,
                None => {
                    let draft = QuestionDraft {
                        text,
                        options: inquiry.options,
                        deadline_seconds: None,
                        default: None,
                    };
                    call.service.ask(task.id, draft, None, lease).await?.value.question.id
                }
            }
        }
        _ => {
            let next = "pass task and text to ask, or question alone to wait";
            return Err(Failure::new(Code::InvalidField, "task and text, or question: are required", next));
        }
    };
    let answer = call.service.question(id, until, call.context.events.draining());
    let question = Progress::while_waiting(call.progress.as_ref(), "nobody has answered yet", answer).await?;
    let mut answer = json!({ "question": question.id, "status": question.status });
    if let Some(text) = question.answer.filter(|_| question.status != QuestionStatus::Open) {
        answer["answer"] = text.as_str().into();
    }
    Ok(Answer::Data(answer))
}

/// The same question, if it is open: an agent asks again when the answer of its first call was lost.
async fn asked_already(
    call: &Call,
    task: TaskId,
    text: &QuestionText,
    options: &[QuestionOption],
) -> Result<Option<QuestionId>, Failure> {
    let query = QuestionQuery { task_id: Some(task), open: Some(true), after: None, limit: OPEN_MAX };
    let (questions, _) = call.service.questions(query).await?;
    Ok(questions.into_iter().find(|it| it.text == *text && it.options == options).map(|it| it.id))
}
