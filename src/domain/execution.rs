//! An execution: one attempt to run a task's script, and the states it can be in.
//!
//! ```text
//! queued ──▶ running ──▶ completed | failed | stopped | timed_out | lost
//!    └─────────────────▶ stopped | failed | lost
//! ```
//!
//! A terminal state never changes again; [`Execution::started`] and [`Execution::ended`] refuse. What is tried
//! again is another execution: [`Execution::next_attempt`].

use std::collections::BTreeMap;
use std::path::{Component, Path};

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::clock::Timestamp;
use super::error::Invalid;
use super::id::{ExecutionId, TaskId};
use super::schema::word_enum;
use super::text::{Artifact, Script};

/// Most variables a request can set for a script.
pub const ENV_MAX: usize = 100;
/// Longest name and longest value of such a variable, in characters.
pub const ENV_NAME_CHARS_MAX: usize = 200;
pub const ENV_VALUE_CHARS_MAX: usize = 32 << 10;
/// The one reserved variable that a request may set: nobody else can give a script a token.
const TOKEN_VARIABLE: &str = "TASKHUB_TOKEN";
/// Longest variable in bytes, with its `=` and NUL: Linux starts no program with a longer one (MAX_ARG_STRLEN).
const ENV_VARIABLE_BYTES_MAX: usize = 128 << 10;
/// Longest time a request can ask for: 30 days.
pub const TIMEOUT_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Most attempts after the first.
pub const RETRIES_MAX: u32 = 10;
/// The wait before the second attempt when the request names none.
pub const RETRY_DELAY_SECONDS: u32 = 5;
/// Longest wait before another attempt: doubling ends here.
pub const RETRY_DELAY_SECONDS_MAX: u32 = 3600;
/// Least memory that a limit can leave: below, interpreters die before they can say why.
pub const MEMORY_BYTES_MIN: u64 = 64 << 20;
/// 1 PiB: more than any machine has, and exact as a JSON number everywhere.
pub const MEMORY_BYTES_MAX: u64 = 1 << 50;

word_enum! {
    /// Where an execution stands. The last five are final.
    ExecutionStatus {
        /// waits for its turn
        Queued = "queued",
        /// its script has been started
        Running = "running",
        /// its script ended with exit code 0
        Completed = "completed",
        /// another exit code, a signal, or the script could not be started
        Failed = "failed",
        /// somebody asked for its end
        Stopped = "stopped",
        /// it took longer than it may
        TimedOut = "timed_out",
        /// nobody knows how it ended: the machine or its supervisor went down meanwhile
        Lost = "lost",
    }
}

word_enum! {
    /// A step in the life of an execution, as announced by an `execution_event`.
    ExecutionPhase {
        /// it waits for its turn; left out when it can start at once
        Queued = "queued",
        /// its script is being started
        Started = "started",
        /// its script ended with exit code 0
        Completed = "completed",
        /// another exit code, a signal, or the script could not be started
        Failed = "failed",
        /// somebody asked for its end
        Stopped = "stopped",
        /// it took longer than it may
        TimedOut = "timed_out",
        /// nobody knows how it ended: the machine or its supervisor went down meanwhile
        Lost = "lost",
    }
}

impl ExecutionStatus {
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// One attempt to run a task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Execution {
    /// Identifies the execution; a UUIDv7, so ids sort by creation time.
    pub id: ExecutionId,
    /// 1, 2, 3 …: counts the executions of the whole hub.
    #[oai(validator(minimum(value = "1")))]
    pub number: i64,
    /// The task that is executed.
    pub task_id: TaskId,
    /// The name of its session: `taskhub-{number}`.
    #[oai(validator(pattern = "^taskhub-[0-9]+$"))]
    pub session_name: String,
    /// Where its output goes, relative to the data directory: `logs/task-{number}.log`.
    #[oai(validator(pattern = r"^logs/task-[0-9]+\.log$"))]
    pub log_file: String,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// The script's exit code once it has ended by itself; null before, and when a signal ended it.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "255")))]
    pub exit_code: Option<i32>,
    /// Why it ended as it did, in words; null when there is nothing to say.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// 1 for the first attempt. Each attempt is an execution with a number and a log of its own.
    #[oai(validator(minimum(value = "1"), maximum(value = "11")))]
    pub attempt: i32,
    /// How many attempts there may be: 1 and the `retries` of the request.
    #[oai(validator(minimum(value = "1"), maximum(value = "11")))]
    pub attempts_max: i32,
    /// A repeated attempt does not start before this; null on the first one.
    #[oai(nullable)]
    pub not_before: Option<Timestamp>,
    /// Whether somebody has asked for it to stop.
    pub stop_requested: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its script started; null while it is queued.
    #[oai(nullable)]
    pub started_at: Option<Timestamp>,
    /// When it ended; null before.
    #[oai(nullable)]
    pub ended_at: Option<Timestamp>,
}

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
    /// size of the address space (RLIMIT_AS), of which programs often reserve more than they use.
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

    /// The directory that was asked for outside the execution's own.
    pub fn outer_cwd(&self) -> Option<&Path> {
        self.cwd.as_deref().map(Path::new).filter(|cwd| cwd.is_absolute())
    }

    /// The wait after this attempt, before the next.
    fn retry_delay_ms(&self, attempt: i32) -> i64 {
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

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// When it ended, if that was seen by whoever watched over it; otherwise it is when the hub learned of it.
    pub ended_at: Option<Timestamp>,
}

