//! Why nothing happens with a task, and waiting until something does: one request, which cannot miss it.
//!
//! The state is read first, at a cursor, and then the log is followed from that cursor: what happens in between is in the
//! log. A caller that has a cursor of its own names it, and then the log is searched from there: also what was true only for
//! a moment counts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::registry::MetaSchema;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::auth::Principal;
use crate::domain::event::EventId;
use crate::domain::execution::ExecutionPhase;
use crate::domain::filter::EventFilter;
use crate::domain::id::TaskId;
use crate::domain::schema::text_type;
use crate::domain::task::{Status, Task};
use crate::events::{Events, Start};
use crate::service::{Service, ServiceError, Stamped, Why};

use super::json_body::JsonBody;
use super::problem::problems::{GONE, NOT_FOUND};
use super::problem::{Code, Problem, Problems};
use super::{ApiContext, Tags, permission};

/// Events that are looked at in one go.
const PAGE: usize = 500;

#[derive(Debug)]
pub struct WaitApi;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// The task has one of these statuses.
    Status(Vec<Status>),
    /// Somebody may begin.
    Ready,
    /// The latest execution has ended.
    ExecutionEnded,
    /// No question is open.
    QuestionAnswered,
}

impl Until {
    fn meta() -> MetaSchema {
        MetaSchema {
            example: Some("status:done,review".into()),
            pattern: Some(
                "^(?:status:(?:todo|inprogress|review|done)(?:,(?:todo|inprogress|review|done))*\
                 |ready|execution:ended|question:answered)$"
                    .into(),
            ),
            ..MetaSchema::new("string")
        }
    }

    /// Whether it is true of the task as it stands.
    async fn holds(&self, service: &Service, task: &Task) -> Result<bool, ServiceError> {
        Ok(match self {
            Self::Status(statuses) => statuses.contains(&task.status),
            Self::Ready => task.ready,
            Self::QuestionAnswered => task.waiting_for.is_empty(),
            Self::ExecutionEnded => match service.latest_execution(task.id).await {
                Ok(execution) => execution.status.is_final(),
                Err(ServiceError::NeverExecuted(_)) => false,
                Err(error) => return Err(error),
            },
        })
    }

    /// Whether an event of the task has made it true; `None` when the event does not tell, and the state has to be asked.
    fn is_met_by(&self, event: &Value) -> Option<bool> {
        let (kind, data) = (event["event"].as_str().unwrap_or_default(), &event["data"]);
        let is_of_task = ["task_created", "task_updated"].contains(&kind);
        match self {
            Self::Status(statuses) => {
                Some(is_of_task && statuses.iter().any(|status| data["status"] == status.word()))
            }
            Self::Ready => Some(is_of_task && data["ready"] == true),
            Self::QuestionAnswered => {
                let changed = data["changed"].as_array().map(Vec::as_slice).unwrap_or_default();
                let is_empty = data["waiting_for"].as_array().is_some_and(Vec::is_empty);
                Some(changed.iter().any(|field| field == "waiting_for") && is_empty)
            }
            Self::ExecutionEnded => {
                let phase = data["execution_event"].as_str().unwrap_or_default();
                let is_final = kind == "execution_event" && phase.parse().is_ok_and(ExecutionPhase::is_final);
                match is_final && data["attempt"].as_i64() < data["attempts_max"].as_i64() {
                    // Another attempt may follow.
                    true => None,
                    false => Some(is_final),
                }
            }
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(statuses) => write!(f, "status:{}", super::comma_list::comma_list(statuses)),
            Self::Ready => f.write_str("ready"),
            Self::ExecutionEnded => f.write_str("execution:ended"),
            Self::QuestionAnswered => f.write_str("question:answered"),
        }
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "ready" => Ok(Self::Ready),
            Some(("execution", "ended")) => Ok(Self::ExecutionEnded),
            Some(("question", "answered")) => Ok(Self::QuestionAnswered),
            Some(("status", list)) => {
                let statuses = list.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Status(statuses))
            }
            _ => Err("expected `status:` and statuses separated by commas, `ready`, `execution:ended` or \
                      `question:answered`"
                .to_owned()),
        }
    }
}

text_type!(Until, "until");

/// How waiting has ended.
#[derive(Debug, Object, Serialize)]
pub struct Waited {
    /// Whether it came true; `false` when the time was over first. Then go on with `after` set to `cursor`.
    pub met: bool,
    /// The task as it stands now.
    pub task: Task,
    /// The place in the log up to which was looked.
    pub cursor: EventId,
}

