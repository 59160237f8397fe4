//! The messages in the stream of an execution's log: its output, a reset, and its end.

use std::fmt;
use std::str::FromStr;

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use serde::Serialize;

use super::execution::{Execution, ExecutionStatus};
use super::id::{ExecutionId, TaskId};
use super::schema::text_type;

/// A position in the log of one execution, and the cursor of a client that has everything before
/// it. Written `{number}-{offset}`: the execution's number, and bytes from the start of its log.
/// Because it names its log, a client cannot resume with it in another log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    /// The number of the execution. `None` when a client sent only a count of bytes and names the
    /// execution elsewhere. The hub always writes the number.
    pub number: Option<i64>,
    /// Bytes from the start of the log.
    pub offset: u64,
}

impl LogCursor {
    pub fn new(number: i64, offset: u64) -> Self {
        Self { number: Some(number), offset }
    }

    fn meta() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[1-9][0-9]{0,18}-(0|[1-9][0-9]{0,18})$".into()),
            example: Some("7-4096".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{number}-{}", self.offset),
            None => self.offset.fmt(f),
        }
    }
}

impl FromStr for LogCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once('-') {
            Some((number, offset)) => plain(number)
                .filter(|number| *number > 0)
                .zip(plain(offset))
                .map(|(number, offset)| Self { number: Some(number), offset: offset.unsigned_abs() }),
            None => plain(text).map(|offset| Self { number: None, offset: offset.unsigned_abs() }),
        };
        parsed
            .ok_or_else(|| "expected an execution's number and a number of bytes, such as 7-4096".to_owned())
    }
}

/// Parses a decimal number. Refuses every spelling but the canonical one.
fn plain(text: &str) -> Option<i64> {
    let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical)
}

text_type!(LogCursor, "log_cursor");

/// A piece of a log: all bytes from `offset` up to the one that the id of the message names. Either `text` or `base64` holds them.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct LogOutputData {
    /// The execution that wrote it.
    pub execution_id: ExecutionId,
    /// The byte of the log at which the piece starts.
    pub offset: u64,
    /// The bytes as text, when they are UTF-8; otherwise null. No character is cut in two.
    #[oai(nullable)]
    pub text: Option<String>,
    /// The bytes in base64 (RFC 4648, with padding), when they are not UTF-8; otherwise null.
    #[oai(nullable)]
    pub base64: Option<String>,
}

/// The client stood nowhere in this log. It follows from its beginning: forget what you have.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct LogResetData {
    /// The execution that is followed.
    pub execution_id: ExecutionId,
    /// Bytes that its log has at this moment.
    pub size: u64,
}

/// The execution has ended, and everything that it wrote has been sent.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct LogEndData {
    /// The task.
    pub task_id: TaskId,
    /// The execution that has ended.
    pub execution_id: ExecutionId,
    /// How it ended: one of the final statuses.
    pub status: ExecutionStatus,
    /// The script's exit code; null when it did not exit by itself.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "255")))]
    pub exit_code: Option<i32>,
    /// Why it ended as it did, in words; null when there is nothing to say.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// Milliseconds from start to end; null when it never started.
    #[oai(nullable, validator(minimum(value = "0")))]
    pub duration_ms: Option<i64>,
    /// Bytes of the whole log.
    pub size: u64,
    /// Whether somebody has removed the log, so that nothing of it could be sent.
    pub log_lost: bool,
}

impl LogEndData {
    pub fn of(execution: &Execution, size: u64, is_missing: bool) -> Self {
        Self {
            task_id: execution.task_id,
            execution_id: execution.id,
            status: execution.status,
            exit_code: execution.exit_code,
            reason: execution.reason.clone(),
            duration_ms: execution.duration_ms(),
            size,
            // An execution that never started has no log that could be lost.
            log_lost: is_missing && execution.started_at.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        assert_eq!("7-0".parse(), Ok(LogCursor::new(7, 0)));
        assert_eq!("4096".parse(), Ok(LogCursor { number: None, offset: 4096 }));
        for cursor in ["7-4096", "9223372036854775807-9223372036854775807", "0"] {
            assert_eq!(cursor.parse::<LogCursor>().expect("a cursor").to_string(), cursor);
        }
        for odd in ["", "00", "01", "-1", "+1", " 1", "1.0", "0x1", "9223372036854775808", "7c1e9a42-1"] {
            assert!(odd.parse::<LogCursor>().is_err(), "{odd:?}");
        }
        for odd in ["-", "7-", "0-1", "07-1", "7-01", "7--1", "7-1-1", "7-+1", "7-9223372036854775808"] {
            assert!(odd.parse::<LogCursor>().is_err(), "{odd:?}");
        }
    }
}
