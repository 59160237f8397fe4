//! Resources: a task, its log, and the board of a project, each as a page of text.

use std::fmt;
use std::str::FromStr;

use crate::domain::filter::FacetFilter;
use crate::domain::page::{SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::{Status, Task};
use crate::executor::logs::{self, From};

use super::call::Call;
use super::failure::Failure;
use super::task_name::TaskName;
use super::task_text;

/// Tasks of each status on a board.
const BOARD_TASKS_MAX: usize = 50;
/// The end of a log, in bytes.
const LOG_BYTES_MAX: usize = 64 << 10;

/// The templates: where the parts of a URI go.
pub const TASK: &str = "taskhub://tasks/{id}";
pub const LOG: &str = "taskhub://tasks/{id}/log";
pub const BOARD: &str = "taskhub://board/{project}";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    Task(TaskName),
    Log(TaskName),
    Board(ProjectName),
}

impl FromStr for Resource {
    type Err = String;

    fn from_str(uri: &str) -> Result<Self, String> {
        let path = uri.strip_prefix("taskhub://").ok_or("a URI of this hub begins with taskhub://")?;
        let parts: Vec<&str> = path.split('/').collect();
        match *parts {
            ["tasks", id] => Ok(Self::Task(id.to_owned().try_into()?)),
            ["tasks", id, "log"] => Ok(Self::Log(id.to_owned().try_into()?)),
            ["board", project] => Ok(Self::Board(project.parse()?)),
            _ => Err(format!("a URI is {TASK}, {LOG} or {BOARD}")),
        }
    }
}

impl Resource {
    /// What a client is told that the text is.
    pub fn mime_type(&self) -> &'static str {
        match self {
            Self::Task(_) | Self::Board(_) => "text/markdown",
            Self::Log(_) => "text/plain",
        }
    }

    /// # Errors
    /// A [`Failure`] when there is no such resource
    pub async fn read(self, call: &Call) -> Result<String, Failure> {
        match self {
            Self::Task(name) => task_text::of(&call.service, &call.task(name).await?).await,
            Self::Log(name) => log(call, name).await,
            Self::Board(project) => board(call, project).await,
        }
    }
}

async fn log(call: &Call, name: TaskName) -> Result<String, Failure> {
    let task = call.task(name).await?;
    let execution = call.service.latest_execution(task.id).await?;
    let path = call.context.data_dir.join(&execution.log_file);
    let (from, ended) = (From::Tail(10_000), execution.status.is_final());
    let page = logs::read_page(&path, from, LOG_BYTES_MAX, ended).await;
    Ok(page.map_err(Failure::unreadable_log)?.text)
}

async fn board(call: &Call, project: ProjectName) -> Result<String, Failure> {
    let title = call.service.project(project.clone()).await?.value.title;
    let mut text = format!("# {title}\n");
    for status in Status::ALL {
        let filter = FacetFilter {
            projects: vec![project.clone()].into(),
            statuses: vec![*status].into(),
            ..FacetFilter::default()
        };
        let query = TaskQuery {
            filter,
            text: None,
            sort: TaskSort::CreatedAt,
            order: SortOrder::Descending,
            after: None,
            limit: BOARD_TASKS_MAX,
        };
        let page = call.service.tasks(query, None).await?.value;
        text.push_str(&format!("\n## {status}\n"));
        page.tasks.iter().for_each(|task| text.push_str(&row(task)));
        if page.next.is_some() {
            text.push_str("- … list_tasks has more\n");
        }
    }
    Ok(text)
}

fn row(task: &Task) -> String {
    let ready = if task.ready { " (ready)" } else { "" };
    let assignee = task.assignee.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    format!("- {} {}{assignee}{ready}\n", task.key, task.title)
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(name) => write!(f, "taskhub://tasks/{name}"),
            Self::Log(name) => write!(f, "taskhub://tasks/{name}/log"),
            Self::Board(project) => write!(f, "taskhub://board/{project}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_as_it_is_written() {
        for uri in ["taskhub://tasks/web-1", "taskhub://tasks/web-1/log", "taskhub://board/web"] {
            assert_eq!(uri.parse::<Resource>().map(|resource| resource.to_string()).as_deref(), Ok(uri));
        }
        for other in [
            "http://tasks/web-1",
            "taskhub://tasks",
            "taskhub://tasks/a b",
            "taskhub://board/web/1",
            "taskhub://",
        ] {
            assert!(other.parse::<Resource>().is_err(), "{other}");
        }
    }
}