impl Outcome {
    /// Says how many artifacts of the script could not be added to its task, if any.
    pub fn remarked(self, left_out: usize) -> Self {
        if left_out == 0 {
            return self;
        }
        let remark = format!(
            "{left_out} of the artifacts it named were left out: they are no paths, or the task's list is full"
        );
        Self {
            reason: Some(self.reason.map_or(remark.clone(), |reason| format!("{reason}; {remark}"))),
            ..self
        }
    }
}

/// What a script has named as its results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedArtifacts {
    pub artifacts: Vec<Artifact>,
    /// How many more it named that cannot be artifacts.
    pub refused: usize,
}

/// The final states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Completed,
    Failed,
    Stopped,
    TimedOut,
    Lost,
}

impl End {
    pub fn status(self) -> ExecutionStatus {
        match self {
            Self::Completed => ExecutionStatus::Completed,
            Self::Failed => ExecutionStatus::Failed,
            Self::Stopped => ExecutionStatus::Stopped,
            Self::TimedOut => ExecutionStatus::TimedOut,
            Self::Lost => ExecutionStatus::Lost,
        }
    }

    pub fn phase(self) -> ExecutionPhase {
        match self {
            Self::Completed => ExecutionPhase::Completed,
            Self::Failed => ExecutionPhase::Failed,
            Self::Stopped => ExecutionPhase::Stopped,
            Self::TimedOut => ExecutionPhase::TimedOut,
            Self::Lost => ExecutionPhase::Lost,
        }
    }
}

/// A transition that the state forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the execution is already {0}")]
pub struct WrongState(pub ExecutionStatus);

impl Execution {
    /// A new execution, waiting for its turn.
    pub fn queued(id: ExecutionId, number: i64, task_id: TaskId, now: Timestamp) -> Self {
        Self {
            id,
            number,
            task_id,
            session_name: format!("taskhub-{number}"),
            log_file: format!("logs/task-{number}.log"),
            status: ExecutionStatus::Queued,
            exit_code: None,
            reason: None,
            attempt: 1,
            attempts_max: 1,
            not_before: None,
            stop_requested: false,
            created_at: now,
            started_at: None,
            ended_at: None,
        }
    }

    /// Whether another attempt follows: after a failure or a timeout, unless somebody had asked for an end. Not
    /// after `lost`: nobody knows how much of its work a lost script has done.
    pub fn is_to_be_repeated(&self) -> bool {
        let has_failed = matches!(self.status, ExecutionStatus::Failed | ExecutionStatus::TimedOut);
        has_failed && !self.stop_requested && self.attempt < self.attempts_max
    }

    /// The attempt after this one, waiting for its time.
    pub fn next_attempt(
        &self,
        request: &ExecutionRequest,
        id: ExecutionId,
        number: i64,
        now: Timestamp,
    ) -> Self {
        Self {
            attempt: self.attempt + 1,
            attempts_max: self.attempts_max,
            not_before: Some(Timestamp::from_ms(now.ms() + request.retry_delay_ms(self.attempt))),
            ..Self::queued(id, number, self.task_id, now)
        }
    }

    /// # Errors
    /// [`WrongState`] unless it is queued.
    pub fn started(self, now: Timestamp) -> Result<Self, WrongState> {
        match self.status {
            ExecutionStatus::Queued => Ok(Self {
                status: ExecutionStatus::Running,
                started_at: Some(now.max(self.created_at)),
                ..self
            }),
            other => Err(WrongState(other)),
        }
    }

