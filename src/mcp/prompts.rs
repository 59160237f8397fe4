//! Prompts: what a person can have an agent do with the hub, in one step.

use rmcp::model::{JsonObject, Prompt, PromptArgument};
use serde_json::Value;

use super::failure::Failure;
use crate::api::problem::Code;

/// A prompt, and its arguments with whether they have to be given.
struct Template {
    name: &'static str,
    description: &'static str,
    arguments: &'static [(&'static str, &'static str, bool)],
    text: fn(&Given<'_>) -> String,
}

struct Given<'a>(&'a JsonObject);

const PROMPTS: [Template; 3] = [
    Template {
        name: "work_loop",
        description: "Work on tasks, one after the other, until none is left",
        arguments: &[
            ("worker", "The name to work under", true),
            ("project", "Only tasks of this project", false),
        ],
        text: work_loop,
    },
    Template {
        name: "plan",
        description: "Cut a goal into tasks that wait for each other",
        arguments: &[("goal", "What is to be reached", true), ("project", "Where the tasks go", false)],
        text: plan,
    },
    Template {
        name: "review",
        description: "Check a task that is in review",
        arguments: &[("task", "Key of the task", true)],
        text: review,
    },
];

pub fn all() -> Vec<Prompt> {
    let argument = |(name, description, required): &(&str, &str, bool)| {
        PromptArgument::new(*name).with_description(*description).with_required(*required)
    };
    PROMPTS
        .iter()
        .map(|it| {
            Prompt::new(it.name, Some(it.description), Some(it.arguments.iter().map(argument).collect()))
        })
        .collect()
}

/// The text of a prompt; `None` when there is no such prompt.
///
/// # Errors
/// A [`Failure`] that names the argument that is missing
pub fn text(name: &str, arguments: &JsonObject) -> Option<Result<String, Failure>> {
    let template = PROMPTS.iter().find(|it| it.name == name)?;
    let given = Given(arguments);
    let missing =
        template.arguments.iter().find(|(name, _, required)| *required && given.get(name).is_none());
    Some(match missing {
        Some((argument, _, _)) => {
            let next = format!("give {argument}");
            Err(Failure::new(Code::InvalidField, format!("{argument}: is required"), next))
        }
        None => Ok((template.text)(&given)),
    })
}

impl Given<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// ` of project web`, when there is one.
    fn of_project(&self) -> String {
        self.get("project").map(|project| format!(" of project {project}")).unwrap_or_default()
    }
}

fn work_loop(given: &Given<'_>) -> String {
    let worker = given.get("worker").unwrap_or_default();
    let project = given.get("project").map(|name| format!(", project: {name:?}")).unwrap_or_default();
    format!(
        "Work on the tasks{} of TaskHub until none is left.\n\
         1. Call claim_task with worker: {worker:?}{project}, wait_seconds: 45. When the answer is empty three times, stop and \
         say what you have done.\n\
         2. Read the task; get_task has comments and what was tried before. Do it, and nothing beyond it.\n\
         3. While you work, call heartbeat before expires_at, with a line on progress. When it answers stop: true, leave the \
         task as it is and go to 1.\n\
         4. When you cannot decide, call ask_person with the choices and the lease. Do not guess about what cannot be undone.\n\
         5. Check your work as the task says, then call complete_task with what you checked and what came out. When it cannot \
         be done, call fail_task with the reason.\n\
         6. Go to 1.",
        given.of_project()
    )
}

fn plan(given: &Given<'_>) -> String {
    let goal = given.get("goal").unwrap_or_default();
    let project =
        given.get("project").map(|name| format!(" Give each the project {name:?}.")).unwrap_or_default();
    format!(
        "Cut this goal into tasks for TaskHub: {goal}\n\n\
         First look at list_tasks for what is there already. Then make the tasks with one call of create_tasks. Each task can \
         be done by one worker without asking, says how to tell that it is done, and has a short name. In blocked_by name only \
         what really has to be done first, so that many can work at once.{project} At the end, list the keys with their titles."
    )
}

fn review(given: &Given<'_>) -> String {
    let task = given.get("task").unwrap_or_default();
    format!(
        "Review the task {task} of TaskHub. Read it with get_task, and its output with read_log. Check for yourself what its \
         description asks for and what the proof claims; trust neither. Then write what you found with comment, and call \
         update_task with status done when it holds, or with status todo and the reason in the comment when it does not."
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_wants_its_arguments() {
        let given = |value: Value| value.as_object().expect("an object").clone();
        let text_of = |name: &str, value: Value| text(name, &given(value));
        assert!(text_of("nothing", json!({})).is_none());
        let refused = text_of("plan", json!({ "goal": " " })).expect("a prompt").expect_err("refused");
        assert_eq!(refused.detail, "goal: is required");
        let loops = text_of("work_loop", json!({ "worker": "ada", "project": "web" })).expect("a prompt");
        assert!(loops.is_ok_and(|text| text.contains("worker: \"ada\", project: \"web\", wait_seconds: 45")));
    }
}
