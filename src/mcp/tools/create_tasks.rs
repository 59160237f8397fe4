//! `create_tasks`: one task, or a plan of many that wait for each other.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::problem::Code;
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::task::{BLOCKERS_MAX, Priority, Task, TaskDraft};
use crate::domain::text::{Assignee, Description, Script, Tag, Title};
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::projects;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;
use crate::service::{PlanRequest, PlannedTask};

/// Tasks of a call: they are one transaction, and others must not wait long for the writer.
const TASKS_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    tasks: Vec<Draft>,
    #[serde(default)]
    request_id: Option<String>,
}

/// As it is given: a repetition of a call is known by it, whatever has become of the blockers that it names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    name: Option<String>,
    title: Title,
    #[serde(default)]
    description: Description,
    #[serde(default)]
    project: Option<ProjectName>,
    #[serde(default)]
    priority: Option<Priority>,
    #[serde(default)]
    assignee: Option<Assignee>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    script: Option<Script>,
    #[serde(default)]
    blocked_by: Vec<String>,
}

pub fn row() -> Row {
    let draft = json!({
        "name": schema::described("For blocked_by of others in this call"),
        "title": schema::string(),
        "description": schema::described("Markdown. Say how to tell that it is done"),
        "project": schema::string(),
        "priority": schema::one_of(&["low", "medium", "high"]),
        "tags": { "type": "array", "items": schema::string() },
        "assignee": schema::described("claim_task gives it then only to this worker, asked for by task"),
        "script": schema::string(),
        "blocked_by": schema::strings("Keys, or names in this call"),
    });
    let created = json!({ "key": schema::string(), "name": schema::string(), "ready": schema::boolean(), "note": schema::string() });
    Row {
        name: "create_tasks",
        scope: Scope::Write,
        description: "Add tasks, all or none. The same request_id again answers the tasks already made.",
        effect: Effect::Adds,
        input: schema::object(
            json!({
                "tasks": { "type": "array", "items": schema::object(draft, &["title"]) },
                "request_id": schema::string(),
            }),
            &["tasks"],
        ),
        output: Some(schema::result(
            json!({ "tasks": { "type": "array", "items": schema::object(created, &["key", "ready"]) } }),
        )),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let plan: CreateArguments = arguments.read()?;
    if plan.tasks.is_empty() || plan.tasks.len() > TASKS_MAX {
        let next = format!("pass 1 to {TASKS_MAX} tasks");
        return Err(Failure::new(Code::InvalidField, format!("tasks: has {}", plan.tasks.len()), next));
    }
    if let Some(index) = plan.tasks.iter().position(|task| task.blocked_by.len() > BLOCKERS_MAX) {
        let detail = format!("tasks[{index}].blocked_by: has {}", plan.tasks[index].blocked_by.len());
        return Err(Failure::new(Code::InvalidField, detail, format!("pass at most {BLOCKERS_MAX}")));
    }
    if plan.tasks.iter().any(|task| task.script.is_some()) {
        call.require(Scope::Exec)?;
    }
    let key = Call::request_key(plan.request_id)?;
    let order = in_order(&plan.tasks)?;
    let names: Vec<_> = order.iter().map(|index| (*index, plan.tasks[*index].name.clone())).collect();
    let request = key.map(|key| PlanRequest::new(key, &plan.tasks));
    if let Some(request) = &request
        && let Some(created) = call.service.created_plan(request.clone()).await?
    {
        return Ok(answer(created, names));
    }
    let mut planned = Vec::with_capacity(plan.tasks.len());
    let mut places = HashMap::new();
    let mut known: HashMap<String, TaskId> = HashMap::new();
    let mut chosen: HashMap<Option<ProjectName>, ProjectName> = HashMap::new();
    let mut drafts: Vec<_> = plan.tasks.into_iter().map(Some).collect();
    for index in order {
        let draft = drafts[index].take().expect("an order names each once");
        let (mut after, mut blocked_by) = (Vec::new(), Vec::new());
        for blocker in draft.blocked_by {
            match (places.get(&blocker), known.get(&blocker)) {
                (Some(place), _) => after.push(*place),
                (None, Some(id)) => blocked_by.push(*id),
                (None, None) => {
                    let found = call.task(named(index, blocker.clone())?).await;
                    let at_its_place = |failure: Failure| Failure {
                        detail: format!("tasks[{index}].blocked_by: {}", failure.detail),
                        ..failure
                    };
                    let id = found.map_err(at_its_place)?.id;
                    known.insert(blocker, id);
                    blocked_by.push(id);
                }
            }
        }
        if let Some(name) = &draft.name {
            places.insert(name.clone(), planned.len());
        }
        let project = match chosen.get(&draft.project) {
            Some(project) => project.clone(),
            None => {
                let place = format!("tasks[{index}].project");
                let project = projects::of_new_task(call, draft.project.clone(), &place).await?;
                chosen.insert(draft.project, project.clone());
                project
            }
        };
        let draft = TaskDraft {
            project,
            description: draft.description,
            priority: draft.priority,
            assignee: draft.assignee,
            tags: draft.tags,
            script: draft.script,
            blocked_by,
            ..TaskDraft::titled(draft.title)
        };
        planned.push(PlannedTask { draft, after, place: format!("tasks[{index}]") });
    }
    match call.service.create_plan(planned, request).await {
        Ok(created) => Ok(answer(created.value, names)),
        Err(error) => Err(projects::refused_plan(call, error).await),
    }
}

/// The tasks in the order in which they were given. `names` has the place and the name of each.
fn answer(created: Vec<Task>, names: Vec<(usize, Option<String>)>) -> Answer {
    let mut rows: Vec<_> = created.into_iter().zip(names).collect();
    rows.sort_by_key(|(_, (index, _))| *index);
    let rows = rows.into_iter().map(|(task, (_, name))| {
        let mut row = json!({ "key": task.key, "ready": task.ready });
        if let Some(assignee) = &task.assignee {
            let note = format!("only worker {assignee} may claim it, with task {}", task.key);
            row["note"] = note.into();
        }
        if let Some(name) = name {
            row["name"] = name.into();
        }
        row
    });
    Answer::Data(json!({ "tasks": rows.collect::<Vec<_>>() }))
}

/// A blocker that is no name in the call.
fn named(index: usize, blocker: String) -> Result<TaskName, Failure> {
    TaskName::try_from(blocker.clone()).map_err(|_| {
        let detail =
            format!("tasks[{index}].blocked_by: {blocker:?} is neither a name in this call nor a key");
        Failure::new(Code::InvalidField, detail, "give that task a name, or use the key of a task there is")
    })
}

/// An order in which each task comes behind those of this call that it waits for. Otherwise as they were given.
///
/// # Errors
/// A [`Failure`] when two have one name, or wait for each other
fn in_order(drafts: &[Draft]) -> Result<Vec<usize>, Failure> {
    let mut by_name = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(name) = &draft.name
            && by_name.insert(name.as_str(), index).is_some()
        {
            let detail = format!("tasks[{index}].name: {name:?} is the name of another task in this call");
            return Err(Failure::new(Code::InvalidField, detail, "give each task a name of its own"));
        }
    }
    let in_call = |draft: &Draft| -> Vec<usize> {
        draft.blocked_by.iter().filter_map(|name| by_name.get(name.as_str())).copied().collect()
    };
    let blockers: Vec<_> = drafts.iter().map(in_call).collect();
    let mut order: Vec<usize> = Vec::with_capacity(drafts.len());
    let mut left: Vec<usize> = (0..drafts.len()).collect();
    let mut is_left = vec![true; drafts.len()];
    while !left.is_empty() {
        let waits = |index: &usize| blockers[*index].iter().any(|blocker| is_left[*blocker]);
        let (waiting, free): (Vec<_>, Vec<_>) = left.iter().copied().partition(|index| waits(index));
        if free.is_empty() {
            let names: Vec<_> = waiting.iter().filter_map(|index| drafts[*index].name.as_deref()).collect();
            let detail = format!("tasks: some of {} wait for each other", names.join(", "));
            return Err(Failure::new(Code::DependencyCycle, detail, "leave one of these out of blocked_by"));
        }
        free.iter().for_each(|index| is_left[*index] = false);
        order.extend(free);
        left = waiting;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(plan: &[(&str, &[&str])]) -> Vec<Draft> {
        let draft = |(name, blocked_by): &(&str, &[&str])| {
            serde_json::from_value(json!({ "name": name, "title": name, "blocked_by": blocked_by }))
                .expect("a draft")
        };
        plan.iter().map(draft).collect()
    }

    #[test]
    fn a_plan_is_put_in_order() {
        let plan = drafts(&[("c", &["a", "b"]), ("b", &["a", "web-3"]), ("a", &[]), ("d", &[])]);
        assert_eq!(in_order(&plan), Ok(vec![2, 3, 1, 0]));
    }

    #[test]
    fn tasks_that_wait_for_each_other_are_refused() {
        let refused = in_order(&drafts(&[("a", &["b"]), ("b", &["a"])])).expect_err("a cycle");
        assert_eq!(refused.code, "dependency_cycle");
        assert!(in_order(&drafts(&[("a", &["a"])])).is_err());
        let refused = in_order(&drafts(&[("a", &[]), ("a", &[])])).expect_err("one name twice");
        assert_eq!(refused.detail, "tasks[1].name: \"a\" is the name of another task in this call");
    }
}
