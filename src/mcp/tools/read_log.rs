//! `read_log`: what the last execution of a task has written, as text.

use std::path::PathBuf;

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::execution::Execution;
use crate::domain::token::Scope;
use crate::executor::log_search::{self, LogSearch, SearchEnd, SearchResult};
use crate::executor::logs::{self, From, LogBytes};
use crate::mcp::call::Call;
use crate::mcp::execution_name::ExecutionName;
use crate::mcp::failure::Failure;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::mcp::task_text::cut;

/// Bytes of an answer. A longer one would fill the memory of a model.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Lines of an answer. More do not fit into its bytes.
const TAIL_LINES_MAX: i64 = 1000;
/// Bytes of a compiled pattern. The time of a match grows with them. A usual pattern with a few `\w`, which has all letters of
/// Unicode, takes more than a quarter of them.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Bytes that a match keeps of what it has computed. The regex crate takes 2 MiB unless told otherwise.
const PATTERN_CACHE_BYTES_MAX: usize = 1 << 20;
/// Bytes of what is wrong with a pattern: the error repeats the pattern.
const PATTERN_ERROR_BYTES_MAX: usize = 1_000;

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
                "offset": schema::offset(),
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
        let (found, searched) = search(path, &pattern, given.offset, ended).await?;
        return Ok(Answer::Text(format!("{found}[{searched} bytes looked through; {state}]")));
    }
    let from = match given.offset {
        Some(offset) => From::Offset(offset),
        None => From::Tail(given.tail_lines as usize),
    };
    let mut page =
        logs::read_bytes(&path, from, ANSWER_BYTES_MAX, ended).await.map_err(Failure::unreadable_log)?;
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

/// The lines that match, each with the offset at which it begins; and how many bytes were searched.
async fn search(
    path: PathBuf,
    pattern: &str,
    offset: Option<u64>,
    ended: bool,
) -> Result<(String, u64), Failure> {
    let pattern = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_CACHE_BYTES_MAX)
        .build();
    let pattern = pattern.map_err(|error| {
        let detail = format!("grep: {}", cut(&error.to_string(), PATTERN_ERROR_BYTES_MAX, "left out"));
        Failure::new(Code::InvalidField, detail, "grep takes a regular expression, such as error|failed")
    })?;
    let offset = offset.unwrap_or(0);
    let search = LogSearch { path, pattern, offset, complete: ended, found_bytes_max: ANSWER_BYTES_MAX };
    let Some(SearchResult { lines, next_offset, end }) =
        log_search::search(search).await.map_err(Failure::unreadable_log)?
    else {
        let detail = "as many logs are being searched as the hub searches at once";
        return Err(Failure::new(Code::Unavailable, detail, "wait a few seconds and call again"));
    };
    let mut found: String = lines.into_iter().map(|(at, line)| format!("{at}: {line}\n")).collect();
    if found.is_empty() {
        found.push_str("[no line matches]\n");
    }
    let why = match end {
        SearchEnd::EndOfLog => None,
        SearchEnd::Full => Some("more matches may follow"),
        SearchEnd::Bytes => Some("not the end of the log"),
        SearchEnd::Time => Some("not the end of the log: the pattern is slow"),
    };
    if let Some(why) = why {
        found.push_str(&format!("[{why}; offset {next_offset} goes on]\n"));
    }
    Ok((found, next_offset.saturating_sub(offset)))
}
