//! The projects that calls name. A project that is not there is refused with those that are: no tool lists them, and an empty
//! answer would look as if there were no tasks.

use crate::api::problem::Code;
use crate::domain::project::ProjectName;
use crate::service::ServiceError;

use super::call::Call;
use super::failure::Failure;

/// Projects that a refusal names.
const NAMED_MAX: usize = 20;

/// The project of a filter, when there is one.
///
/// # Errors
/// `project_not_found`, with the projects that the caller may see
pub async fn known(call: &Call, name: Option<ProjectName>) -> Result<Option<ProjectName>, Failure> {
    let Some(name) = name else {
        return Ok(None);
    };
    match is_there(call, &name).await? {
        true => Ok(Some(name)),
        false => {
            let next = format!("{}, or leave project out", advice(call).await?);
            Err(Failure::new(Code::ProjectNotFound, format!("there is no project {name}"), next))
        }
    }
}

/// The project of a new task. Without a name it is `default`, or the only one that the caller's token is bound to.
///
/// # Errors
/// `project_not_found`, or `invalid_field` when one has to be named. `place` says where in the call.
pub async fn of_new_task(
    call: &Call,
    name: Option<ProjectName>,
    place: &str,
) -> Result<ProjectName, Failure> {
    let is_named = name.is_some();
    let name = match (name, call.service.actor().projects.names()) {
        (Some(name), _) => name,
        (None, Some([only])) => only.clone(),
        (None, _) => ProjectName::default(),
    };
    if is_there(call, &name).await? {
        return Ok(name);
    }
    let (code, detail) = match is_named {
        true => (Code::ProjectNotFound, format!("{place}: there is no project {name}")),
        false => (Code::InvalidField, format!("{place}: is required with this token")),
    };
    Err(Failure::new(code, detail, advice(call).await?))
}

/// A refusal to create tasks, with the projects that take some when the reason is that one does not.
pub async fn refused_plan(call: &Call, error: ServiceError) -> Failure {
    let is_archived = matches!(error, ServiceError::ProjectArchived(_));
    let failure = Failure::from(error);
    match is_archived {
        true => match advice(call).await {
            Ok(next) => Failure { next, ..failure },
            Err(error) => error,
        },
        false => failure,
    }
}

async fn is_there(call: &Call, name: &ProjectName) -> Result<bool, Failure> {
    match call.service.project(name.clone()).await {
        Ok(_) => Ok(true),
        Err(ServiceError::NoProject(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What to pass instead.
async fn advice(call: &Call) -> Result<String, Failure> {
    let projects = call.service.projects().await?.value;
    let mut open = projects.iter().filter(|it| !it.archived).map(|it| it.project.as_str());
    let names: Vec<_> = open.by_ref().take(NAMED_MAX).collect();
    if names.is_empty() {
        return Ok("tell the person that this token has no project yet".to_owned());
    }
    let more = match open.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Ok(format!("use one of the projects {}{more}", names.join(", ")))
}
