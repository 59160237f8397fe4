//! `wait_events`: what has happened since a place in the log, or as soon as something happens.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::problem::Code;
use crate::domain::event::{EventId, EventKind};
use crate::domain::filter::{EventFilter, FacetFilter};
use crate::domain::project::ProjectName;
use crate::domain::text::{Assignee, Tag};
use crate::domain::token::Scope;
use crate::events::{History, Start};
use crate::mcp::call::{Call, WAIT_SECONDS_MAX};
use crate::mcp::compact_event::unnamed_task;
use crate::mcp::event_page::EventPage;
use crate::mcp::failure::Failure;
use crate::mcp::progress::Progress;
use crate::mcp::projects;
use crate::mcp::schema;
use crate::mcp::table::{Answer, Arguments, Effect, Row};
use crate::mcp::task_name::TaskName;

/// Events of an answer. Their bytes are bounded too.
const LIMIT_MAX: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitArguments {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    task: Option<TaskName>,
    #[serde(default)]
    project: Option<ProjectName>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    assignee: Option<Assignee>,
    #[serde(default)]
    tag: Option<Tag>,
    #[serde(default = "limit")]
    limit: u32,
    #[serde(default = "wait_seconds")]
    wait_seconds: u32,
}

fn limit() -> u32 {
    20
}

fn wait_seconds() -> u32 {
    WAIT_SECONDS_MAX
}

pub fn row() -> Row {
    Row {
        name: "wait_events",
        scope: Scope::Read,
        description: "Wait for changes, such as task_updated, execution_event, comment_added, question_answered. Without cursor: from now on. \
                      Pass the answered cursor to miss nothing; reset: true means some are lost, look anew.",
        effect: Effect::Reads,
        input: schema::object(
            json!({
                "cursor": schema::string(),
                "task": schema::task(),
                "project": schema::string(),
                "events": schema::strings("Kinds"),
                "assignee": schema::string(),
                "tag": schema::string(),
                "limit": schema::integer(1, LIMIT_MAX.into()),
                "wait_seconds": schema::integer(0, WAIT_SECONDS_MAX.into()),
            }),
            &[],
        ),
        output: Some(schema::result(json!({
            "events": { "type": "array", "items": { "type": "object" } },
            "cursor": schema::string(),
            "more": schema::boolean(),
            "reset": schema::boolean(),
        }))),
        work: |call, arguments| Box::pin(work(call, arguments)),
    }
}

/// What to look for in the log, and until when.
struct Search {
    after: u64,
    filter: EventFilter,
    limit: usize,
    until: Instant,
}

/// The parts before and after the wait are boxed, so that a wait holds none of what only they need.
async fn work(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let Some(Search { after, filter, limit, until }) = Box::pin(prepare(call, arguments)).await? else {
        return Ok(reset(call));
    };
    let history = call.context.events.history(after, filter, limit, until);
    match Progress::while_waiting(call.progress.as_deref(), "nothing has happened yet", history).await? {
        Some(history) => Box::pin(page(call, history)).await,
        None => Ok(reset(call)),
    }
}

/// `None` when what should come next is no longer in the log.
async fn prepare(call: &Call, arguments: Arguments<'_>) -> Result<Option<Search>, Failure> {
    let wait: WaitArguments = arguments.read()?;
    let log = &call.context.events;
    let start = match wait.cursor.filter(|cursor| !cursor.is_empty()) {
        None => Start::Live,
        Some(cursor) if cursor == "earliest" => Start::Earliest,
        Some(cursor) if cursor.parse::<EventId>().is_ok() => Start::After(cursor),
        Some(cursor) => {
            let detail = format!("cursor: {cursor:?} is no place in the log");
            let next = "pass the cursor of the last answer, none for what happens from now on, or earliest for all there is";
            return Err(Failure::new(Code::InvalidField, detail, next));
        }
    };
    let task_ids = match wait.task {
        Some(name) => vec![call.task(name).await?.id],
        None => Vec::new(),
    };
    let project = projects::known(call, wait.project).await?;
    let facets = FacetFilter {
        projects: project.into_iter().collect(),
        assignees: wait.assignee.into_iter().collect(),
        tags: wait.tag.into_iter().collect(),
        allowed: call.service.actor().projects.clone(),
        ..FacetFilter::default()
    };
    let events = wait.events.iter().map(|kind| kind_of(kind)).collect::<Result<_, _>>()?;
    let filter = EventFilter { events, task_ids: task_ids.into(), facets };
    let position = log.locate(&start).await?;
    let limit = wait.limit.clamp(1, LIMIT_MAX) as usize;
    let search = Search { after: position.cursor, filter, limit, until: Call::until(wait.wait_seconds) };
    Ok(position.reset.is_none().then_some(search))
}

async fn page(call: &Call, history: History) -> Result<Answer, Failure> {
    let page = brief(call, &history.events).await?;
    let mut answer = json!({ "events": page.rows, "cursor": history.cursor });
    if let Some(last) = &page.cut_after {
        answer["cursor"] = last.clone();
    }
    if page.cut_after.is_some() || (history.cursor.seq < call.head().seq && !page.rows.is_empty()) {
        answer["more"] = true.into();
    }
    Ok(Answer::Data(answer))
}

/// The page of these encoded events. Most agents that one event wakes are answered the same.
async fn brief(call: &Call, source: &Bytes) -> Result<Arc<EventPage>, Failure> {
    if let Some(last) = call.last_page.get(source) {
        return Ok(last);
    }
    let list = [b"[", &source[..], b"]"].concat();
    let events: Vec<Value> = serde_json::from_slice(&list).unwrap_or_default();
    let unnamed: HashSet<_> = events.iter().filter_map(unnamed_task).collect();
    // Which keys a caller may see depends on the caller.
    let is_for_all = unnamed.is_empty();
    let keys = call.service.task_keys(unnamed).await?;
    let page = Arc::new(EventPage::new(source.clone(), &events, &keys));
    if is_for_all {
        call.last_page.put(page.clone());
    }
    Ok(page)
}

/// The kinds are not in the schema, where they would take many words.
fn kind_of(kind: &str) -> Result<EventKind, Failure> {
    kind.parse().map_err(|_| {
        let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| kind.word()).collect();
        let detail = format!("events: there is no kind {kind:?}");
        Failure::new(Code::InvalidField, detail, format!("events takes a list of {}", kinds.join(", ")))
    })
}

/// Retention has removed what should come next, or the cursor is of another log.
fn reset(call: &Call) -> Answer {
    Answer::Data(json!({ "events": [], "cursor": call.head(), "reset": true }))
}
