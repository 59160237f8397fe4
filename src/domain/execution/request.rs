//! The request to execute a task, and the rules that it must keep.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::domain::error::Invalid;
use crate::domain::text::Script;

/// Most variables a request can set for a script.
pub const ENV_MAX: usize = 100;
/// Longest name and longest value of such a variable, in characters.
pub const ENV_NAME_CHARS_MAX: usize = 200;
pub const ENV_VALUE_CHARS_MAX: usize = 32 << 10;
/// The one reserved variable that a request may set. Only the caller can give a script a token.
const TOKEN_VARIABLE: &str = "TASKHUB_TOKEN";
/// Longest variable in bytes, including its `=` and NUL. Linux starts no program with a longer one
/// (MAX_ARG_STRLEN).
const ENV_VARIABLE_BYTES_MAX: usize = 128 << 10;
/// Longest time a request can ask for: 30 days.
pub const TIMEOUT_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Most attempts after the first.
pub const RETRIES_MAX: u32 = 10;
/// The wait before the second attempt when the request gives none.
pub const RETRY_DELAY_SECONDS: u32 = 5;
/// Longest wait before another attempt. Each wait is twice the one before, up to this.
pub const RETRY_DELAY_SECONDS_MAX: u32 = 3600;
/// Smallest memory limit. With less, interpreters die before they can report why.
pub const MEMORY_BYTES_MIN: u64 = 64 << 20;
/// 1 PiB: more than any machine has, and small enough to be exact as a JSON number in every
/// language.
pub const MEMORY_BYTES_MAX: u64 = 1 << 50;

/// What to run, and how. Everything is optional: without a script the task's own is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutionRequest {
    /// The script to run instead of the task's own. A first line `#!…` names the interpreter, else `sh`. Without
    /// any script the hub's own command is run, if its operator has named one; it gets the task as JSON on its
    /// standard input.
    #[oai(nullable)]
    pub script_content: Option<Script>,
    /// Variables added to the script's environment, at most 100. Names: letters, digits and `_`, not starting with
    /// a digit, at most 200 characters; values: at most 32,768 characters, none of them NUL.
    /// `TASKHUB_…` is reserved, but for `TASKHUB_TOKEN`, with which the script may report
    /// to a hub that asks for tokens. Forgotten when the execution has ended.
    #[oai(default, validator(max_properties = 100))]
    pub env: BTreeMap<String, String>,
    /// The directory to run in: relative to the execution's own, and made when missing; or absolute, if it lies in
    /// a directory that the hub's operator has named (`--exec-root`). No `..`, and at most 4,096 bytes.
    #[oai(nullable, validator(max_length = 4096))]
    pub cwd: Option<String>,
    /// Stop the script after this many seconds, at most 30 days; absent or null: the hub's default.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "2592000")))]
    pub timeout_seconds: Option<u32>,
    /// How often to try again after an attempt that `failed` or `timed_out`.
    #[oai(default, validator(minimum(value = "0"), maximum(value = "10")))]
    pub retries: u32,
    /// How long to wait before trying again, doubled each time up to an hour; absent or null: 5 seconds.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "3600")))]
    pub retry_delay_seconds: Option<u32>,
    /// How much memory each process of the script may address, in bytes; absent or null: the hub's default. This is the
    /// size of the address space (RLIMIT_AS), and programs often reserve more of it than they use.
    #[oai(nullable, validator(minimum(value = "67108864"), maximum(value = "1125899906842624")))]
    pub memory_bytes_max: Option<u64>,
}

