//! An event in few words: what a model needs of it.

use serde_json::{Map, Value};

use super::task_text::cut;

/// What is kept of an event's data, in this order. Long lists and what repeats the task are left out.
const FIELDS: [&str; 25] = [
    "key",
    "project",
    "title",
    "status",
    "priority",
    "assignee",
    "changed",
    "ready",
    "reason",
    "execution_event",
    "execution_id",
    "exit_code",
    "lease_event",
    "worker",
    "progress",
    "author",
    "text",
    "question_id",
    "options",
    "answer",
    "answered_by",
    "level",
    "message",
    "actor",
    "attempt",
];

/// Of a text, in bytes.
const TEXT_BYTES_MAX: usize = 500;

/// `{"event": …}` and what the event says, without what is null or empty.
pub fn compact(event: &Value) -> Value {
    let mut brief = Map::new();
    brief.insert("event".to_owned(), event["event"].clone());
    // Not every event has the key of its task; its id is a name, too.
    if event["data"]["key"].is_null() && event["data"]["task_id"].is_string() {
        brief.insert("task".to_owned(), event["data"]["task_id"].clone());
    }
    for field in FIELDS {
        let value = &event["data"][field];
        let kept = match value {
            Value::Null => continue,
            Value::Bool(false) => continue,
            Value::Array(list) if list.is_empty() => continue,
            Value::String(text) => cut(text, TEXT_BYTES_MAX, "get_task has the whole").into(),
            other => other.clone(),
        };
        brief.insert(field.to_owned(), kept);
    }
    brief.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_keeps_what_it_says() {
        let event = json!({
            "id": "7c1e9a42-7", "event": "task_updated", "timestamp": "2026-11-30T10:00:00.000Z",
            "data": { "task_id": "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e", "key": "web-1", "status": "done", "ready": false,
                "priority": null, "artifacts": ["a"], "changed": ["status"], "waiting_for": [], "title": "t".repeat(600) },
        });
        let brief = compact(&event);
        assert_eq!(brief["event"], "task_updated");
        assert_eq!((&brief["key"], &brief["status"]), (&json!("web-1"), &json!("done")));
        for left_out in ["ready", "priority", "artifacts", "waiting_for", "task_id"] {
            assert!(brief.get(left_out).is_none(), "{left_out}");
        }
        assert!(brief["title"].as_str().is_some_and(|title| title.len() < 560));
    }
}
