//! Serves the routes of the first system, which ran in 2025, so that its clients keep working.
//!
//! This module rewrites a request for an old route into one for an operation of this hub, before
//! any check looks at it. So each passes the same checks. It converts the answer to the old form
//! where that differs. The old routes are not in the specification: new clients use `/api`.

use poem::http::uri::PathAndQuery;
use poem::http::{Method, StatusCode, Uri};
use poem::{IntoResponse, Request, Response};
use serde_json::{Map, Value, json};

use crate::api::problem::{Code, Problem};
use crate::api::spec;

/// How the answer to an old route differs.
#[derive(Debug)]
pub enum LegacyRoute {
    /// The same answer as the operation's.
    Same,
    /// `{message, task}`, with the status 200.
    Created,
    /// The task with its description as `content`.
    Task,
    /// `{task_id, logs, line_count}`.
    Logs { task_id: String },
    /// A description of all operations, or of the one with this name.
    Help(Option<String>),
    /// This hub has no such operation.
    Refused(Code, &'static str),
}

/// The body of a request whose client sent it as query parameters.
#[derive(Debug, Clone)]
pub struct QueryBody(pub Value);

/// Rewrites a request for a route of the first system into one for an operation; `None` when the
/// path is not one of these routes.
pub fn route(request: &mut Request) -> Option<LegacyRoute> {
    let path = request.uri().path();
    let (is_bare, inside) = match path.strip_prefix("/api/") {
        Some(inside) => (false, inside),
        None => (true, path.strip_prefix('/')?),
    };
    let (room, rest) = inside.split_once('/').unwrap_or((inside, ""));
    if !matches!(room, "tasks" | "exec" | "events" | "help" | "mcp") {
        return None;
    }
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let (ours, legacy) = match (room, method.as_str(), &*parts) {
        ("tasks", "POST", ["create"]) => {
            let body = draft(request.uri().query().unwrap_or_default());
            request.extensions_mut().insert(QueryBody(body));
            rewrite(request, "/api/tasks", Some(""));
            return Some(LegacyRoute::Created);
        }
        ("tasks", "GET", []) if is_bare => {
            let query = request.uri().query().unwrap_or_default();
            let query = match has_parameter(query, "status") {
                true => query.to_owned(),
                false => format!("status=todo&{query}"),
            };
            rewrite(request, "/api/tasks", Some(query.trim_end_matches('&')));
            return Some(LegacyRoute::Same);
        }
        ("tasks", "POST", ["sync" | "index"]) => {
            let words = "this hub keeps tasks in its database and reads no Markdown files; create tasks by POST /api/tasks";
            return Some(LegacyRoute::Refused(Code::NoMirror, words));
        }
        ("tasks", "GET", ["file", id]) => (format!("/api/tasks/{id}"), LegacyRoute::Task),
        ("tasks", "PUT", ["status", id]) if is_bare => (format!("/api/tasks/status/{id}"), LegacyRoute::Task),
        ("exec", "GET", ["status", id]) => (format!("/api/exec/{id}"), LegacyRoute::Same),
        ("exec", "GET", ["logs", id]) => {
            (format!("/api/exec/{id}/logs"), LegacyRoute::Logs { task_id: (*id).to_owned() })
        }
        ("exec", "POST", ["stop", id]) => (format!("/api/exec/{id}/stop"), LegacyRoute::Same),
        ("exec", "GET", ["attach", id]) => (format!("/api/exec/{id}/attach"), LegacyRoute::Same),
        ("exec", _, [_, ..]) | ("events", _, [_, ..]) if is_bare => {
            (format!("/api/{inside}"), LegacyRoute::Same)
        }
        ("help", "GET", []) if is_bare => return Some(LegacyRoute::Help(None)),
        ("help", "GET", ["tools", name]) if is_bare => {
            return Some(LegacyRoute::Help(Some((*name).to_owned())));
        }
        ("mcp", _, ["messages"]) if is_bare => {
            let words = "MCP by HTTP with SSE is not served any more; use POST /mcp";
            return Some(LegacyRoute::Refused(Code::RouteGone, words));
        }
        _ => return None,
    };
    rewrite(request, &ours, None);
    Some(legacy)
}

impl LegacyRoute {
    /// The answer when no operation of this hub can give it.
    pub fn own_answer(&self) -> Option<Response> {
        match self {
            Self::Refused(code, words) => Some(Problem::new(*code, *words).into_response()),
            Self::Help(name) => Some(help(name.as_deref())),
            _ => None,
        }
    }

