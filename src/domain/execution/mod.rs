//! An execution: one attempt to run a task's script, and the states it can be in.
//!
//! ```text
//! queued ──▶ running ──▶ completed | failed | stopped | timed_out | lost
//!    └─────────────────▶ stopped | failed | lost
//! ```
//!
//! A final state never changes: [`Execution::started`] and [`Execution::ended`] refuse. A retry is
//! a new execution: [`Execution::next_attempt`].

mod request;

pub use request::{
    ENV_MAX, ENV_NAME_CHARS_MAX, ENV_VALUE_CHARS_MAX, ExecutionRequest, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN,
    RETRIES_MAX, RETRY_DELAY_SECONDS, RETRY_DELAY_SECONDS_MAX, TIMEOUT_SECONDS_MAX,
};

use poem_openapi::Object;
use serde::Serialize;
use thiserror::Error;

use super::clock::Timestamp;
use super::id::{ExecutionId, TaskId};
use super::schema::word_enum;
use super::text::Artifact;

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

impl ExecutionPhase {
    /// Whether the execution has ended by it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Started)
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
    /// Bytes of its output that its log does not hold: the log had reached its limit, or the disk was full. Null before the
    /// end, and when nobody has counted them.
    #[oai(nullable, validator(minimum(value = "0")))]
    pub log_bytes_left_out: Option<i64>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// When it ended, if the process that watched it saw the end. Otherwise the hub takes the time
    /// at which it learned of the end.
    pub ended_at: Option<Timestamp>,
    /// How long it took by the monotonic clock, if somebody measured that. This value then comes
    /// before `ended_at`.
    pub duration_ms: Option<i64>,
    /// Bytes of its output that its log does not hold, if that is known.
    pub log_bytes_left_out: Option<i64>,
}

impl Outcome {
    /// An end without further details.
    pub fn of(end: End) -> Self {
        Self {
            end,
            exit_code: None,
            reason: None,
            ended_at: None,
            duration_ms: None,
            log_bytes_left_out: None,
        }
    }

    /// Adds a remark to the reason when some artifacts of the script could not be added to its
    /// task.
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

/// The artifacts that a script has named as its results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedArtifacts {
    pub artifacts: Vec<Artifact>,
    /// How many more the script named that are not valid artifacts.
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
            log_bytes_left_out: None,
        }
    }

    /// Whether another attempt follows. One follows a failure or a timeout, unless somebody has
    /// asked for a stop or no attempt is left. None follows `lost`, because nobody knows how much
    /// of its work the script has done.
    pub fn is_to_be_repeated(&self) -> bool {
        let has_failed = matches!(self.status, ExecutionStatus::Failed | ExecutionStatus::TimedOut);
        has_failed && !self.stop_requested && self.attempt < self.attempts_max
    }

    /// The next attempt, queued until its waiting time is over.
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
            log_bytes_left_out: outcome.log_bytes_left_out,
            ended_at: Some(match (outcome.duration_ms, self.started_at) {
                (Some(duration_ms), Some(started_at)) => Timestamp::from_ms(started_at.ms() + duration_ms),
                _ => outcome.ended_at.unwrap_or(now).min(now).max(self.started_at.unwrap_or(self.created_at)),
            }),
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

    /// How long it still has to wait, in milliseconds. When somebody has set the clock back, the
    /// answer is at most the wait that was planned when it was queued.
    pub fn wait_ms(&self, now: Timestamp) -> u64 {
        let Some(not_before) = self.not_before else {
            return 0;
        };
        let (left, meant) = (not_before.ms() - now.ms(), not_before.ms() - self.created_at.ms());
        u64::try_from(left.min(meant)).unwrap_or(0)
    }

    /// Milliseconds from start to end. `None` before the end.
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
        Outcome { exit_code: Some(0), ..Outcome::of(End::Completed) }
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
        let running = queued().started(Timestamp::from_ms(2000)).expect("queued");
        let measured =
            Outcome { duration_ms: Some(42), ended_at: Some(Timestamp::from_ms(9)), ..completed() };
        let ended = running.ended(measured, Timestamp::from_ms(1)).expect("running");
        assert_eq!(ended.duration_ms(), Some(42), "whatever the clock says");
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
}
