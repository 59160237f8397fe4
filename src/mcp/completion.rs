//! Completes what a person types where a template or a prompt has a gap: a key of a task, or a project.

use rmcp::model::CompletionInfo;

use crate::domain::filter::FacetFilter;
use crate::domain::page::{SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;

use super::call::Call;
use super::failure::Failure;

/// # Errors
/// A [`Failure`] that says what to do
pub async fn complete(call: &Call, argument: &str, typed: &str) -> Result<Vec<String>, Failure> {
    let typed = typed.to_lowercase();
    let found = match argument {
        "project" => projects(call).await?,
        "id" | "task" => keys(call, &typed).await?,
        _ => Vec::new(),
    };
    let fitting = found.into_iter().filter(|value| value.starts_with(&typed));
    Ok(fitting.take(CompletionInfo::MAX_VALUES).collect())
}

async fn projects(call: &Call) -> Result<Vec<String>, Failure> {
    let projects = call.service.projects().await?.value;
    Ok(projects.into_iter().map(|project| project.project.to_string()).collect())
}

/// The latest tasks: of the project, once that much of a key is typed.
async fn keys(call: &Call, typed: &str) -> Result<Vec<String>, Failure> {
    let project = typed.rsplit_once('-').and_then(|(project, _)| project.parse::<ProjectName>().ok());
    let query = TaskQuery {
        filter: FacetFilter { projects: project.into_iter().collect(), ..FacetFilter::default() },
        text: None,
        sort: TaskSort::CreatedAt,
        order: SortOrder::Descending,
        after: None,
        limit: 500,
    };
    let page = call.service.tasks(query, None).await?.value;
    Ok(page.tasks.into_iter().map(|task| task.key.to_string()).collect())
}
