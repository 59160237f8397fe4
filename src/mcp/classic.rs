//! The classic profile: the fifteen tools of the first system, which ran in 2025, under their names.
//!
//! Each was a route of HTTP under another name. Here, too, a call becomes a request for that route, and its answer is the body
//! of the answer. The pipeline sends it, so that it passes the checks of the route. The help is about these tools.

use std::borrow::Cow;
use std::sync::LazyLock;

use poem::Request;
use poem::http::{Method, StatusCode, Uri, header};
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::api::problem::Code;
use crate::domain::token::Scope;

use super::call::Call;
use super::failure::Failure;
use super::routes::ToRoutes;
use super::schema::{described, object, one_of, string, strings};
use super::table::{Answer, Arguments, Effect, Row};
use super::task_name::TaskName;

/// Bytes of an answer, about 15,000 tokens. The routes answer megabytes, which no model takes.
const ANSWER_BYTES_MAX: usize = 48 << 10;

/// The tools, in the order in which the first system listed them.
pub static TOOLS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    use Scope::{Exec, Read, Write};
    let id = || json!({ "task_id": string() });
    let status = || one_of(&["todo", "inprogress", "review", "done"]);
    let priority = || one_of(&["low", "medium", "high"]);
    let create = json!({
        "title": string(), "content": described("Markdown"), "directory": described("Becomes a tag"),
        "priority": priority(), "assignee": string(),
    });
    let update = json!({
        "task_id": string(), "new_status": status(), "priority": priority(), "assignee": string(),
        "artifacts": strings("Paths"),
    });
    let logs = json!({ "task_id": string(), "tail": { "type": "integer", "minimum": 1, "maximum": 10_000 } });
    vec![
        row(
            "create_task_tasks_create_post",
            Write,
            Effect::Adds,
            "Create a task",
            create,
            &["title"],
            |c, a| Box::pin(forward(c, Method::POST, "/tasks/create", a)),
        ),
        row(
            "list_tasks_tasks__get",
            Read,
            Effect::Reads,
            "List tasks of one status, todo unless said otherwise",
            json!({ "status": status() }),
            &[],
            |c, a| Box::pin(forward(c, Method::GET, "/tasks", a)),
        ),
        row(
            "get_task_details_tasks_file__task_id__get",
            Read,
            Effect::Reads,
            "Get a task with its content",
            id(),
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::GET, "/tasks/file/{task_id}", a)),
        ),
        row(
            "update_status_tasks_status__task_id__put",
            Write,
            Effect::Overwrites,
            "Set a task's status",
            update,
            &["task_id", "new_status"],
            |c, a| Box::pin(forward(c, Method::PUT, "/tasks/status/{task_id}", a)),
        ),
        row(
            "sync_files_tasks_sync_post",
            Write,
            Effect::Settles,
            "Read task files anew; this hub has none",
            json!({}),
            &[],
            |c, a| Box::pin(forward(c, Method::POST, "/tasks/sync", a)),
        ),
        row(
            "index_task_tasks_index_post",
            Write,
            Effect::Settles,
            "Read one task file; this hub has none",
            json!({ "file_path": string() }),
            &["file_path"],
            |c, a| Box::pin(forward(c, Method::POST, "/tasks/index", a)),
        ),
        row(
            "execute_exec__task_id__post",
            Exec,
            Effect::Runs,
            "Run a task's script, or the one given",
            json!({ "task_id": string(), "script_content": string() }),
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::POST, "/exec/{task_id}", a)),
        ),
        row(
            "exec_status_exec_status__task_id__get",
            Read,
            Effect::Reads,
            "See how a task's execution stands",
            id(),
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::GET, "/exec/status/{task_id}", a)),
        ),
        row(
            "get_logs_exec_logs__task_id__get",
            Read,
            Effect::Reads,
            "Read the last lines of a task's log",
            logs,
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::GET, "/exec/logs/{task_id}", a)),
        ),
        row(
            "stop_exec_exec_stop__task_id__post",
            Exec,
            Effect::Overwrites,
            "Stop a task's execution",
            id(),
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::POST, "/exec/stop/{task_id}", a)),
        ),
        row(
            "get_attach_exec_attach__task_id__get",
            Read,
            Effect::Reads,
            "Get the command that attaches a terminal",
            id(),
            &["task_id"],
            |c, a| Box::pin(forward(c, Method::GET, "/exec/attach/{task_id}", a)),
        ),
        row("get_help_help__get", Read, Effect::Reads, "List these tools", json!({}), &[], |c, _| {
            Box::pin(help(c))
        }),
        row(
            "get_tool_help_help_tools__tool_name__get",
            Read,
            Effect::Reads,
            "Describe one of these tools",
            json!({ "tool_name": string() }),
            &["tool_name"],
            |c, a| Box::pin(help_on(c, a)),
        ),
        row(
            "stream_events_events_stream_get",
            Read,
            Effect::Reads,
            "Say where events are streamed",
            json!({}),
            &[],
            |_, _| Box::pin(stream()),
        ),
        row(
            "event_status_events_status_get",
            Read,
            Effect::Reads,
            "See how the broadcasting stands",
            json!({}),
            &[],
            |c, a| Box::pin(forward(c, Method::GET, "/events/status", a)),
        ),
    ]
});

