//! What the stream of a log says: what was written, where in the log, and how its execution ended.

use std::fmt;
use std::str::FromStr;

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use serde::Serialize;

use super::execution::{Execution, ExecutionStatus};
use super::id::{ExecutionId, TaskId};
use super::schema::text_type;

/// A place in a log, in bytes from its start, and the cursor of a client that has seen everything before it. In
/// messages it is a string, as every id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOffset(pub u64);

impl LogOffset {
    fn meta() -> MetaSchema {
        MetaSchema {
            pattern: Some("^(0|[1-9][0-9]{0,18})$".into()),
            example: Some("4096".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for LogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_canonical =
            text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let number = text.parse().ok().filter(|number| *number <= i64::MAX as u64);
        number
            .filter(|_| is_canonical)
            .map(Self)
            .ok_or_else(|| "expected a number of bytes such as 4096".to_owned())
    }
}

text_type!(LogOffset, "log_offset");

/// A piece of a log: all bytes from `offset` up to the id of the message. Either `text` or `base64` holds them.
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

/// The log is shorter than where the client stood. It follows from its beginning: forget what you have of it.
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
    #[oai(nullable)]
    pub exit_code: Option<i32>,
    /// Why it ended as it did, in words; null when there is nothing to say.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// Milliseconds from start to end; null when it never started.
    #[oai(nullable)]
    pub duration_ms: Option<i64>,
    /// Bytes of the whole log.
    pub size: u64,
}

impl LogEndData {
    pub fn of(execution: &Execution, size: u64) -> Self {
        Self {
            task_id: execution.task_id,
            execution_id: execution.id,
            status: execution.status,
            exit_code: execution.exit_code,
            reason: execution.reason.clone(),
            duration_ms: execution.duration_ms(),
            size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_one_spelling() {
        assert_eq!("0".parse(), Ok(LogOffset(0)));
        assert_eq!("4096".parse(), Ok(LogOffset(4096)));
        for odd in ["", "00", "01", "-1", "+1", " 1", "1.0", "0x1", "9223372036854775808", "7c1e9a42-1"] {
            assert!(odd.parse::<LogOffset>().is_err(), "{odd:?}");
        }
    }
}
