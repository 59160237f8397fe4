//! Messages as they arrived, each kept once however many observers saw it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::contract;

/// Enough of a message to see what it is about.
const SHOWN_CHARS_MAX: usize = 240;

#[derive(Debug)]
pub struct Message {
    pub epoch: String,
    pub seq: u64,
    /// The word in `event`.
    pub kind: String,
    pub data: Value,
    pub timestamp: String,
    /// The envelope's bytes.
    pub raw: String,
}

impl Message {
    fn parse(raw: &str) -> Self {
        contract::assert_fits("Event", raw.as_bytes(), "the oracle");
        let envelope: Value = serde_json::from_str(raw).expect("JSON");
        let keys: Vec<_> = envelope.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["id", "event", "data", "timestamp"], "{raw}");
        let text = |key: &str| envelope[key].as_str().expect("a string").to_owned();
        let id = text("id");
        let (epoch, seq) = parts(&id);
        Self {
            epoch: epoch.to_owned(),
            seq,
            kind: text("event"),
            data: envelope["data"].clone(),
            timestamp: text("timestamp"),
            raw: raw.to_owned(),
        }
    }

    /// Whether it is of the log, rather than about this one connection.
    pub fn is_event(&self) -> bool {
        !matches!(self.kind.as_str(), "connected" | "checkpoint" | "reset" | "goodbye" | "snapshot")
    }

    /// Whether it tells a task, rather than something about one.
    pub fn tells_task(&self) -> bool {
        matches!(self.kind.as_str(), "task_created" | "task_updated" | "task_deleted")
    }

    pub fn id(&self) -> String {
        format!("{}-{}", self.epoch, self.seq)
    }

    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }

    /// The seq of an id in `data`.
    pub fn seq_of(&self, field: &str) -> u64 {
        parts(self.text(field)).1
    }
}

/// The beginning of what may be very long.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.raw.chars().take(SHOWN_CHARS_MAX).collect();
        let more = if shown.len() < self.raw.len() { "…" } else { "" };
        write!(f, "{shown}{more}")
    }
}

/// Epoch and seq of an id.
pub fn parts(id: &str) -> (&str, u64) {
    let (epoch, seq) = id.split_once('-').expect("an event id");
    (epoch, seq.parse().expect("a number"))
}

/// Knows every message that was seen; parses and checks each only once.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<HashMap<String, Arc<Message>>>);

impl Shelf {
    pub fn message(&self, raw: &str) -> Arc<Message> {
        let known = self.0.lock().expect("no panic inside").get(raw).cloned();
        known.unwrap_or_else(|| {
            let message = Arc::new(Message::parse(raw));
            self.0.lock().expect("no panic inside").insert(raw.to_owned(), message.clone());
            message
        })
    }
}