fn row(
    name: &'static str,
    scope: Scope,
    effect: Effect,
    description: &'static str,
    properties: Value,
    required: &[&str],
    work: super::table::Work,
) -> Row {
    Row { name, scope, description, effect, input: object(properties, required), output: None, work }
}

/// The tools of this profile: what the route names are operations, which an agent cannot call.
async fn help(call: &Call) -> Result<Answer, Failure> {
    let listed = TOOLS.iter().filter(|row| row.scope <= call.principal.scope);
    let listed: Vec<_> =
        listed.map(|row| json!({ "name": row.name, "description": row.description })).collect();
    Ok(Answer::Text(json!({ "tools": listed }).to_string()))
}

async fn help_on(call: &Call, arguments: Arguments<'_>) -> Result<Answer, Failure> {
    let wanted = arguments.given.get("tool_name").and_then(Value::as_str).unwrap_or_default();
    match TOOLS.iter().find(|row| row.name == wanted && row.scope <= call.principal.scope) {
        Some(row) => {
            let described =
                json!({ "name": row.name, "description": row.description, "arguments": *row.input });
            Ok(Answer::Text(described.to_string()))
        }
        None => {
            let detail = format!("tool_name: there is no tool {wanted:?}");
            Err(Failure::new(Code::InvalidField, detail, "get_help_help__get lists the tools"))
        }
    }
}

/// An answer of a tool ends, and a stream does not.
async fn stream() -> Result<Answer, Failure> {
    let words = "GET /api/events/stream streams every change as Server-Sent Events, such as with `curl -N`; \
                 GET /api/events lists what has happened";
    Ok(Answer::Text(words.to_owned()))
}

async fn forward(
    call: &Call,
    method: Method,
    template: &str,
    arguments: Arguments<'_>,
) -> Result<Answer, Failure> {
    let Some(ToRoutes(routes)) = &call.routes else {
        return Err(Failure::new(Code::Internal, "the hub failed; its log says why", "tell the person"));
    };
    let given = by_id(call, &arguments.given).await?;
    let request = request(method, template, &given)?;
    let mut response = routes.send(request).await;
    let body = response.take_body().into_vec().await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    if response.status() < StatusCode::BAD_REQUEST {
        return Ok(Answer::Text(shortened(&text).into_owned()));
    }
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let code = problem["code"].as_str().and_then(|code| code.parse().ok()).unwrap_or(Code::Internal);
    let detail = problem["detail"].as_str().unwrap_or("the hub failed; its log says why");
    Err(Failure::new(code, detail, next_of(code)))
}

/// An answer without its middle when it is long. The end stays: it has the last lines of a log.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= ANSWER_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let begin = &text[..text.floor_char_boundary(ANSWER_BYTES_MAX / 2)];
    let end = &text[text.ceil_char_boundary(text.len() - ANSWER_BYTES_MAX / 2)..];
    let left_out = text.len() - begin.len() - end.len();
    Cow::Owned(format!(
        "{begin}… [{left_out} bytes are left out here; ask for less, or see the board] …{end}"
    ))
}

/// What to do about a problem, by the tools of this profile.
fn next_of(code: Code) -> &'static str {
    match code {
        Code::TaskNotFound => "call list_tasks_tasks__get with each status for the tasks there are",
        Code::InvalidField | Code::InvalidParameter | Code::InvalidJson => {
            "correct the argument and call again; get_tool_help_help_tools__tool_name__get describes a tool"
        }
        Code::ScopeMissing => "tell the person that this token may not do that",
        Code::ExecutionLive => {
            "call exec_status_exec_status__task_id__get until it has ended, or stop_exec_exec_stop__task_id__post"
        }
        Code::ExecutionNotFound => "call execute_exec__task_id__post first",
        Code::ExecutionEnded => "call get_logs_exec_logs__task_id__get for what it wrote",
        Code::NothingToRun => "call execute_exec__task_id__post with script_content",
        Code::NoMirror => "call create_task_tasks_create_post for each task",
        Code::NotAttachable => "call get_logs_exec_logs__task_id__get instead",
        Code::StorageFull | Code::Unavailable | Code::TooManyRequests => "wait a few seconds and call again",
        _ => "tell the person",
    }
}