impl ExecutionRequest {
    /// # Errors
    /// [`Invalid`] when a variable, the directory or the timeout breaks its rule.
    pub fn validated(self) -> Result<Self, Invalid> {
        if self.env.len() > ENV_MAX {
            return Err(Invalid::new("env", format!("holds more than {ENV_MAX} variables")));
        }
        for (name, value) in &self.env {
            let field = || format!("env.{}", name.chars().take(64).collect::<String>());
            if !is_variable_name(name) {
                let message = "is not a variable name: use letters, digits and _, not starting with a \
                               digit, at most 200 characters";
                return Err(Invalid::new(field(), message));
            }
            if name.starts_with("TASKHUB_") && name != TOKEN_VARIABLE {
                return Err(Invalid::new(field(), "names starting with TASKHUB_ are reserved"));
            }
            if value.contains('\0') || value.chars().count() > ENV_VALUE_CHARS_MAX {
                let message = format!("must hold no NUL and at most {ENV_VALUE_CHARS_MAX} characters");
                return Err(Invalid::new(field(), message));
            }
            if name.len() + value.len() + 2 > ENV_VARIABLE_BYTES_MAX {
                let message = format!("must hold at most {ENV_VARIABLE_BYTES_MAX} bytes, its name included");
                return Err(Invalid::new(field(), message));
            }
        }
        if let Some(cwd) = &self.cwd
            && !is_plain_path(cwd)
        {
            let message = "must be a path without `..` and NUL, at most 4096 bytes long";
            return Err(Invalid::new("cwd", message));
        }
        let number = |value: Option<u32>| value.map(u64::from);
        for (field, value, min, max) in [
            ("timeout_seconds", number(self.timeout_seconds), 1, TIMEOUT_SECONDS_MAX.into()),
            ("retries", Some(self.retries.into()), 0, RETRIES_MAX.into()),
            ("retry_delay_seconds", number(self.retry_delay_seconds), 0, RETRY_DELAY_SECONDS_MAX.into()),
            ("memory_bytes_max", self.memory_bytes_max, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX),
        ] {
            if value.is_some_and(|value| !(min..=max).contains(&value)) {
                return Err(Invalid::new(field, format!("must be between {min} and {max}")));
            }
        }
        Ok(self)
    }

    /// The requested directory, when it lies outside the execution's own.
    pub fn outer_cwd(&self) -> Option<&Path> {
        self.cwd.as_deref().map(Path::new).filter(|cwd| cwd.is_absolute())
    }

    /// The wait between this attempt and the next.
    pub(super) fn retry_delay_ms(&self, attempt: i32) -> i64 {
        let first = self.retry_delay_seconds.unwrap_or(RETRY_DELAY_SECONDS);
        let doublings = attempt.saturating_sub(1).clamp(0, 31).unsigned_abs();
        let seconds = first.saturating_mul(1 << doublings).min(RETRY_DELAY_SECONDS_MAX);
        i64::from(seconds) * 1000
    }
}

fn is_variable_name(name: &str) -> bool {
    name.len() <= ENV_NAME_CHARS_MAX
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_plain_path(path: &str) -> bool {
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir);
    !path.contains('\0') && path.len() <= 4096 && Path::new(path).components().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_cannot_leave_its_directory_or_pose_as_the_hub() {
        let request = |json: &str| serde_json::from_str::<ExecutionRequest>(json).expect("JSON").validated();
        assert!(request(r#"{"cwd":"a/./b","env":{"A_1":"x"},"timeout_seconds":1}"#).is_ok());
        for bad in [
            r#"{"cwd":"../a"}"#,
            r#"{"cwd":"/etc/../root"}"#,
            r#"{"cwd":"a/../../b"}"#,
            r#"{"env":{"1A":"x"}}"#,
            r#"{"env":{"A=B":"x"}}"#,
            r#"{"env":{"TASKHUB_URL":"x"}}"#,
            r#"{"env":{"A":"\u0000"}}"#,
            &format!(r#"{{"env":{{"A":"{}"}}}}"#, "\u{1F600}".repeat(ENV_VALUE_CHARS_MAX)),
            r#"{"timeout_seconds":0}"#,
            r#"{"retries":11}"#,
            r#"{"retry_delay_seconds":3601}"#,
            r#"{"memory_bytes_max":67108863}"#,
        ] {
            assert!(request(bad).is_err(), "{bad}");
        }
    }
}
