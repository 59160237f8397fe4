//! `read_log`: what the last execution of a task has written, as text.

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::id::ExecutionId;
use crate::domain::token::Scope;
use crate::executor::logs::{self, From};
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;

/// Of an answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Of the log that one call looks through for a pattern.
const SEARCH_BYTES_MAX: u64 = 16 << 20;
const PAGE_BYTES: usize = 1 << 20;
/// Of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    task: TaskName,
    #[serde(default)]
    execution: Option<ExecutionId>,
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
                "tail_lines": schema::integer(1, 1000),
                "offset": schema::integer(0, 1 << 50),
                "grep": schema::described("Regular expression; case is ignored"),
                "execution": schema::described("An earlier one"),
            }),
            &["task"],
        ),
        output: None,
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let wanted: Wanted = arguments.read()?;
    let task = call.task(wanted.task).await?;
    let execution = call.service.execution_of(task.id, wanted.execution).await?;
    let path = call.context.data_dir.join(&execution.log_file);
    let ended = execution.status.is_final();
    let state = match execution.exit_code {
        Some(code) => format!("{}, exit code {code}", execution.status),
        None => execution.status.to_string(),
    };
    if let Some(pattern) = wanted.grep {
        let (found, size) = search(&path, &pattern, wanted.offset, ended).await?;
        let found = found.trim_end_matches('\n');
        return Ok(Answer::Text(format!("{found}\n[{size} bytes looked through; {state}]")));
    }
    let from = match wanted.offset {
        Some(offset) => From::Offset(offset),
        None => From::Tail(wanted.tail_lines.clamp(1, 1000) as usize),
    };
    let page = logs::read_page(&path, from, ANSWER_BYTES_MAX, ended).await.map_err(unreadable)?;
    let rest = match page.next_offset < page.size {
        true => format!("offset {} goes on", page.next_offset),
        false => "this is its end".to_owned(),
    };
    let place = format!("bytes {} to {} of {}; {rest}; {state}", page.offset, page.next_offset, page.size);
    Ok(Answer::Text(format!("{}\n[{place}]", page.text.trim_end_matches('\n'))))
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
    let (mut at, mut found, mut carried) = (start, String::new(), String::new());
    let mut line_at = start;
    loop {
        let page = logs::read_page(path, From::Offset(at), PAGE_BYTES, ended).await.map_err(unreadable)?;
        let is_last = page.next_offset >= page.size || page.next_offset == at;
        at = page.next_offset;
        carried.push_str(&page.text);
        let whole = if is_last { carried.len() } else { carried.rfind('\n').map_or(0, |end| end + 1) };
        for line in carried[..whole].split_inclusive('\n') {
            if pattern.is_match(line) {
                found.push_str(&format!("{line_at}: {}\n", line.trim_end_matches('\n')));
            }
            line_at += line.len() as u64;
            if found.len() > ANSWER_BYTES_MAX {
                let end = found.floor_char_boundary(ANSWER_BYTES_MAX);
                found.truncate(end);
                found.push_str(&format!("\n[more matches follow; offset {line_at} goes on]"));
                return Ok((found, line_at - start));
            }
        }
        carried.drain(..whole);
        if is_last {
            break;
        }
        if at - start >= SEARCH_BYTES_MAX {
            found.push_str(&format!("[not the end of the log; offset {at} goes on]"));
            break;
        }
    }
    Ok((found, at - start))
}

fn unreadable(error: std::io::Error) -> Failure {
    tracing::warn!(error = %error, "a log cannot be read");
    Failure::new(Code::ExecutionNotFound, "the log cannot be read", "run the task again")
}
