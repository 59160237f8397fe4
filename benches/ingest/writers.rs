//! What a connection of the bench writes: changes one by one, or in batches.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use memchr::memmem;
use rig::callers::{Callers, Load};
use rig::hub::post;
use rig::publisher::request;
use serde_json::{Value, json};

use crate::{TASKS_EACH, batches};

/// Connections that change tasks, each again as soon as it has been answered.
pub type Writers = Callers<Changes>;

/// What a writer sends. The tasks are its own, so that nobody else decides whether an update changes anything.
#[derive(Debug)]
pub enum Changes {
    Single { tasks: Vec<String> },
    Batches { bodies: [String; 2] },
}

impl Changes {
    /// Makes the tasks. With a batch, each request has so many changes.
    pub fn prepare(hub: SocketAddr, batch: Option<usize>) -> anyhow::Result<Self> {
        let Some(batch) = batch else {
            let tasks = (0..TASKS_EACH).map(|_| create(hub)).collect::<anyhow::Result<_>>()?;
            return Ok(Self::Single { tasks });
        };
        let creates = vec![json!({"action": "create", "task": task()}); batch];
        let created = post(hub, "/api/tasks/batch", &json!({"operations": creates, "atomic": true}))?;
        let results = created["results"].as_array().context("a batch without results")?;
        let tasks: Vec<_> =
            results.iter().map(|result| id(&result["task"])).collect::<anyhow::Result<_>>()?;
        let body = |operations| json!({"operations": operations}).to_string();
        Ok(Self::Batches { bodies: batches::both(&tasks).map(body) })
    }
}

impl Load for Changes {
    fn write(&self, out: &mut Vec<u8>, number: usize) {
        match self {
            Self::Single { tasks } => {
                let status = ["inprogress", "todo"][number / tasks.len() % 2];
                let path = format!("/api/tasks/status/{}", tasks[number % tasks.len()]);
                request(out, "PUT", &path, &format!(r#"{{"new_status":"{status}"}}"#));
            }
            Self::Batches { bodies } => {
                request(out, "POST", "/api/tasks/batch", &bodies[number % bodies.len()]);
            }
        }
    }

    fn check(&self, answer: &[u8]) -> anyhow::Result<()> {
        let refused = matches!(self, Self::Batches { .. }) && memmem::find(answer, br#""problem""#).is_some();
        ensure!(!refused, "an operation of a batch was refused");
        Ok(())
    }
}

fn create(hub: SocketAddr) -> anyhow::Result<String> {
    id(&post(hub, "/api/tasks", &task())?)
}

fn task() -> Value {
    json!({"title": crate::TITLE, "tags": ["bench"]})
}

fn id(task: &Value) -> anyhow::Result<String> {
    Ok(task["id"].as_str().context("a task without an id")?.to_owned())
}
