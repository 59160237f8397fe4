//! A Rust client: keeps a copy of all tasks by snapshot and stream, and prints how many stand where after each change.
//!
//!     cargo run -- [http://localhost:8000]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest_eventsource::retry::Constant;
use reqwest_eventsource::{Event, EventSource};
use serde::Deserialize;
use serde_json::Value;

/// A message of the stream. What its data are depends on its kind.
#[derive(Deserialize)]
struct Message {
    event: String,
    data: Value,
}

/// The data of messages about one task, as far as this program needs them.
#[derive(Deserialize)]
struct Change {
    task_id: String,
    #[serde(default)]
    status: String,
}

/// The data of a part of a snapshot.
#[derive(Deserialize)]
struct Snapshot {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    status: String,
}

/// The copy: the status of each task, by its id.
#[derive(Default)]
struct Tasks {
    statuses: HashMap<String, String>,
    is_complete: bool,
}

impl Tasks {
    fn apply(&mut self, message: Message) -> serde_json::Result<()> {
        let Message { event, data } = message;
        match event.as_str() {
            // Some of the tasks as they stand.
            "snapshot" => {
                let Snapshot { tasks } = serde_json::from_value(data)?;
                self.statuses.extend(tasks.into_iter().map(|task| (task.id, task.status)));
            }
            // The snapshot is complete.
            "connected" => self.is_complete = true,
            // Events were missed. A new snapshot follows.
            "reset" => *self = Self::default(),
            "task_created" | "task_updated" => {
                let Change { task_id, status } = serde_json::from_value(data)?;
                self.statuses.insert(task_id, status);
            }
            "task_deleted" => {
                let Change { task_id, .. } = serde_json::from_value(data)?;
                self.statuses.remove(&task_id);
            }
            // A newer hub may have more kinds.
            _ => {}
        }
        Ok(())
    }

    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for status in self.statuses.values() {
            *counts.entry(status.as_str()).or_default() += 1;
        }
        counts
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = std::env::args().nth(1).unwrap_or_else(|| "http://localhost:8000".to_owned());
    let mut request = reqwest::Client::new().get(format!("{hub}/api/events/stream?snapshot=true"));
    if let Ok(token) = std::env::var("TASKHUB_TOKEN") {
        request = request.bearer_auth(token);
    }
    let mut stream = EventSource::new(request)?;
    // It comes back after a break by itself, with the id of the last message.
    stream.set_retry_policy(Box::new(Constant::new(Duration::from_secs(1), None)));
    let mut tasks = Tasks::default();
    while let Some(received) = stream.next().await {
        match received {
            Ok(Event::Message(message)) => tasks.apply(serde_json::from_str(&message.data)?)?,
            Ok(Event::Open) => {}
            Err(error) => eprintln!("{error}"),
        }
        if tasks.is_complete {
            println!("{:?}", tasks.counts());
        }
    }
    Err("the client has given up".into())
}
