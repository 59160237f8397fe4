//! Why nothing happens with a task: all reasons at once.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::event::EventId;
use crate::domain::execution::ExecutionStatus;
use crate::domain::id::{ExecutionId, QuestionId, TaskId};
use crate::domain::lease::Lease;
use crate::domain::task::{Status, TaskKey};
use crate::domain::text::{Assignee, Title};
use crate::store::View;

use super::lookup::load;
use super::{Service, ServiceError, Stamped};

/// What a task waits for, and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Why {
    /// Whether somebody may begin now.
    pub ready: bool,
    /// The same in one sentence, for people.
    pub summary: String,
    /// Its status.
    pub status: Status,
    /// Who has it; null when nobody does.
    #[oai(nullable)]
    pub assignee: Option<Assignee>,
    /// The blockers that are not `done`, in the order of `blocked_by`.
    pub blocked_by: Vec<OpenBlocker>,
    /// While the task is blocked: what of `blocked_by` the caller may not see, or was deleted. The two are not told apart.
    #[oai(skip)]
    #[serde(skip)]
    pub hidden_blockers: Vec<TaskId>,
    /// The lease in force, with its present end; null when nobody has claimed the task.
    #[oai(nullable)]
    pub lease: Option<Lease>,
    /// Its open questions: somebody waits for their answers.
    pub waiting_for: Vec<QuestionId>,
    /// Its execution that is queued or running; null when there is none.
    #[oai(nullable)]
    pub execution: Option<LiveExecution>,
}

/// A task that is not `done`, and that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct OpenBlocker {
    /// The blocker.
    pub task_id: TaskId,
    /// What people call it by.
    pub key: TaskKey,
    /// Its title.
    pub title: Title,
    /// Its status.
    pub status: Status,
    /// Who has it; null when nobody does.
    #[oai(nullable)]
    pub assignee: Option<Assignee>,
}

/// An execution that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct LiveExecution {
    /// The execution.
    pub execution_id: ExecutionId,
    /// `queued` or `running`.
    pub status: ExecutionStatus,
    /// How many executions are before it in the queue; null when it runs.
    #[oai(nullable, validator(minimum(value = "0")))]
    pub ahead: Option<i64>,
    /// A repeated attempt does not start before this; null on the first one.
    #[oai(nullable)]
    pub not_before: Option<Timestamp>,
}

impl Service {
    /// Why nothing happens with a task.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn why(&self, id: TaskId, min_cursor: Option<EventId>) -> Result<Stamped<Why>, ServiceError> {
        self.read(min_cursor, move |view| why(view, id)).await
    }
}

fn why(view: &View<'_>, id: TaskId) -> Result<Why, ServiceError> {
    let task = load(view, id)?;
    let (mut blocked_by, mut hidden_blockers) = (Vec::new(), Vec::new());
    let may_hide = view.allowed().is_bound() && view.any_unfinished(&task.blocked_by)?;
    for id in &task.blocked_by {
        // One that the caller may not see has no name here; its id is in the task.
        let found = view.task(*id)?.filter(|it| view.allowed().allow(&it.project));
        if found.is_none() && may_hide {
            hidden_blockers.push(*id);
        }
        if let Some(blocker) = found.filter(|it| !it.is_done()) {
            let (status, assignee) = (blocker.status, blocker.assignee);
            blocked_by.push(OpenBlocker {
                task_id: *id,
                key: blocker.key,
                title: blocker.title,
                status,
                assignee,
            });
        }
    }
    let mut why = Why {
        ready: task.ready,
        summary: String::new(),
        status: task.status,
        assignee: task.assignee,
        blocked_by,
        hidden_blockers,
        lease: view.lease_of_task(id)?.map(|held| held.lease),
        waiting_for: task.waiting_for,
        execution: live_execution(view, id)?,
    };
    why.summary = why.in_words();
    Ok(why)
}

fn live_execution(view: &View<'_>, id: TaskId) -> Result<Option<LiveExecution>, ServiceError> {
    let Some(execution) = view.latest_execution(id)?.filter(|it| !it.status.is_final()) else {
        return Ok(None);
    };
    let ahead = match execution.status {
        ExecutionStatus::Queued => Some(view.executions_ahead_of(&execution)?),
        _ => None,
    };
    Ok(Some(LiveExecution {
        execution_id: execution.id,
        status: execution.status,
        ahead,
        not_before: execution.not_before,
    }))
}

impl Why {
    /// What the task waits for, in words; `None` when nothing blocks it.
    pub fn blockers_in_words(&self) -> Option<String> {
        let mut names: Vec<_> = self.blocked_by.iter().map(|it| it.key.to_string()).collect();
        if !self.hidden_blockers.is_empty() {
            names.push("what you may not see".to_owned());
        }
        (!names.is_empty()).then(|| format!("it waits for {}", names.join(", ")))
    }

    fn in_words(&self) -> String {
        let mut parts = Vec::from_iter(self.blockers_in_words());
        match &self.execution {
            Some(LiveExecution { ahead: Some(ahead), not_before, .. }) => {
                let time = not_before.map(|time| format!(" and not before {time}")).unwrap_or_default();
                parts.push(format!("its execution is queued behind {ahead} others{time}"));
            }
            Some(_) => parts.push("its execution is running".to_owned()),
            None => {}
        }
        if !self.waiting_for.is_empty() {
            parts.push(format!("{} of its questions wait for an answer", self.waiting_for.len()));
        }
        match (&self.lease, &self.assignee) {
            (Some(lease), _) => {
                parts.push(format!("{} has claimed it until {}", lease.worker, lease.expires_at))
            }
            (None, Some(assignee)) if self.status != Status::Done => parts.push(format!("{assignee} has it")),
            _ => {}
        }
        match (self.ready, self.status, parts.is_empty()) {
            (true, ..) => "it is ready: nobody has taken it yet".to_owned(),
            (_, Status::Done, true) => "it is done".to_owned(),
            (_, status, true) => format!("its status is {status}, and nobody has it"),
            _ => parts.join("; "),
        }
    }
}
