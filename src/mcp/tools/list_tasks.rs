//! `list_tasks`: find tasks, a short row for each.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::problem::Code;
use crate::domain::filter::FacetFilter;
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::{Status, Task};
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::mcp::call::Call;
use crate::mcp::failure::Failure;
use crate::mcp::projects;
use crate::mcp::row_list::rows_that_fit;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::service::TaskPage;

/// Tasks of a page. Their bytes are bounded too.
const LIMIT_MAX: u32 = 50;
const SORT: TaskSort = TaskSort::CreatedAt;
const ORDER: SortOrder = SortOrder::Descending;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListArguments {
    project: Option<ProjectName>,
    status: Vec<Status>,
    ready: Option<bool>,
    assignee: Option<Assignee>,
    tag: Option<Tag>,
    q: Option<String>,
    limit: u32,
    cursor: Option<String>,
}

impl Default for ListArguments {
    fn default() -> Self {
        Self {
            project: None,
            status: Vec::new(),
            ready: None,
            assignee: None,
            tag: None,
            q: None,
            limit: 20,
            cursor: None,
        }
    }
}

pub fn row() -> Row {
    let task = json!({
        "key": schema::string(),
        "title": schema::string(),
        "status": schema::string(),
        "ready": schema::boolean(),
        "priority": schema::string(),
        "assignee": schema::string(),
        "tags": { "type": "array", "items": schema::string() },
    });
    Row {
        name: "list_tasks",
        scope: Scope::Read,
        description: "Find tasks, newest first; get_task has the rest of one. ready: free to claim, nothing blocks it.",
        effect: Effect::Reads,
        input: schema::object(
            json!({
                "project": schema::string(),
                "status": { "type": "array", "items": schema::one_of(&["todo", "inprogress", "review", "done"]) },
                "ready": schema::boolean(),
                "assignee": schema::string(),
                "tag": schema::string(),
                "q": schema::described("Words, or their beginnings, in title, description or comments"),
                "limit": schema::integer(1, LIMIT_MAX.into()),
                "cursor": schema::described("next_cursor of the page before"),
            }),
            &[],
        ),
        output: Some(schema::result(json!({
            "tasks": { "type": "array", "items": schema::object(task, &["key", "title", "status"]) },
            "next_cursor": schema::string(),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let query: ListArguments = arguments.read()?;
    let after: Option<PageKey> = match query.cursor.map(|cursor| cursor.parse()) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => {
            let next = "pass the next_cursor of the page before, or leave cursor out";
            return Err(Failure::new(Code::InvalidField, "cursor: is that of no page", next));
        }
    };
    let project = projects::known(call, query.project).await?;
    let filter = FacetFilter {
        projects: project.into_iter().collect(),
        ready: query.ready,
        statuses: query.status.into(),
        assignees: query.assignee.into_iter().collect(),
        tags: query.tag.into_iter().collect(),
        ..FacetFilter::default()
    };
    let query = TaskQuery {
        filter,
        text: query.q.filter(|text| !text.is_empty()),
        sort: SORT,
        order: ORDER,
        after,
        limit: query.limit as usize,
    };
    let TaskPage { tasks, next } = call.service.tasks(query, None).await?.value;
    let mut rows: Vec<_> = tasks.iter().map(brief).collect();
    rows.truncate(rows_that_fit(&rows));
    let next = match rows.len() < tasks.len() {
        true => tasks[..rows.len()].last().map(|task| PageKey::of(task, SORT, ORDER)),
        false => next,
    };
    let mut page = json!({ "tasks": rows });
    if let Some(next) = next {
        page["next_cursor"] = next.to_string().into();
    }
    Ok(Answer::Data(page))
}

/// A task in a row. What it does not have is left out.
fn brief(task: &Task) -> Value {
    let mut row = Map::new();
    row.insert("key".into(), task.key.to_string().into());
    row.insert("title".into(), task.title.as_str().into());
    row.insert("status".into(), task.status.to_string().into());
    if task.ready {
        row.insert("ready".into(), true.into());
    }
    if let Some(priority) = task.priority {
        row.insert("priority".into(), priority.to_string().into());
    }
    if let Some(assignee) = &task.assignee {
        row.insert("assignee".into(), assignee.as_str().into());
    }
    if !task.tags.is_empty() {
        row.insert("tags".into(), json!(task.tags));
    }
    row.into()
}
