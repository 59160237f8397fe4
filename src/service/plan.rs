//! A plan: tasks that are created together, some of which wait for others of them.

use serde::Serialize;

use crate::domain::error::Invalid;
use crate::domain::task::{Task, TaskDraft};
use crate::store::Tx;

use super::idempotency::{IdempotencyKey, earlier, fingerprint, once};
use super::tasks::create;
use super::{Service, ServiceError, Stamped};

/// A task of a plan.
#[derive(Debug, Clone)]
pub struct PlannedTask {
    pub draft: TaskDraft,
    /// The tasks of the plan that have to be done first, by their place in it. They come earlier in the plan.
    pub after: Vec<usize>,
    /// Where it is in the request: a refusal names it.
    pub place: String,
}

/// A request for a plan that may be repeated, as the client has sent it. The plan itself is no measure: its blockers are found
/// by name, and may be others by the time of a repetition, or gone.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    key: IdempotencyKey,
    fingerprint: Vec<u8>,
}

impl PlanRequest {
    pub fn new(key: IdempotencyKey, request: &impl Serialize) -> Self {
        Self { key, fingerprint: fingerprint("plan", request) }
    }
}

impl Service {
    /// What an earlier request has created, if this repeats it.
    ///
    /// # Errors
    /// [`ServiceError::KeyReused`], [`ServiceError::Store`]
    pub async fn created_plan(&self, request: PlanRequest) -> Result<Option<Vec<Task>>, ServiceError> {
        let actor = self.actor().clone();
        self.store.read(move |view| earlier(view, &actor, request.key, &request.fingerprint)).await
    }

    /// Creates all tasks of a plan, in its order, or none. With a request a repetition creates nothing and answers what the
    /// first one has created.
    ///
    /// # Errors
    /// Those of [`Service::create_task`]
    ///
    /// # Panics
    /// When a task waits for one that does not come earlier.
    pub async fn create_plan(
        &self,
        plan: Vec<PlannedTask>,
        request: Option<PlanRequest>,
    ) -> Result<Stamped<Vec<Task>>, ServiceError> {
        let has_default = self.shared.executions.exec_default.is_some();
        self.write(move |tx| {
            let (key, fingerprint) = request.map(|it| (it.key, it.fingerprint)).unzip();
            let fingerprint = fingerprint.unwrap_or_default();
            Ok(once(tx, key, &fingerprint, |tx| create_all(tx, plan, has_default))?.0)
        })
        .await
    }
}

fn create_all(tx: &mut Tx<'_>, plan: Vec<PlannedTask>, has_default: bool) -> Result<Vec<Task>, ServiceError> {
    let mut created: Vec<Task> = Vec::with_capacity(plan.len());
    for PlannedTask { mut draft, after, place } in plan {
        draft.blocked_by.extend(after.into_iter().map(|place| created[place].id));
        let task = create(tx, draft, has_default).map_err(|error| match error {
            ServiceError::Invalid(Invalid { field, message }) => {
                Invalid { field: format!("{place}.{field}"), message }.into()
            }
            other => other,
        });
        created.push(task?);
    }
    Ok(created)
}
