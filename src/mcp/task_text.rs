//! A task as text: all that an agent should know before it begins, as Markdown.

use crate::domain::execution::Execution;
use crate::domain::lease::LeaseHandle;
use crate::domain::task::Task;
use crate::service::{Service, ServiceError};
use crate::store::QuestionQuery;

use super::failure::Failure;

/// Bytes of the text, about 8,000 tokens at three bytes for each. A longer one would fill the memory of a model.
const TEXT_BYTES_MAX: usize = 24_000;
/// Bytes of the description, so that comments have room.
const DESCRIPTION_BYTES_MAX: usize = 14_000;
/// Bytes of a part of the description that is read alone.
const PART_BYTES_MAX: usize = 20_000;
/// Bytes of a line above the description, such as all artifacts: the description must not vanish behind them.
const LINE_BYTES_MAX: usize = 1_000;
/// Bytes of a comment, so that one does not hide the others.
const COMMENT_BYTES_MAX: usize = 2_000;
/// The latest comments that are shown.
const COMMENTS_MAX: usize = 10;
/// Open questions that are shown, the oldest first.
const OPEN_MAX: usize = 20;
/// Questions that have ended, the latest.
const ENDED_QUESTIONS_MAX: usize = 5;
/// Bytes of a question, of all its options, and of its answer, so that one does not hide the others.
const QUESTION_BYTES_MAX: usize = 1_000;

/// # Errors
/// A [`Failure`] that says what to do
pub async fn of(service: &Service, task: &Task) -> Result<String, Failure> {
    let why = service.why(task.id, None).await?.value;
    let holder = service.holder_of(task.id).await?;
    let mut text = format!("# {} {}\n\n", task.key, in_one_line(task.title.as_str()));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let value = cut(&value, LINE_BYTES_MAX, "the rest is on the board");
            text.push_str(&format!("- {name}: {value}\n"));
        }
    };
    line("id", task.id.to_string());
    line("status", task.status.to_string());
    line("why", why.summary);
    line("priority", task.priority.map(|it| it.to_string()).unwrap_or_default());
    line("assignee", task.assignee.as_ref().map(ToString::to_string).unwrap_or_default());
    line("tags", listed(&task.tags));
    let blockers = why
        .blocked_by
        .iter()
        .map(|it| format!("{} ({}) {}", it.key, it.status, in_one_line(it.title.as_str())));
    let hidden = why.hidden_blockers.iter().map(|id| format!("{id} (you may not see it)"));
    line("blocked by", blockers.chain(hidden).collect::<Vec<_>>().join("; "));
    if let Some(lease) = why.lease {
        let progress = lease.progress.as_ref().map(|it| format!("; {}", in_one_line(it.as_str())));
        let progress = progress.unwrap_or_default();
        line("held by", format!("{} until {}{progress}", lease.worker, lease.expires_at));
        // Who knows the handle may renew and report under it.
        if holder.is_some_and(|holder| holder.is_caller && holder.lease.id == lease.id) {
            line("lease", LeaseHandle::of(&task.key, &lease).to_string());
        }
    }
    if task.attempts > 0 {
        line("attempts", format!("{} of {}", task.attempts, task.attempts_max));
    }
    line("artifacts", listed(&task.artifacts));
    line("version", task.version.to_string());
    if !task.description.as_str().is_empty() {
        let description = cut_description(task.description.as_str(), DESCRIPTION_BYTES_MAX);
        text.push_str(&format!("\n{description}\n"));
    }
    text.push_str(&questions(service, task).await?);
    text.push_str(&execution(service, task).await?);
    text.push_str(&comments(service, task).await?);
    Ok(cut(&text, TEXT_BYTES_MAX, "the rest is on the board"))
}

/// A part of the description, from a byte on, for a description that [`of`] has cut.
pub fn description_from(task: &Task, offset: usize) -> String {
    let description = task.description.as_str();
    let begin = description.floor_char_boundary(offset.min(description.len()));
    let end = description.floor_char_boundary((begin + PART_BYTES_MAX).min(description.len()));
    let goes_on = match end < description.len() {
        true => format!("offset {end} goes on"),
        false => "this is its end".to_owned(),
    };
    let place = format!("[bytes {begin} to {end} of {} of the description; {goes_on}]", description.len());
    format!("# {} {}\n\n{}\n{place}", task.key, in_one_line(task.title.as_str()), &description[begin..end])
}