    /// # Errors
    /// [`WrongState`] when it has ended before.
    pub fn ended(self, outcome: Outcome, now: Timestamp) -> Result<Self, WrongState> {
        if self.status.is_final() {
            return Err(WrongState(self.status));
        }
        Ok(Self {
            status: outcome.end.status(),
            exit_code: outcome.exit_code,
            reason: outcome.reason,
            ended_at: Some(
                outcome.ended_at.unwrap_or(now).min(now).max(self.started_at.unwrap_or(self.created_at)),
            ),
            ..self
        })
    }

    /// # Errors
    /// [`WrongState`] when it has ended before.
    pub fn stop_requested(self) -> Result<Self, WrongState> {
        if self.status.is_final() {
            return Err(WrongState(self.status));
        }
        Ok(Self { stop_requested: true, ..self })
    }

    /// Milliseconds from start to end, once there is an end.
    pub fn duration_ms(&self) -> Option<i64> {
        Some(self.ended_at?.ms_since(self.started_at?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued() -> Execution {
        Execution::queued(ExecutionId::generate(), 7, TaskId::generate(), Timestamp::from_ms(1000))
    }

    fn completed() -> Outcome {
        Outcome { end: End::Completed, exit_code: Some(0), reason: None, ended_at: None }
    }

    #[test]
    fn an_execution_runs_from_queued_to_an_end_and_stays_there() {
        let running = queued().started(Timestamp::from_ms(2000)).expect("queued");
        assert_eq!(running.clone().started(Timestamp::from_ms(2)), Err(WrongState(ExecutionStatus::Running)));
        let ended = running.ended(completed(), Timestamp::from_ms(2500)).expect("running");
        assert_eq!((ended.duration_ms(), ended.exit_code), (Some(500), Some(0)));
        let refused = Err(WrongState(ExecutionStatus::Completed));
        assert_eq!(ended.clone().ended(completed(), Timestamp::from_ms(9)), refused);
        assert_eq!(ended.clone().started(Timestamp::from_ms(9)), refused);
        assert_eq!(ended.stop_requested(), refused);
    }

    #[test]
    fn an_end_that_was_seen_is_not_when_the_hub_learned_of_it() {
        let end = |seen: i64| {
            let running = queued().started(Timestamp::from_ms(2000)).expect("queued");
            let outcome = Outcome { ended_at: Some(Timestamp::from_ms(seen)), ..completed() };
            running.ended(outcome, Timestamp::from_ms(9000)).expect("running").duration_ms()
        };
        assert_eq!(end(2500), Some(500));
        assert_eq!((end(1), end(99_999)), (Some(0), Some(7000)), "within what the hub knows");
    }

    #[test]
    fn what_failed_is_tried_again_later_and_later_but_not_what_was_stopped_or_lost() {
        let request = |json: &str| serde_json::from_str::<ExecutionRequest>(json).expect("JSON");
        let now = Timestamp::from_ms(50_000);
        let ended = |attempt, end| {
            let execution = Execution { attempt, attempts_max: 11, ..queued() };
            execution.ended(Outcome { end, ..completed() }, now).expect("live")
        };
        let wait = |request: &ExecutionRequest, attempt, end| {
            let ended = ended(attempt, end);
            let next = ended.next_attempt(request, ExecutionId::generate(), 8, now);
            assert_eq!((next.attempt, next.number, next.status), (attempt + 1, 8, ExecutionStatus::Queued));
            Some(next.not_before?.ms() - now.ms()).filter(|_| ended.is_to_be_repeated())
        };
        let plain = request("{}");
        assert_eq!(wait(&plain, 1, End::Failed), Some(5000));
        assert_eq!(wait(&plain, 2, End::TimedOut), Some(10_000));
        assert_eq!(wait(&plain, 10, End::Failed), Some(2_560_000));
        assert_eq!(wait(&plain, 11, End::Failed), None, "no attempt is left");
        assert_eq!(wait(&request(r#"{"retry_delay_seconds":3000}"#), 2, End::Failed), Some(3_600_000));
        assert_eq!(wait(&request(r#"{"retry_delay_seconds":0}"#), 9, End::Failed), Some(0));
        for end in [End::Completed, End::Stopped, End::Lost] {
            assert_eq!(wait(&plain, 1, end), None);
        }
        let asked = Execution { stop_requested: true, ..ended(1, End::Failed) };
        assert!(!asked.is_to_be_repeated(), "somebody wants an end");
    }

    #[test]
    fn names_follow_the_number() {
        let execution = queued();
        assert_eq!(execution.session_name, "taskhub-7");
        assert_eq!(execution.log_file, "logs/task-7.log");
    }

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
