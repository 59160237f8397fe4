//! How each operation is asked for what is in another project.

use reqwest::Method;
use serde_json::{Value, json};

/// What a client may name: something of `bravo`, or what never existed. Both have the same lengths.
pub struct Names {
    pub project: String,
    pub task: String,
    /// Deleted, with executions that are left.
    pub gone: String,
    pub key: String,
    /// Not held by anybody, and of use for nothing else.
    pub spare: String,
    pub execution: String,
    /// The number of the execution.
    pub number: String,
    /// By which the task is held.
    pub lease: String,
    /// What agents call the lease by.
    pub handle: String,
    /// An open one about the task.
    pub question: String,
    /// One on the task.
    pub comment: String,
    pub word: String,
    pub tag: String,
    pub assignee: String,
    /// A task of `alpha`, in both.
    pub own: String,
}

impl Names {
    /// What is replaced before answers are compared.
    pub fn all(&self) -> [&str; 14] {
        [
            // Before the key, which it begins with.
            &self.handle,
            &self.tag,
            &self.assignee,
            &self.key,
            &self.project,
            &self.task,
            &self.gone,
            &self.spare,
            &self.execution,
            &self.lease,
            &self.question,
            &self.comment,
            &self.word,
            &self.number,
        ]
        .map(String::as_str)
    }

    pub fn tasks(&self) -> [&str; 2] {
        [&self.task, &self.gone]
    }

    /// The header of somebody who holds the task.
    pub fn under_lease(&self) -> Option<(&'static str, String)> {
        Some(("Taskhub-Lease", self.lease.clone()))
    }
}

/// What a request sends.
pub enum Body {
    Json(Value),
    /// Each in a line of its own.
    Lines(Vec<Value>),
}

