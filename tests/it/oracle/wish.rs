//! What a writer wants of the hub: changes of every kind, and requests that must be refused.
//!
//! Each carries a mark of its own wherever it has a text, `[[writer.number]]`, by which it is known again in
//! whatever an observer sees.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::claims::LEASE;
use crate::harness::Client;

use super::random::Random;
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
    /// A task for this worker.
    Claim {
        worker: String,
        another: bool,
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
    BlankTitle,
    UnknownStatus(String),
    UnknownLevel,
}

/// What a writer knows of a task when it makes a wish.
#[derive(Debug, Clone)]
pub struct Known {
    pub task: String,
    pub version: i64,
    /// The last lease that it was seen under.
    pub lease: Option<String>,
}

/// Makes wishes.
pub struct Imagination {
    pub random: Random,
    pub writer: usize,
    pub count: u32,
    pub heavy_percent: u64,
}

impl Imagination {
    /// `is_full`: there are enough tasks already.
    pub fn wish(&mut self, all: &[Known], is_full: bool) -> Wish {
        let known = (!all.is_empty()).then(|| self.random.pick(all).clone());
        self.count += 1;
        let mark = format!("[[{}.{}]]", self.writer, self.count);
        let kind = match (known, self.random.between(0..=99)) {
            (_, 0..=6) => WishKind::Announce(self.announcement(&mark)),
            (None, _) => WishKind::Create(self.fields(&mark, true, all)),
            (Some(_), 7..=19) if !is_full => WishKind::Create(self.fields(&mark, true, all)),
            (Some(Known { task, version, .. }), 20..=27) => {
                WishKind::Delete { task, if_match: self.random.chance(30).then_some(version) }
            }
            (Some(Known { task, .. }), 28..=37) => WishKind::Impossible(self.impossible(task)),
            (Some(Known { task, .. }), 38..=42) => WishKind::Comment { task, fields: self.comment(&mark) },
            (Some(_), 43..=51) => WishKind::Claim {
                worker: (*self.random.pick(words::ASSIGNEES)).to_owned(),
                another: self.random.chance(50),
            },
            (Some(Known { task, lease: Some(lease), .. }), 52..=57) => WishKind::GiveBack { task, lease },
            (Some(Known { task, version, lease }), 52..=74) => WishKind::Update {
                task,
                fields: self.fields(&mark, false, all),
                if_match: self.random.chance(30).then_some(version),
                as_report: false,
                lease: lease.filter(|_| self.random.chance(30)),
            },
            (Some(Known { task, version, lease }), _) => WishKind::Update {
                task,
                fields: self.report(&mark),
                if_match: self.random.chance(20).then_some(version),
                as_report: true,
                lease: lease.filter(|_| self.random.chance(60)),
            },
        };
        Wish { mark, kind }
    }

    fn text(&mut self, mark: &str) -> String {
        match self.random.chance(20) {
            true => format!("{}{mark}", self.random.pick(words::NASTY)),
            false => mark.to_owned(),
        }
    }

    fn announcement(&mut self, mark: &str) -> Map<String, Value> {
        object([("level", json!(self.random.pick(words::LEVELS))), ("message", json!(self.text(mark)))])
    }

    fn comment(&mut self, mark: &str) -> Map<String, Value> {
        let mut random = self.random.fork();
        object([("text", json!(self.text(mark))), ("author", or_null(&mut random, words::ASSIGNEES))])
    }

    /// Fields of a new task, or some of them for a change. Few of them hold the mark, so that a change can be
    /// one that changes nothing.
    fn fields(&mut self, mark: &str, is_new: bool, all: &[Known]) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut random = self.random.fork();
        let wants = |random: &mut Random| random.chance(30);
        if is_new || random.chance(20) {
            fields.insert("title".into(), json!(self.text(mark)));
        }
        if wants(&mut random) {
            let text = if random.chance(30) { String::new() } else { self.text(mark) };
            fields.insert("description".into(), json!(text));
        }
        if wants(&mut random) {
            fields.insert("status".into(), json!(random.pick(words::STATUSES)));
        }
        if wants(&mut random) {
            fields.insert("priority".into(), or_null(&mut random, words::PRIORITIES));
        }
        if wants(&mut random) {
            fields.insert("assignee".into(), or_null(&mut random, words::ASSIGNEES));
        }
        if wants(&mut random) {
            fields.insert("tags".into(), json!(random.some(words::TAGS, 3)));
        }
        if wants(&mut random) || random.chance(self.heavy_percent) {
            fields.insert("artifacts".into(), self.artifacts(mark));
        }
        if !all.is_empty() && wants(&mut random) {
            let blockers = match random.chance(20) {
                true => Vec::new(),
                false => random.some(all, 3),
            };
            let blockers: Vec<_> = blockers.into_iter().map(|known| known.task).collect();
            fields.insert("blocked_by".into(), json!(blockers));
        }
        if random.chance(10) {
            fields.insert("script".into(), json!(format!("echo {mark}")));
        }
        fields
    }

    fn report(&mut self, mark: &str) -> Map<String, Value> {
        let mut fields = object([("status", json!(self.random.pick(words::STATUSES)))]);
        if self.random.chance(20) {
            fields.insert("priority".into(), json!(self.random.pick(words::PRIORITIES)));
        }
        if self.random.chance(20) {
            fields.insert("assignee".into(), json!(self.random.pick(words::ASSIGNEES)));
        }
        if self.random.chance(20 + self.heavy_percent) {
            fields.insert("artifacts".into(), self.artifacts(mark));
        }
        fields
    }

    fn artifacts(&mut self, mark: &str) -> Value {
        if !self.random.chance(self.heavy_percent) {
            return json!([self.text(mark)]);
        }
        let count = self.random.between(4..=15);
        json!((0..count).map(|number| format!("{mark}{number:/>4000}")).collect::<Vec<_>>())
    }

    fn impossible(&mut self, task: String) -> Impossible {
        match self.random.between(0..=7) {
            0 => Impossible::NoSuchTask,
            6 => Impossible::NoSuchLease(task),
            7 => Impossible::WaitsForItself(task),
            1 => Impossible::BlankTitle,
            2 => Impossible::UnknownStatus(task),
            3 => Impossible::UnknownLevel,
            _ => Impossible::StaleVersion(task),
        }
    }
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
            WishKind::Claim { worker, another } => {
                // So long that none ends by itself.
                let body = json!({ "worker": worker, "another": another, "lease_seconds": 3600 });
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
                Impossible::BlankTitle => {
                    (Method::POST, "/api/tasks".into(), Some(json!({ "title": " ", "description": mark })))
                }
                Impossible::UnknownStatus(task) => {
                    let body = json!({ "new_status": "nowhere", "artifacts": [mark] });
                    (Method::PUT, status_path(task), Some(body))
                }
                Impossible::UnknownLevel => {
                    let body = json!({ "level": "deafening", "message": mark });
                    (Method::POST, "/api/events/announcements".into(), Some(body))
                }
            },
        }
    }
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn or_null(random: &mut Random, words: &[&str]) -> Value {
    if random.chance(25) { Value::Null } else { json!(random.pick(words)) }
}