#[derive(Debug, ApiResponse)]
pub enum WaitedReply {
    /// It came true, or the time was over.
    #[oai(status = 200)]
    Ok(
        JsonBody<Waited>,
        /// The `cursor` of the answer.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum WhyReply {
    /// What the task waits for, and who has it.
    #[oai(status = 200)]
    Ok(
        JsonBody<Why>,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[OpenApi(tag = "Tags::Tasks")]
impl WaitApi {
    /// See why nothing happens with a task
    ///
    /// All at once: what it waits for, who has it until when, which questions are open, and where its execution stands.
    #[oai(path = "/api/tasks/:task_id/why", method = "get", operation_id = "explainTask")]
    async fn why(
        &self,
        service: Data<&Service>,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// Answers nothing older than this event, the `Taskhub-Cursor` of an earlier answer.
        min_cursor: Query<Option<EventId>>,
    ) -> Result<WhyReply, Problems<{ NOT_FOUND | GONE }>> {
        let Stamped { value, cursor } = service.why(task_id.0, min_cursor.0).await?;
        Ok(WhyReply::Ok(JsonBody(value), cursor))
    }

    /// Wait for something to become true of a task
    ///
    /// Answers at once when it is true, and otherwise as soon as it becomes true, or after `seconds`. With `after`, an event
    /// behind that place of the log counts as well: what was true only for a moment is not missed. A task that is deleted
    /// meanwhile is not found (404).
    #[oai(path = "/api/tasks/:task_id/wait", method = "get", operation_id = "waitForTask")]
    #[expect(clippy::too_many_arguments, reason = "each argument is one documented parameter")]
    async fn wait(
        &self,
        context: Data<&Arc<ApiContext>>,
        service: Data<&Service>,
        principal: Data<&Principal>,
        /// The id of the task.
        task_id: Path<TaskId>,
        /// What to wait for: `status:` and statuses separated by commas, `ready`, `execution:ended` (the latest execution
        /// has ended), or `question:answered` (no question is open).
        until: Query<Until>,
        /// A `Taskhub-Cursor` of an earlier answer: what has happened since then counts as well.
        after: Query<Option<EventId>>,
        /// How many seconds to wait at most.
        #[oai(default, validator(maximum(value = "60")))]
        seconds: Query<u32>,
    ) -> Result<WaitedReply, Problems<{ NOT_FOUND | GONE }>> {
        let deadline = Instant::now() + Duration::from_secs(seconds.0.into());
        let waiting = wait(&context.events, &service, task_id.0, &until.0, after.0, deadline);
        // Both only look.
        let waited = tokio::select! {
            waited = waiting => waited?,
            () = principal.gone.cancelled() => return Err(permission::no_longer_let_in().into()),
        };
        let cursor = waited.cursor;
        Ok(WaitedReply::Ok(JsonBody(waited), cursor))
    }
}

/// Waits until something is true of a task, or has been since `after`.
///
/// # Errors
/// A [`Problem`]
///
/// # Cancel safety
/// Reads only.
pub async fn wait(
    log: &Events,
    service: &Service,
    id: TaskId,
    until: &Until,
    after: Option<EventId>,
    deadline: Instant,
) -> Result<Waited, Problem> {
    let read = service.task(id, after).await;
    if let Err(ServiceError::NotThere(place)) = read {
        let detail =
            format!("after: the log has no event {place}, or not yet; use a `Taskhub-Cursor` of this hub");
        return Err(Problem::new(Code::CursorGone, detail).with_field("after"));
    }
    let Stamped { value: task, cursor: head } = read?;
    if until.holds(service, &task).await? {
        return Ok(Waited { met: true, task, cursor: head });
    }
    let gone = || {
        let detail =
            "after: retention has removed this place of the log; read the task, and wait without `after`";
        Problem::new(Code::CursorGone, detail).with_field("after")
    };
    let mut cursor = after.unwrap_or(head);
    if log.locate(&Start::After(cursor.to_string())).await?.reset.is_some() {
        return Err(gone());
    }
    loop {
        let filter = EventFilter { task_ids: vec![id].into(), ..EventFilter::default() };
        let history = log.history(cursor.seq, filter, PAGE, deadline).await?.ok_or_else(gone)?;
        let events = [b"[", &history.events[..], b"]"].concat();
        let events: Vec<Value> = serde_json::from_slice(&events).unwrap_or_default();
        let mut met = false;
        for event in &events {
            met |= match until.is_met_by(event) {
                Some(met) => met,
                None => until.holds(service, &task).await?,
            };
        }
        let is_gone = events.iter().any(|event| event["event"] == "task_deleted");
        let is_at_end = events.is_empty() && history.cursor.seq >= head.seq;
        cursor = history.cursor;
        // A hub that is draining answers at once, wherever in the log it has come to.
        let is_over = log.draining().is_cancelled() || is_at_end && Instant::now() >= deadline;
        if met || is_gone || is_over {
            // Not older than what was just seen. A task that was deleted is not found.
            let task = service.task(id, Some(cursor)).await?.value;
            return Ok(Waited { met, task, cursor });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_read_as_it_is_written() {
        for text in ["status:done", "status:done,review", "ready", "execution:ended", "question:answered"] {
            assert_eq!(text.parse::<Until>().map(|until| until.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "status", "status:", "status:doing", "ready:", "execution:started", "done"] {
            assert!(text.parse::<Until>().is_err(), "{text}");
        }
    }
}
