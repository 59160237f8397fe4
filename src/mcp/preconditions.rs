//! What has to be true of a task before a tool changes it: nobody else has it, nothing blocks it, no question of it is open.
//!
//! These rules are for agents. A person reports a status on the board and runs what it wants, also when a worker has the task.
//!
//! Each check reads before the tool writes. Where a change in between would do harm, the tool names the version that it has
//! checked.

use crate::api::problem::Code;
use crate::domain::task::Task;
use crate::store::QuestionQuery;

use super::call::Call;
use super::failure::Failure;
use super::task_text::{cut, in_one_line};

/// A worker has the task.
const TASK_HELD: &str = "task_held";
/// Another task has to be done first.
const TASK_BLOCKED: &str = "task_blocked";

/// Questions that a refusal names.
const QUESTIONS_MAX: usize = 5;
/// Of such a question, in bytes.
const QUESTION_BYTES_MAX: usize = 200;

/// Refuses a caller that has named no lease of a task that a worker has.
///
/// # Errors
/// `task_held`, with `next_of_holder` for the worker itself
pub async fn refuse_if_held(call: &Call, task: &Task, next_of_holder: &str) -> Result<(), Failure> {
    let Some(holder) = call.service.holder_of(task.id).await? else {
        return Ok(());
    };
    let worker = &holder.lease.worker;
    let detail = format!("task {} is held by {worker} until {}", task.key, holder.lease.expires_at);
    let next = match holder.is_caller {
        true => format!("if you are {worker}, {next_of_holder}; otherwise leave the task to {worker}"),
        false => format!("leave the task to {worker}; comment tells {worker} something"),
    };
    Err(Failure::of_tools(TASK_HELD, detail, next))
}

/// Refuses what would finish a task without its proof, to the worker that has it.
pub fn must_be_completed(task: &Task) -> Failure {
    let detail = format!("you hold task {}, and it is finished with a proof", task.key);
    Failure::of_tools(TASK_HELD, detail, "call complete_task with the lease, a summary and a proof")
}

/// Refuses a task that waits for others.
///
/// # Errors
/// `task_blocked`, with what it waits for
pub async fn refuse_if_blocked(call: &Call, task: &Task) -> Result<(), Failure> {
    match call.service.why(task.id, None).await?.value.blockers_in_words() {
        None => Ok(()),
        Some(words) => {
            let detail = format!("task {} is blocked: {words}", task.key);
            let next = "finish that first, or take it out with update_task and blocked_by";
            Err(Failure::of_tools(TASK_BLOCKED, detail, next))
        }
    }
}

/// Refuses a task with open questions.
///
/// # Errors
/// `questions_open`, with the first of them
pub async fn refuse_if_asked(call: &Call, task: &Task) -> Result<(), Failure> {
    match task.waiting_for.is_empty() {
        true => Ok(()),
        false => Err(questions_open(call, task).await?),
    }
}

/// The refusal of a task with open questions, which names the first of them.
///
/// # Errors
/// A [`Failure`] when they cannot be read
pub async fn questions_open(call: &Call, task: &Task) -> Result<Failure, Failure> {
    let query = QuestionQuery { task_id: Some(task.id), open: Some(true), after: None, limit: QUESTIONS_MAX };
    let (questions, more) = call.service.questions(query).await?;
    let mut named: Vec<_> = questions
        .iter()
        .map(|it| {
            let text = cut(&in_one_line(it.text.as_str()), QUESTION_BYTES_MAX, "get_task has the whole");
            format!("{} ({text})", it.id)
        })
        .collect();
    if more.is_some() {
        named.push("more, which get_task shows".to_owned());
    }
    let detail = format!("task {} has open questions: {}", task.key, named.join(", "));
    let next = "call ask_person with the question to wait for its answer, or ask the person to answer";
    Ok(Failure::new(Code::QuestionsOpen, detail, next))
}
