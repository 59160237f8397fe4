//! What tasks wait for: which dependencies are allowed, and whether a task is ready.
//!
//! A blocker that was deleted stays in `blocked_by` and does not block any more.

use std::collections::HashMap;

use crate::domain::error::Invalid;
use crate::domain::id::TaskId;
use crate::domain::task::Task;
use crate::store::View;

use super::ServiceError;
use super::lookup::load;

/// Most tasks that may wait for one: each of them gets an event in the transaction that finishes it.
const DEPENDENTS_MAX: usize = 2000;
/// Most tasks that a search for a cycle looks at.
const SEARCHED_MAX: usize = 10_000;

/// Whether the task may be begun by somebody now.
pub(super) fn is_ready(view: &View<'_>, task: &Task) -> Result<bool, ServiceError> {
    Ok(task.is_free() && !view.any_unfinished(&task.blocked_by)?)
}

/// Refuses what `task` is to wait for beyond `known`, if it cannot wait for that.
///
/// # Errors
/// [`ServiceError::Invalid`] when there is no such task, [`ServiceError::Cycle`], [`ServiceError::TooManyDependents`],
/// [`ServiceError::TooManyDependencies`], [`ServiceError::Store`]
pub(super) fn check(view: &View<'_>, task: &Task, known: &[TaskId]) -> Result<(), ServiceError> {
    let mut new = Vec::new();
    for (index, id) in task.blocked_by.iter().enumerate().filter(|(_, id)| !known.contains(id)) {
        if *id == task.id {
            return Err(ServiceError::Cycle(vec![task.key.to_string(), task.key.to_string()]));
        }
        load(view, *id).map_err(|error| match error {
            ServiceError::NoTask(id) => {
                Invalid::new(format!("blocked_by[{index}]"), format!("there is no task {id}")).into()
            }
            other => other,
        })?;
        if view.dependent_count(*id)? >= DEPENDENTS_MAX {
            return Err(ServiceError::TooManyDependents(DEPENDENTS_MAX));
        }
        new.push(*id);
    }
    // A task that nobody waits for, such as a new one, closes no cycle, however much it waits for.
    if view.dependent_count(task.id)? > 0
        && let Some(path) = path(view, &new, task.id)?
    {
        let ids = [task.id].into_iter().chain(path);
        return Err(ServiceError::Cycle(ids.map(|id| name(view, id)).collect::<Result<_, _>>()?));
    }
    Ok(())
}

/// The way from one of these tasks along what they wait for to `goal`, both included.
fn path(view: &View<'_>, from: &[TaskId], goal: TaskId) -> Result<Option<Vec<TaskId>>, ServiceError> {
    // Each task that was found, with the one that waits for it.
    let mut found: HashMap<_, _> = from.iter().map(|id| (*id, None)).collect();
    let mut left = from.to_vec();
    while let Some(id) = left.pop() {
        for blocker in view.blockers(id)? {
            if found.contains_key(&blocker) {
                continue;
            }
            found.insert(blocker, Some(id));
            if blocker == goal {
                let mut way: Vec<_> =
                    std::iter::successors(Some(goal), |id| found.get(id).copied().flatten()).collect();
                way.reverse();
                return Ok(Some(way));
            }
            if found.len() > SEARCHED_MAX {
                return Err(ServiceError::TooManyDependencies(SEARCHED_MAX));
            }
            left.push(blocker);
        }
    }
    Ok(None)
}

/// What a task is called in a refusal.
fn name(view: &View<'_>, id: TaskId) -> Result<String, ServiceError> {
    let visible = view.task(id)?.filter(|task| view.allowed().allow(&task.project));
    Ok(visible.map_or_else(|| "a task that you may not see".to_owned(), |task| task.key.to_string()))
}
