//! A plan: tasks that are created together, some of which wait for others of them.

use serde::Serialize;

use crate::domain::error::Invalid;
use crate::domain::task::{Task, TaskDraft};
use crate::store::Tx;

use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::tasks::create;
use super::{Service, ServiceError, Stamped};

/// A task of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedTask {
    pub draft: TaskDraft,
    /// The tasks of the plan that have to be done first, by their place in it. They come earlier in the plan.
    pub after: Vec<usize>,
    /// Where it is in the request: a refusal names it. The same plan is the same request wherever its tasks are.
    #[serde(skip)]
    pub place: String,
}

impl Service {
    /// Creates all tasks of a plan, in its order, or none. With a key a repetition creates nothing and answers what the
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
        key: Option<IdempotencyKey>,
    ) -> Result<Stamped<Vec<Task>>, ServiceError> {
        let has_default = self.executions.exec_default.is_some();
        self.write(move |tx| {
            let fingerprint = fingerprint("plan", &plan);
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
