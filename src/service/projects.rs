//! Creating, reading, changing and deleting projects, and counting their tasks.

use crate::domain::error::Invalid;
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::project::{Project, ProjectDraft, ProjectName, ProjectPatch};
use crate::store::{Tx, View};

use super::precondition::Precondition;
use super::{Service, ServiceError, Stamped};

/// Most projects of a hub: a list of them is one page.
const PROJECTS_MAX: usize = 1000;

impl Service {
    /// # Errors
    /// [`ServiceError::BeyondProjects`], [`ServiceError::ProjectExists`], [`ServiceError::TooManyProjects`],
    /// [`ServiceError::Invalid`],
    /// [`ServiceError::Store`]
    pub async fn create_project(&self, new: ProjectDraft) -> Result<Stamped<Project>, ServiceError> {
        self.write(move |tx| {
            if !tx.allowed().allow(&new.project) {
                return Err(ServiceError::BeyondProjects);
            }
            if tx.project(&new.project)?.is_some() {
                return Err(ServiceError::ProjectExists(new.project));
            }
            insert(tx, new)
        })
        .await
    }

    /// # Errors
    /// [`ServiceError::NoProject`], [`ServiceError::Store`]
    pub async fn project(&self, name: ProjectName) -> Result<Stamped<Project>, ServiceError> {
        self.read(None, move |view| load(view, &name)).await
    }

    /// All projects that the caller may see, by name.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn projects(&self) -> Result<Stamped<Vec<Project>>, ServiceError> {
        self.read(None, move |view| {
            let mut projects = view.projects()?;
            projects.retain(|it| view.allowed().allow(&it.project));
            Ok(projects)
        })
        .await
    }

    /// Applies a patch. One that changes nothing answers the project as it is.
    ///
    /// # Errors
    /// [`ServiceError::NoProject`], [`ServiceError::VersionMismatch`], [`ServiceError::Invalid`],
    /// [`ServiceError::Store`]
    pub async fn update_project(
        &self,
        name: ProjectName,
        patch: ProjectPatch,
        expected: Precondition,
    ) -> Result<Stamped<Project>, ServiceError> {
        self.write(move |tx| {
            let project = load(tx, &name)?;
            expected.check(project.version)?;
            let Some(next) = project.patched(patch, tx.now())? else {
                return Ok(project);
            };
            let kind = match next.archived && !project.archived {
                true => EventKind::ProjectArchived,
                false => EventKind::ProjectUpdated,
            };
            tx.update_project(&next)?;
            tx.append(&NewEvent::project(kind, &next))?;
            Ok(next)
        })
        .await
    }

    /// # Errors
    /// [`ServiceError::NoProject`], [`ServiceError::VersionMismatch`], [`ServiceError::ProjectInUse`],
    /// [`ServiceError::Store`]
    pub async fn delete_project(
        &self,
        name: ProjectName,
        expected: Precondition,
    ) -> Result<Stamped<()>, ServiceError> {
        self.write(move |tx| {
            let project = load(tx, &name)?;
            expected.check(project.version)?;
            if name.is_default() {
                return Err(ServiceError::ProjectInUse(name, "is the one that every hub has"));
            }
            if tx.has_tasks(&name)? {
                return Err(ServiceError::ProjectInUse(name, "has tasks"));
            }
            tx.delete_project(&name)?;
            tx.append(&NewEvent::project(EventKind::ProjectDeleted, &project))?;
            Ok(())
        })
        .await
    }
}

/// Creates a project that is not there.
pub(super) fn insert(tx: &mut Tx<'_>, new: ProjectDraft) -> Result<Project, ServiceError> {
    if tx.projects()?.len() >= PROJECTS_MAX {
        return Err(ServiceError::TooManyProjects(PROJECTS_MAX));
    }
    let project = Project::create(new, tx.now())?;
    tx.insert_project(&project)?;
    tx.append(&NewEvent::project(EventKind::ProjectCreated, &project))?;
    Ok(project)
}

/// The number of a new task of the project.
///
/// # Errors
/// [`ServiceError::Invalid`] when there is no such project, [`ServiceError::ProjectArchived`], [`ServiceError::Store`]
pub(super) fn next_number(tx: &mut Tx<'_>, name: &ProjectName) -> Result<i64, ServiceError> {
    let allowed = tx.allowed().allow(name);
    if allowed && let Some(number) = tx.next_task_number(name)? {
        return Ok(number);
    }
    match tx.project(name)?.filter(|_| allowed) {
        Some(_) => Err(ServiceError::ProjectArchived(name.clone())),
        None => {
            let words = format!("there is no project {name}; create it with POST /api/projects");
            Err(Invalid::new("project", words).into())
        }
    }
}

fn load(view: &View<'_>, name: &ProjectName) -> Result<Project, ServiceError> {
    let project = view.project(name)?.filter(|it| view.allowed().allow(&it.project));
    project.ok_or_else(|| ServiceError::NoProject(name.clone()))
}
