//! What a writer wants of the hub: changes of every kind, and requests that must be refused.
//!
//! Each carries a mark of its own wherever it has a text, `[[writer.number]]`, by which it is known again in
//! whatever an observer sees.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::claims::LEASE;
use crate::harness::Client;

use super::words;

/// The id of nothing.
const NOBODYS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[derive(Debug, Clone)]
pub struct Wish {
    pub mark: String,
    pub kind: WishKind,
}

#[derive(Debug, Clone)]
pub enum WishKind {
    Create(Map<String, Value>),
    Update {
        task: String,
        fields: Map<String, Value>,
        if_match: Option<i64>,
        as_report: bool,
        /// Under this lease, which may have been lost.
        lease: Option<String>,
    },
    Delete {
        task: String,
        if_match: Option<i64>,
    },
    Announce(Map<String, Value>),
    Comment {
        task: String,
        fields: Map<String, Value>,
    },
    Ask {
        task: String,
        fields: Map<String, Value>,
    },
    /// An answer to a question, which may have ended.
    Answer {
        question: String,
        text: String,
    },
    /// A task for this worker.
    Claim {
        worker: String,
        another: bool,
        seconds: u64,
    },
    GiveBack {
        task: String,
        lease: String,
    },
    /// Never to be granted.
    Impossible(Impossible),
}

#[derive(Debug, Clone)]
pub enum Impossible {
    /// A version that no task reaches here.
    StaleVersion(String),
    NoSuchTask,
    NoSuchLease(String),
    WaitsForItself(String),
    /// A new task or this one is to wait for a task that does not exist: found out after its step has begun to write.
    WaitsForNobody(Option<String>),
    BlankTitle,
    UnknownStatus(String),
    UnknownLevel,
    NoSuchQuestion,
    DefaultNotOffered(String),
}