async fn questions(service: &Service, task: &Task) -> Result<String, Failure> {
    let mut text = String::new();
    if !task.waiting_for.is_empty() {
        text.push_str("\n## Open questions\n");
        let query = QuestionQuery { task_id: Some(task.id), open: Some(true), after: None, limit: OPEN_MAX };
        let (questions, _) = service.questions(query).await?;
        for question in questions {
            let asked = cut(question.text.as_str(), QUESTION_BYTES_MAX, "the whole is on the board");
            let options = cut(&listed(&question.options), QUESTION_BYTES_MAX, "the rest is on the board");
            let options = if options.is_empty() { options } else { format!(" [{options}]") };
            text.push_str(&format!("- {}: {}{options}\n", question.id, indented(&asked)));
        }
    }
    let ended = service.ended_questions(task.id, ENDED_QUESTIONS_MAX).await?;
    if !ended.is_empty() {
        text.push_str("\n## Answered questions, the latest first\n");
    }
    for question in ended {
        let asked = cut(question.text.as_str(), QUESTION_BYTES_MAX, "the whole is on the board");
        let by = question.answered_by.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let answer = match &question.answer {
            Some(answer) => {
                cut(answer.as_str(), QUESTION_BYTES_MAX, "ask_person with question has the whole")
            }
            None => "expired without an answer".to_owned(),
        };
        let (asked, answer) = (indented(&asked), indented(&answer));
        text.push_str(&format!("- {}: {asked} -> {answer}{by}\n", question.id));
    }
    Ok(text)
}

async fn execution(service: &Service, task: &Task) -> Result<String, Failure> {
    let script = if task.script.is_some() { "\nIt has a script: run_task runs it.\n" } else { "" };
    match service.latest_execution(task.id).await {
        Ok(execution) => Ok(format!("{script}\n## Last execution\n{}\n", in_words(&execution))),
        Err(ServiceError::NeverExecuted(_)) => Ok(script.to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn in_words(execution: &Execution) -> String {
    let mut words = format!("{} {}", execution.session_name, execution.status);
    let code = execution.exit_code.map(|code| format!("exit code {code}"));
    // The reason of a failure is often the code.
    let reason = execution.reason.as_ref().filter(|reason| Some(*reason) != code.as_ref());
    for said in code.iter().chain(reason) {
        words.push_str(&format!(", {said}"));
    }
    words.push_str("; read_log has its output");
    words
}

async fn comments(service: &Service, task: &Task) -> Result<String, Failure> {
    let mut comments = service.latest_comments(task.id, COMMENTS_MAX + 1).await?;
    if comments.is_empty() {
        return Ok(String::new());
    }
    let mut text = "\n## Comments\n".to_owned();
    if comments.len() > COMMENTS_MAX {
        comments.remove(0);
        text.push_str("(earlier ones are on the board)\n");
    }
    for comment in &comments {
        let author = comment.author.as_ref().map_or("somebody", |author| author.as_str());
        let words = cut(comment.text.as_str(), COMMENT_BYTES_MAX, "the whole is on the board");
        text.push_str(&format!("- {} {author}: {}\n", comment.created_at, indented(&words)));
    }
    Ok(text)
}

fn listed<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A text where a line break would begin another entry.
pub fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as one entry of a list: what follows a line break belongs to it.
fn indented(text: &str) -> String {
    text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n  ")
}

/// A text of at most about `bytes_max`, with a hint where the rest is.
pub fn cut(text: &str, bytes_max: usize, hint: &str) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}… [{} bytes more; {hint}]", &text[..end], text.len() - end)
}

/// A description of at most about `bytes_max`, with the call that reads on.
pub fn cut_description(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    cut(text, bytes_max, &format!("get_task with offset {end} goes on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short", 5, "hint"), "short");
        assert_eq!(cut("äöü", 3, "look there"), "ä… [4 bytes more; look there]");
    }
}