    /// Converts an operation's answer to the form of the first system.
    pub async fn adapt(self, mut answer: Response) -> Response {
        if matches!(self, Self::Same)
            || !answer.status().is_success()
            || answer.status() == StatusCode::NO_CONTENT
        {
            return answer;
        }
        let body = answer.take_body().into_vec().await.unwrap_or_default();
        let Ok(ours) = serde_json::from_slice::<Value>(&body) else {
            return Problem::internal().into_response();
        };
        let theirs = match self {
            Self::Created => {
                answer.set_status(StatusCode::OK);
                json!({ "message": "Task created", "task": with_content(ours) })
            }
            Self::Task => with_content(ours),
            Self::Logs { task_id } => {
                let lines: Vec<_> = ours["text"].as_str().unwrap_or_default().lines().collect();
                json!({ "task_id": task_id, "logs": lines, "line_count": lines.len() })
            }
            Self::Same | Self::Help(_) | Self::Refused(..) => ours,
        };
        answer.set_body(theirs.to_string());
        answer
    }
}

/// The body of a task to create, from a query: `content` is the description, and `directory` a tag.
fn draft(query: &str) -> Value {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let mut draft = Map::new();
    for (name, value) in pairs {
        match name.as_str() {
            "content" => drop(draft.insert("description".to_owned(), value.into())),
            // The default of the first system carries no information.
            "directory" if value.is_empty() || value == "." => {}
            "directory" => drop(draft.insert("tags".to_owned(), json!([value]))),
            // The operation refuses unknown fields.
            _ => drop(draft.insert(name, value.into())),
        }
    }
    Value::Object(draft)
}

fn with_content(mut task: Value) -> Value {
    if let Some(fields) = task.as_object_mut() {
        let description = fields.get("description").cloned().unwrap_or_default();
        fields.insert("content".to_owned(), description);
    }
    task
}

fn has_parameter(query: &str, name: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some(name))
}

/// The operations with their parameters, and an example of each body.
fn help(name: Option<&str>) -> Response {
    let paths = spec::DOCUMENT["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let mut tools = operations.map(|(path, method, operation)| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Map<_, _> = parameters
            .filter_map(|it| Some((it["name"].as_str()?.to_owned(), it["description"].clone())))
            .collect();
        json!({
            "name": operation["operationId"],
            "description": operation["summary"],
            "method": method.to_uppercase(),
            "path": path,
            "parameters": parameters,
            "example": operation["requestBody"]["content"]["application/json"]["example"],
        })
    });
    let body = match name {
        None => {
            json!({ "docs": "/docs", "specification": "/openapi.json", "tools": tools.collect::<Vec<_>>() })
        }
        Some(name) => match tools.find(|tool| tool["name"] == name) {
            Some(tool) => tool,
            None => {
                let detail = "there is no tool of this name; GET /help names them";
                return Problem::new(Code::RouteNotFound, detail).into_response();
            }
        },
    };
    Response::builder().content_type("application/json").body(body.to_string())
}

/// `query` replaces the query of the request, unless it is `None`.
fn rewrite(request: &mut Request, path: &str, query: Option<&str>) {
    let query = query.or(request.uri().query()).unwrap_or_default();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: Method, uri: &str) -> Option<String> {
        let mut request = Request::builder().method(method).uri(uri.parse().expect("a URI")).finish();
        route(&mut request).map(|_| request.uri().to_string())
    }

    #[test]
    fn a_route_of_the_first_system_leads_to_ours() {
        for (method, theirs, ours) in [
            (Method::POST, "/tasks/create?title=a", "/api/tasks"),
            (Method::POST, "/api/tasks/create?title=a", "/api/tasks"),
            (Method::GET, "/tasks", "/api/tasks?status=todo"),
            (Method::GET, "/tasks?status=done", "/api/tasks?status=done"),
            (Method::GET, "/tasks?limit=2", "/api/tasks?status=todo&limit=2"),
            (Method::GET, "/tasks/file/1", "/api/tasks/1"),
            (Method::GET, "/api/tasks/file/1", "/api/tasks/1"),
            (Method::PUT, "/tasks/status/1?new_status=done", "/api/tasks/status/1?new_status=done"),
            (Method::POST, "/exec/1", "/api/exec/1"),
            (Method::GET, "/exec/1/logs/raw", "/api/exec/1/logs/raw"),
            (Method::HEAD, "/exec/status/1", "/api/exec/1"),
            (Method::GET, "/api/exec/logs/1?tail=5", "/api/exec/1/logs?tail=5"),
            (Method::POST, "/exec/stop/1", "/api/exec/1/stop"),
            (Method::GET, "/exec/attach/1", "/api/exec/1/attach"),
            (Method::GET, "/events/stream?since=earliest", "/api/events/stream?since=earliest"),
        ] {
            assert_eq!(routed(method, theirs).as_deref(), Some(ours), "{theirs}");
        }
        for (method, ours) in [
            (Method::GET, "/api/tasks"),
            (Method::GET, "/api/tasks/1"),
            (Method::PUT, "/api/tasks/status/1"),
            (Method::POST, "/api/exec/1/stop"),
            (Method::GET, "/api/events/stream"),
            (Method::DELETE, "/tasks/create"),
            (Method::GET, "/api/help"),
            (Method::GET, "/"),
        ] {
            assert_eq!(routed(method, ours), None, "{ours}");
        }
    }

    #[test]
    fn a_query_becomes_a_draft() {
        let query = "title=a%20b&content=text&directory=web&priority=high&assignee=bob";
        let expected = json!({ "title": "a b", "description": "text", "tags": ["web"], "priority": "high", "assignee": "bob" });
        assert_eq!(draft(query), expected);
    }
}