impl Wish {
    pub fn request(&self, client: &Client) -> RequestBuilder {
        let (method, path, body) = self.parts();
        let request = client.request(method, &path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let request = match &self.kind {
            WishKind::Update { lease: Some(lease), .. } => request.header(LEASE, lease),
            WishKind::Impossible(Impossible::NoSuchLease(_)) => request.header(LEASE, NOBODYS),
            _ => request,
        };
        match self.if_match() {
            Some(version) => request.header("If-Match", format!("\"{version}\"")),
            None => request,
        }
    }

    /// As an operation of a batch.
    ///
    /// # Panics
    /// When a batch has no such operation.
    pub fn operation(&self) -> Value {
        let (_, _, body) = self.parts();
        let lease = match &self.kind {
            WishKind::Update { lease, .. } => lease.as_deref(),
            WishKind::Impossible(Impossible::NoSuchLease(_)) => Some(NOBODYS),
            _ => None,
        };
        let (action, task, content) = match &self.kind {
            WishKind::Create(_)
            | WishKind::Impossible(Impossible::BlankTitle | Impossible::WaitsForNobody(None)) => {
                ("create", None, "task")
            }
            WishKind::Update { task, as_report: true, .. }
            | WishKind::Impossible(Impossible::UnknownStatus(task)) => ("report", Some(&**task), "report"),
            WishKind::Update { task, .. }
            | WishKind::Impossible(
                Impossible::StaleVersion(task)
                | Impossible::NoSuchLease(task)
                | Impossible::WaitsForItself(task)
                | Impossible::WaitsForNobody(Some(task)),
            ) => ("update", Some(&**task), "patch"),
            WishKind::Impossible(Impossible::NoSuchTask) => ("update", Some(NOBODYS), "patch"),
            WishKind::Delete { task, .. } => ("delete", Some(&**task), ""),
            _ => panic!("no operation of a batch: {self:?}"),
        };
        let fields = [
            ("action", Some(json!(action))),
            ("task_id", task.map(Value::from)),
            (content, body),
            ("version", self.if_match().map(Value::from)),
            ("lease", lease.map(Value::from)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn if_match(&self) -> Option<i64> {
        match &self.kind {
            WishKind::Update { if_match, .. } | WishKind::Delete { if_match, .. } => *if_match,
            WishKind::Impossible(Impossible::StaleVersion(_)) => Some(1_000_000),
            _ => None,
        }
    }

    fn parts(&self) -> (Method, String, Option<Value>) {
        let mark = &self.mark;
        let task_path = |task: &str| format!("/api/tasks/{task}");
        let questions_path = |task: &str| format!("/api/tasks/{task}/questions");
        let answer_path = |question: &str| format!("/api/questions/{question}/answer");
        let status_path = |task: &str| format!("/api/tasks/status/{task}");
        match &self.kind {
            WishKind::Create(fields) => (Method::POST, "/api/tasks".into(), Some(json!(fields))),
            WishKind::Update { task, fields, as_report: false, .. } => {
                (Method::PATCH, task_path(task), Some(json!(fields)))
            }
            WishKind::Update { task, fields, as_report: true, .. } => {
                let mut fields = fields.clone();
                let status = fields.remove("status").expect("a report has a status");
                fields.insert("new_status".into(), status);
                (Method::PUT, status_path(task), Some(json!(fields)))
            }
            WishKind::Delete { task, .. } => (Method::DELETE, task_path(task), None),
            WishKind::Announce(fields) => {
                (Method::POST, "/api/events/announcements".into(), Some(json!(fields)))
            }
            WishKind::Comment { task, fields } => {
                (Method::POST, format!("{}/comments", task_path(task)), Some(json!(fields)))
            }
            WishKind::Ask { task, fields } => (Method::POST, questions_path(task), Some(json!(fields))),
            WishKind::Answer { question, text } => {
                (Method::PUT, answer_path(question), Some(json!({ "answer": text })))
            }
            WishKind::Claim { worker, another, seconds } => {
                let body = json!({ "worker": worker, "another": another, "lease_seconds": seconds });
                (Method::POST, "/api/tasks/claim".into(), Some(body))
            }
            WishKind::GiveBack { lease, .. } => (Method::DELETE, format!("/api/leases/{lease}"), None),
            WishKind::Impossible(impossible) => match impossible {
                Impossible::StaleVersion(task) => {
                    (Method::PATCH, task_path(task), Some(json!({ "title": mark, "description": mark })))
                }
                Impossible::NoSuchTask => {
                    let task = task_path(NOBODYS);
                    (Method::PATCH, task, Some(json!({ "title": mark })))
                }
                Impossible::NoSuchLease(task) => {
                    (Method::PATCH, task_path(task), Some(json!({ "title": mark, "status": "done" })))
                }
                Impossible::WaitsForItself(task) => {
                    (Method::PATCH, task_path(task), Some(json!({ "title": mark, "blocked_by": [task] })))
                }
                Impossible::WaitsForNobody(task) => {
                    let body = json!({ "title": mark, "status": "todo", "blocked_by": [NOBODYS] });
                    match task {
                        Some(task) => (Method::PATCH, task_path(task), Some(body)),
                        None => (Method::POST, "/api/tasks".into(), Some(body)),
                    }
                }
                Impossible::BlankTitle => {
                    (Method::POST, "/api/tasks".into(), Some(json!({ "title": " ", "description": mark })))
                }
                Impossible::UnknownStatus(task) => {
                    let body = json!({ "new_status": "nowhere", "artifacts": [mark] });
                    (Method::PUT, status_path(task), Some(body))
                }
                Impossible::NoSuchQuestion => {
                    (Method::PUT, answer_path(NOBODYS), Some(json!({ "answer": mark })))
                }
                Impossible::DefaultNotOffered(task) => {
                    let body = json!({ "text": mark, "options": words::OPTIONS, "default": "perhaps" });
                    (Method::POST, questions_path(task), Some(body))
                }
                Impossible::UnknownLevel => {
                    let body = json!({ "level": "deafening", "message": mark });
                    (Method::POST, "/api/events/announcements".into(), Some(body))
                }
            },
        }
    }
}

/// The marks of wishes in a text.
pub fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("[[").filter_map(|(at, _)| {
        let rest = &text[at..];
        Some(&rest[..rest.find("]]")? + 2])
    })
}