/// One request.
pub struct Attempt {
    pub method: Method,
    pub path: String,
    pub body: Option<Body>,
    pub header: Option<(&'static str, String)>,
}

pub fn attempt(method: Method, path: String) -> Attempt {
    Attempt { method, path, body: None, header: None }
}

pub fn get(path: String) -> Attempt {
    attempt(Method::GET, path)
}

pub fn with_body(method: Method, path: String, body: Value) -> Attempt {
    Attempt { body: Some(Body::Json(body)), ..attempt(method, path) }
}

/// The same request with conditions that some versions pass and some do not.
fn conditional(make: impl Fn() -> Attempt) -> Vec<Attempt> {
    let tags = ["\"1\"", "\"99\"", "*"].map(|tag| Some(("If-Match", tag.to_owned())));
    [None].into_iter().chain(tags).map(|header| Attempt { header, ..make() }).collect()
}

/// How an operation is tried.
pub enum Tried {
    /// It names and shows nothing of projects.
    Open,
    /// It is about the whole hub, so that a bound token is refused, whatever it names.
    Refused(fn(&Names) -> Vec<Attempt>),
    /// It answers alike for what is hidden and for what never existed.
    Alike(fn(&Names) -> Vec<Attempt>),
    /// The same, and its answer goes on until the hub ends.
    Streams(fn(&Names) -> Vec<Attempt>),
}

use Tried::{Alike, Open, Refused, Streams};

pub fn each(names: &Names, make: impl Fn(&str) -> Vec<Attempt>) -> Vec<Attempt> {
    names.tasks().iter().flat_map(|task| make(task)).collect()
}

fn filters(names: &Names) -> Vec<String> {
    let Names { project, task, gone, key, tag, assignee, .. } = names;
    vec![
        format!("project={project}"),
        format!("project={project},{project}"),
        format!("key={key}"),
        format!("tag={tag}"),
        format!("assignee={assignee}"),
        format!("task_id={task}"),
        format!("task_id={gone},{task}"),
        format!("project={project}&key={key}&ready=false"),
        format!("tag={tag}&ready=true"),
        format!("project={project}&events=project_created,project_updated"),
    ]
}

/// Every operation but those of working together, those that delete last.
pub const TRIED: [(&str, Tried); 29] = [
    ("health", Open),
    ("readiness", Open),
    ("createEventTicket", Open),
    ("whoAmI", Open),
    ("metrics", Refused(|_| vec![get("/metrics".into())])),
    ("getEventStatus", Refused(|_| vec![get("/api/events/status?clients=true".into())])),
    (
        "announce",
        Refused(|names| {
            let body = json!({ "level": "info", "message": names.word });
            vec![with_body(Method::POST, "/api/events/announcements".into(), body)]
        }),
    ),
    (
        "reportClaudeCodeHook",
        Alike(|names| {
            let told = |event: &str| {
                let path = format!("/api/hooks/claude-code?project={}", names.project);
                let body = json!({ "session_id": "s", "hook_event_name": event, "prompt": "p" });
                with_body(Method::POST, path, body)
            };
            ["SessionStart", "UserPromptSubmit", "PreToolUse", "SessionEnd"].map(told).into()
        }),
    ),
    ("listProjects", Alike(|names| vec![get(format!("/api/projects?project={}", names.project))])),
    ("getProject", Alike(|names| vec![get(format!("/api/projects/{}", names.project))])),
    (
        "listTasks",
        Alike(|names| {
            let Names { project, task, key, word, tag, assignee, .. } = names;
            let queries = [
                format!("project={project}"),
                format!("project=alpha,{project}"),
                format!("key={key}"),
                format!("q={word}"),
                format!("q={key}"),
                format!("tag={tag}"),
                format!("assignee={assignee}"),
                format!("assignee={assignee}&limit=1&sort=status"),
                format!("cursor=created_at.asc.0.{task}"),
                format!("project={project}&ready=true"),
                format!("key={key}&ready=false&min_cursor=00000000-7"),
            ];
            queries.map(|query| get(format!("/api/tasks?{query}"))).into()
        }),
    ),
    (
        "getTask",
        Alike(|names| {
            each(names, |task| {
                let path = format!("/api/tasks/{task}");
                vec![get(format!("{path}?min_cursor=00000000-7")), get(path)]
            })
        }),
    ),
    (
        "createTask",
        Alike(|names| {
            let bodies = [
                json!({ "title": "t", "project": names.project }),
                json!({ "title": "t", "project": names.project, "script": "true" }),
                json!({ "title": "t", "project": "alpha", "blocked_by": [names.task] }),
                json!({ "title": "t", "project": "alpha", "blocked_by": [names.own, names.gone] }),
            ];
            let plain = bodies.clone().map(|body| with_body(Method::POST, "/api/tasks".into(), body));
            let keyed = bodies.map(|body| Attempt {
                header: Some(("Idempotency-Key", "k".into())),
                ..with_body(Method::POST, "/api/tasks".into(), body)
            });
            plain.into_iter().chain(keyed).collect()
        }),
    ),
    (
        "updateTask",
        Alike(|names| {
            let patch =
                |task: &str, body: Value| with_body(Method::PATCH, format!("/api/tasks/{task}"), body);
            each(names, |task| {
                let mut attempts = conditional(|| patch(task, json!({ "title": "u" })));
                let header = names.under_lease();
                attempts.push(Attempt { header, ..patch(task, json!({ "title": "u" })) });
                attempts.push(patch(task, json!({ "blocked_by": [names.own] })));
                attempts.push(patch(&names.own, json!({ "blocked_by": [task] })));
                attempts
            })
        }),
    ),
    (
        "updateTaskStatus",
        Alike(|names| {
            let report = |task: &str| {
                let body = json!({ "new_status": "done", "comment": "c" });
                with_body(Method::PUT, format!("/api/tasks/status/{task}"), body)
            };
            let mut attempts = each(names, |task| {
                let mut attempts = conditional(|| report(task));
                attempts.push(Attempt { header: names.under_lease(), ..report(task) });
                attempts
            });
            attempts.push(Attempt { header: names.under_lease(), ..report(&names.own) });
            attempts
        }),
    ),
    ("getExecution", Alike(|names| each(names, |task| vec![get(format!("/api/exec/{task}"))]))),
    ("attachExecution", Alike(|names| each(names, |task| vec![get(format!("/api/exec/{task}/attach"))]))),
    (
        "listExecutions",
        Alike(|names| each(names, |task| vec![get(format!("/api/executions?task_id={task}"))])),
    ),
    ("getExecutionLogs", Alike(|names| logs(names, "logs", &["offset=0"]))),
    ("downloadExecutionLog", Alike(|names| logs(names, "logs/raw", &[]))),
    (
        "streamExecutionLogs",
        Alike(|names| {
            let number = &names.number;
            logs(names, "logs/stream", &["tail=1", &format!("last_event_id={number}-0")])
        }),
    ),
    (
        "stopExecution",
        Alike(|names| each(names, |task| vec![attempt(Method::POST, format!("/api/exec/{task}/stop"))])),
    ),
    (
        "startExecution",
        Alike(|names| {
            each(names, |task| {
                let path = format!("/api/exec/{task}");
                let keyed = Attempt {
                    header: Some(("Idempotency-Key", "k".into())),
                    ..with_body(Method::POST, path, json!({}))
                };
                let start = |task: &str| {
                    with_body(Method::POST, format!("/api/exec/{task}"), json!({ "script_content": "true" }))
                };
                let held =
                    [task, &names.own].map(|task| Attempt { header: names.under_lease(), ..start(task) });
                [start(task), keyed].into_iter().chain(held).collect()
            })
        }),
    ),
    (
        "listEvents",
        Alike(|names| filters(names).into_iter().map(|query| get(format!("/api/events?{query}"))).collect()),
    ),
    (
        "streamEvents",
        Streams(|names| {
            let paths = filters(names).into_iter().flat_map(|query| {
                [
                    format!("/api/events/stream?{query}"),
                    format!("/api/events/stream?since=earliest&named=true&{query}"),
                ]
            });
            let [plain, key] = [format!("project={}", names.project), format!("key={}", names.key)];
            let with_snapshot = [plain, key].map(|query| format!("/api/events/stream?snapshot=true&{query}"));
            paths.chain(with_snapshot).map(get).collect()
        }),
    ),
    (
        "updateProject",
        Alike(|names| {
            let (path, body) = (format!("/api/projects/{}", names.project), json!({ "title": "u" }));
            conditional(|| with_body(Method::PATCH, path.clone(), body.clone()))
        }),
    ),
    (
        "createProject",
        Refused(|names| {
            let body = json!({ "project": names.project, "title": "t" });
            vec![with_body(Method::POST, "/api/projects".into(), body)]
        }),
    ),
    (
        "deleteTask",
        Alike(|names| {
            let delete = |task: &str| attempt(Method::DELETE, format!("/api/tasks/{task}"));
            let held = |task: &str| Attempt { header: names.under_lease(), ..delete(task) };
            let mut attempts = each(names, |task| {
                let mut attempts = vec![held(task)];
                attempts.extend(conditional(|| delete(task)));
                attempts
            });
            attempts.push(held(&names.own));
            attempts
        }),
    ),
    (
        "deleteProject",
        Alike(|names| conditional(|| attempt(Method::DELETE, format!("/api/projects/{}", names.project)))),
    ),
];

/// The log of the latest execution and of the one with this id, of its own task and of the caller's.
fn logs(names: &Names, rest: &str, queries: &[&str]) -> Vec<Attempt> {
    let Names { execution, own, .. } = names;
    let mut attempts = vec![get(format!("/api/exec/{own}/{rest}?execution_id={execution}"))];
    for task in names.tasks() {
        attempts.push(get(format!("/api/exec/{task}/{rest}")));
        attempts.push(get(format!("/api/exec/{task}/{rest}?execution_id={execution}")));
    }
    for query in queries {
        attempts.push(get(format!("/api/exec/{own}/{rest}?{query}")));
        attempts.extend(names.tasks().map(|task| get(format!("/api/exec/{task}/{rest}?{query}"))));
    }
    attempts
}