/// The arguments with the id of the task where they name its key: the first system had no keys.
async fn by_id<'a>(call: &Call, given: &'a JsonObject) -> Result<Cow<'a, JsonObject>, Failure> {
    let Some(Ok(TaskName::Key(key))) =
        given.get("task_id").and_then(Value::as_str).map(|text| TaskName::try_from(text.to_owned()))
    else {
        return Ok(Cow::Borrowed(given));
    };
    let found = TaskName::Key(key).find(&call.service).await;
    let id = found.map_err(|error| {
        let failure = Failure::from(error);
        Failure { next: next_of(Code::TaskNotFound).to_owned(), ..failure }
    })?;
    let mut given = given.clone();
    given.insert("task_id".to_owned(), id.value.id.to_string().into());
    Ok(Cow::Owned(given))
}

/// The arguments go where the first system had them: into the path, the query or the body.
fn request(method: Method, template: &str, arguments: &JsonObject) -> Result<Request, Failure> {
    let mut path = template.to_owned();
    let mut rest = Vec::new();
    // Some clients send null for what they leave out. As a text it would be the word `null`, and a script of it would run.
    for (name, value) in arguments.iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let gap = format!("{{{name}}}");
        if !path.contains(&gap) {
            rest.push((name.clone(), text));
            continue;
        }
        let is_plain = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_plain {
            return Err(Failure::new(
                Code::InvalidField,
                format!("{name}: is neither a key nor an id of a task"),
                "pass an id or a key as it was answered",
            ));
        }
        path = path.replace(&gap, &text);
    }
    if path.contains('{') {
        return Err(Failure::new(
            Code::InvalidField,
            "task_id: is required",
            "pass task_id, the id or the key of a task",
        ));
    }
    // The script of an execution is the only body; it may be longer than an address.
    let body = (template == "/exec/{task_id}").then(|| {
        let fields: JsonObject = rest.drain(..).map(|(name, text)| (name, text.into())).collect();
        Value::Object(fields).to_string()
    });
    let query = serde_urlencoded::to_string(&rest).unwrap_or_default();
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let uri: Uri = target.parse().map_err(|_| {
        Failure::new(Code::InvalidField, "the arguments are too long for an address", "shorten the text")
    })?;
    let request = Request::builder().method(method).uri(uri);
    Ok(match body {
        Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body),
        None => request.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_where_the_first_system_had_them() {
        let uri = |method: Method, template: &str, arguments: Value| {
            let arguments = arguments.as_object().expect("an object").clone();
            request(method, template, &arguments).map(|request| request.uri().to_string())
        };
        let update = json!({ "task_id": "a-1", "new_status": "done", "artifacts": ["x,y"] });
        assert_eq!(
            uri(Method::PUT, "/tasks/status/{task_id}", update).as_deref(),
            Ok("/tasks/status/a-1?new_status=done&artifacts=%5B%22x%2Cy%22%5D")
        );
        let script = json!({ "task_id": "a-1", "script_content": "true" });
        assert_eq!(uri(Method::POST, "/exec/{task_id}", script).as_deref(), Ok("/exec/a-1"));
        let update = json!({ "task_id": "a-1", "new_status": "done", "assignee": null });
        assert_eq!(
            uri(Method::PUT, "/tasks/status/{task_id}", update).as_deref(),
            Ok("/tasks/status/a-1?new_status=done")
        );
        assert!(uri(Method::GET, "/exec/status/{task_id}", json!({ "task_id": null })).is_err());
        assert!(uri(Method::GET, "/exec/status/{task_id}", json!({ "task_id": "../tokens" })).is_err());
        assert!(uri(Method::GET, "/exec/status/{task_id}", json!({})).is_err());
    }

    #[test]
    fn a_long_answer_loses_its_middle() {
        assert_eq!(shortened("short"), "short");
        let text = format!("begin{}end", "ä".repeat(ANSWER_BYTES_MAX));
        let short = shortened(&text);
        assert!(short.starts_with("begin") && short.ends_with("end") && short.contains("bytes are left out"));
        assert!(short.len() < ANSWER_BYTES_MAX + 100, "{}", short.len());
    }

    #[test]
    fn there_are_fifteen_tools_with_names_that_clients_take() {
        assert_eq!(TOOLS.len(), 15);
        // Clients put the server's name and two lines before it, 60 characters in all.
        assert!(TOOLS.iter().all(|row| row.name.len() + "taskhub__".len() <= 60));
    }
}
