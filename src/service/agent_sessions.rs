//! Sessions of agents, each as a task: what a hook tells of a session becomes the status of its task.
//!
//! A session belongs to a project, so the same id in another project is another session. What a person does with the task
//! meanwhile stays until the session tells of its next step.

use poem_openapi::types::MaybeUndefined;

use crate::domain::agent_session::{HookInput, SessionStep};
use crate::domain::comment::CommentDraft;
use crate::domain::error::Invalid;
use crate::domain::project::{ProjectDraft, ProjectName};
use crate::domain::task::{Status, Task, TaskDraft, TaskPatch};
use crate::store::{KnownSession, Tx};

use super::change::update;
use super::comments;
use super::projects::insert;
use super::tasks::create;
use super::{Service, ServiceError};

/// Where sessions go unless the hook names another project.
const PROJECT: &str = "claude-code";
const PROJECT_TITLE: &str = "Claude Code";
/// Who does the tasks, and writes the comments.
const AGENT: &str = "claude";
/// The label of all of them.
const TAG: &str = "session";
/// The title of a task when neither a prompt nor a directory gives one.
const TITLE: &str = "session";

impl Service {
    /// Does what an event of a session means for its task: makes it, or changes its status. An event that means nothing
    /// writes nothing.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when there is no such project, [`ServiceError::ProjectArchived`], [`ServiceError::Store`]
    pub async fn report_agent_session(
        &self,
        project: Option<ProjectName>,
        told: HookInput,
    ) -> Result<(), ServiceError> {
        let Some(step) = told.step() else {
            return Ok(());
        };
        self.write(move |tx| {
            let own: ProjectName = PROJECT.parse().expect("the name is a slug");
            // Only the project of all sessions is made when it is not there.
            let has_to_be_there = project.is_some();
            let project = project.unwrap_or(own);
            if !tx.allowed().allow(&project) || (has_to_be_there && tx.project(&project)?.is_none()) {
                let words = format!("there is no project {project}; create it with POST /api/projects");
                return Err(Invalid::new("project", words).into());
            }
            report(tx, &project, step, &told)
        })
        .await?;
        Ok(())
    }
}

fn report(
    tx: &mut Tx<'_>,
    project: &ProjectName,
    step: SessionStep,
    told: &HookInput,
) -> Result<(), ServiceError> {
    let known = tx.agent_session(project, &told.session_id)?;
    let task = match known {
        Some(known) => tx.task(known.task)?,
        None => None,
    };
    let was_prompted = known.is_some_and(|known| known.prompted);
    let title = told.title_of_prompt().filter(|_| step == SessionStep::Prompted && !was_prompted);
    let prompted = was_prompted || title.is_some();
    let task = match task {
        // A person has allowed the tool that the agent had asked for. What else has become of the task stays.
        Some(task) if step == SessionStep::Works && task.status != Status::Review => return Ok(()),
        Some(task) => {
            let patch = TaskPatch {
                title: title.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value),
                status: step.status().map_or(MaybeUndefined::Undefined, MaybeUndefined::Value),
                ..TaskPatch::default()
            };
            update(tx, task, patch)?
        }
        // Nobody has seen anything of it.
        None if matches!(step, SessionStep::Works | SessionStep::Ended) => return Ok(()),
        None => {
            if tx.project(project)?.is_none() {
                let title = Some(PROJECT_TITLE.parse().expect("a title"));
                insert(
                    tx,
                    ProjectDraft { project: project.clone(), title, description: Default::default() },
                )?;
            }
            let title = title.or_else(|| told.title_of_directory());
            let draft = TaskDraft {
                project: project.clone(),
                status: step.status().unwrap_or(Status::Todo),
                assignee: Some(AGENT.parse().expect("a name")),
                tags: vec![TAG.parse().expect("a name")],
                ..TaskDraft::titled(title.unwrap_or_else(|| TITLE.parse().expect("a title")))
            };
            create(tx, draft, false)?
        }
    };
    let now = KnownSession { task: task.id, prompted };
    if known != Some(now) {
        tx.put_agent_session(project, &told.session_id, now)?;
    }
    if step == SessionStep::Waits {
        say(tx, &task, told)?;
    }
    Ok(())
}

/// What the agent wants, as a comment.
fn say(tx: &mut Tx<'_>, task: &Task, told: &HookInput) -> Result<(), ServiceError> {
    // One that says nothing, or more than a comment holds, is passed over.
    if let Some(text) = told.message.as_deref().and_then(|text| text.parse().ok()) {
        let author = Some(AGENT.parse().expect("a name"));
        comments::add(tx, task.id, CommentDraft { text, author })?;
    }
    Ok(())
}
