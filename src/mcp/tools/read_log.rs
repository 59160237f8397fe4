//! `read_log`: what the last execution of a task has written, as text.

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::execution::Execution;
use crate::domain::token::Scope;
use crate::executor::logs::{self, From, LogBytes};
use crate::mcp::call::Call;
use crate::mcp::execution_name::ExecutionName;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;

/// Of an answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Most lines of an answer.
const TAIL_LINES_MAX: i64 = 1000;
/// Of the log that one call looks through for a pattern.
const SEARCH_BYTES_MAX: u64 = 16 << 20;
const PAGE_BYTES: usize = 1 << 20;
/// Of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    task: TaskName,
    #[serde(default)]
    execution: Option<ExecutionName>,
    #[serde(default = "tail_lines")]
    tail_lines: u32,
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    grep: Option<String>,
}

fn tail_lines() -> u32 {
    100
}

pub fn row() -> Row {
    Row {
        name: "read_log",
        scope: Scope::Read,
        description: "Read the log of a task's last execution: its last lines, from a byte offset on, or the lines that match grep.",
        effect: Effect::Reads,
        input: schema::object(
            json!({
                "task": schema::task(),
                "tail_lines": schema::integer(1, TAIL_LINES_MAX),
                "offset": schema::integer(0, 1 << 50),
                "grep": schema::described("Regular expression; case is ignored"),
                "execution": schema::described("An earlier one, such as taskhub-7"),
            }),
            &["task"],
        ),
        output: None,
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let given: ReadArguments = arguments.read()?;
    let task = call.task(given.task).await?;
    let execution = match given.execution {
        Some(name) => name.find(call, &task).await?,
        None => call.service.latest_execution(task.id).await?,
    };
    let path = call.context.data_dir.join(&execution.log_file);
    let ended = execution.status.is_final();
    let state = state(&execution);
    if let Some(pattern) = given.grep {
        let (found, looked_through) = search(&path, &pattern, given.offset, ended).await?;
        let found = match found.trim_end_matches('\n') {
            "" => "[no line matches]",
            found => found,
        };
        return Ok(Answer::Text(format!("{found}\n[{looked_through} bytes looked through; {state}]")));
    }
    let from = match given.offset {
        Some(offset) => From::Offset(offset),
        None => From::Tail(given.tail_lines as usize),
    };
    let mut page = logs::read_bytes(&path, from, ANSWER_BYTES_MAX, ended).await.map_err(unreadable)?;
    end_with_a_line(&mut page);
    let mut place = format!("bytes {} to {} of {}", page.offset, page.next_offset, page.size);
    if page.offset > 0 && given.offset.is_none() {
        let before = page.offset.saturating_sub(ANSWER_BYTES_MAX as u64);
        place.push_str(&format!("; earlier lines are left out, offset {before} shows some"));
    }
    place.push_str(&match (page.next_offset < page.size, ended) {
        (true, _) => format!("; offset {} goes on", page.next_offset),
        (false, true) => "; this is its end".to_owned(),
        (false, false) => format!("; this is its end so far, offset {} goes on", page.next_offset),
    });
    let text = String::from_utf8_lossy(&page.bytes);
    Ok(Answer::Text(format!("{}\n[{place}; {state}]", text.trim_end_matches('\n'))))
}

fn state(execution: &Execution) -> String {
    match execution.exit_code {
        Some(code) => format!("{} {}, exit code {code}", execution.session_name, execution.status),
        None => format!("{} {}", execution.session_name, execution.status),
    }
}

/// Leaves the part of a line at the end to the next page, unless the page is within one line.
fn end_with_a_line(page: &mut LogBytes) {
    if page.next_offset < page.size
        && let Some(end) = page.bytes.iter().rposition(|byte| *byte == b'\n')
    {
        page.bytes.truncate(end + 1);
        page.next_offset = page.offset + page.bytes.len() as u64;
    }
}

/// The lines that match, each with the offset at which it begins; and how much was looked through.
async fn search(
    path: &std::path::Path,
    pattern: &str,
    offset: Option<u64>,
    ended: bool,
) -> Result<(String, u64), Failure> {
    let pattern = RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
    let pattern = pattern.map_err(|error| {
        let detail = format!("grep: {error}");
        Failure::new(Code::InvalidField, detail, "grep takes a regular expression, such as error|failed")
    })?;
    let start = offset.unwrap_or(0);
    let (mut at, mut found, mut carried) = (start, String::new(), Vec::new());
    let mut line_at = start;
    loop {
        let page = logs::read_bytes(path, From::Offset(at), PAGE_BYTES, ended).await.map_err(unreadable)?;
        let is_last = page.next_offset >= page.size || page.next_offset == at;
        at = page.next_offset;
        carried.extend(page.bytes);
        // What is looked at in one go may be within one line.
        let is_full = at - start >= SEARCH_BYTES_MAX;
        let end = carried.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole = if is_last || (is_full && end == 0) { carried.len() } else { end };
        for line in carried[..whole].split_inclusive(|byte| *byte == b'\n') {
            // Of the bytes, since text has other lengths where the log is not UTF-8.
            let text = String::from_utf8_lossy(line);
            if pattern.is_match(&text) {
                found.push_str(&format!("{line_at}: {}\n", text.trim_end_matches('\n')));
            }
            line_at += line.len() as u64;
            if found.len() > ANSWER_BYTES_MAX {
                let end = found.floor_char_boundary(ANSWER_BYTES_MAX);
                found.truncate(end);
                found.push_str(&format!("\n[more matches may follow; offset {line_at} goes on]"));
                return Ok((found, line_at - start));
            }
        }
        carried.drain(..whole);
        if is_last {
            break;
        }
        if is_full {
            found.push_str(&format!("[not the end of the log; offset {line_at} goes on]"));
            break;
        }
    }
    Ok((found, line_at - start))
}

fn unreadable(error: std::io::Error) -> Failure {
    tracing::warn!(error = %error, "a log cannot be read");
    Failure::new(Code::ExecutionNotFound, "the log cannot be read", "run the task again")
}
