//! An event in few words: what a model needs of it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::domain::id::TaskId;
use crate::domain::task::TaskKey;

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

/// Bytes of a text: an event says that something has changed, and the tools have the whole.
const TEXT_BYTES_MAX: usize = 500;
/// Bytes of all texts of a list, such as the options of a question.
const ITEMS_BYTES_MAX: usize = 1_000;

/// The task of an event that does not say its key.
pub fn unnamed_task(event: &Value) -> Option<TaskId> {
    event["data"]["task_id"].as_str().filter(|_| event["data"]["key"].is_null())?.parse().ok()
}

/// `{"event": …}` and what the event says, without what is null or empty. `keys` has those of tasks that the event does not
/// say; of a task that is gone it shows the id.
pub fn compact(event: &Value, keys: &HashMap<TaskId, TaskKey>) -> Value {
    let mut brief = Map::new();
    brief.insert("event".to_owned(), event["event"].clone());
    if let Some(task) = unnamed_task(event) {
        let name = keys.get(&task).map_or_else(|| task.to_string(), TaskKey::to_string);
        brief.insert("task".to_owned(), name.into());
    }
    for field in FIELDS {
        let value = &event["data"][field];
        let kept = match value {
            Value::Null => continue,
            Value::Bool(false) => continue,
            Value::Array(list) if list.is_empty() => continue,
            Value::Array(list) => first_of(list),
            Value::String(text) => cut(text, TEXT_BYTES_MAX, "get_task has the whole").into(),
            other => other.clone(),
        };
        brief.insert(field.to_owned(), kept);
    }
    brief.into()
}

/// The first items of a list, and how many more there are.
fn first_of(list: &[Value]) -> Value {
    let mut bytes = 0;
    let fits = |item: &&Value| {
        bytes += item.to_string().len();
        bytes <= ITEMS_BYTES_MAX
    };
    let mut kept: Vec<_> = list.iter().take_while(fits).cloned().collect();
    if kept.len() < list.len() {
        kept.push(format!("… and {} more", list.len() - kept.len()).into());
    }
    kept.into()
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
        let brief = compact(&event, &HashMap::new());
        assert_eq!(brief["event"], "task_updated");
        assert_eq!((&brief["key"], &brief["status"]), (&json!("web-1"), &json!("done")));
        for left_out in ["ready", "priority", "artifacts", "waiting_for", "task_id"] {
            assert!(brief.get(left_out).is_none(), "{left_out}");
        }
        assert!(brief["title"].as_str().is_some_and(|title| title.len() < 560));

        let options: Vec<_> = (0..20).map(|number| json!(format!("{number:0200}"))).collect();
        let asked = json!({ "event": "question_asked", "data": { "key": "web-1", "options": options } });
        let shown = compact(&asked, &HashMap::new())["options"].clone();
        assert_eq!(shown.as_array().map(|it| (it.len(), it[4].clone())), Some((5, json!("… and 16 more"))));

        let id = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
        let event = json!({ "event": "comment_added", "data": { "task_id": id, "text": "t" } });
        assert_eq!(compact(&event, &HashMap::new())["task"], id);
        let key = "web-1".parse().expect("a key");
        let keys = HashMap::from([(id.parse().expect("an id"), key)]);
        assert_eq!(compact(&event, &keys)["task"], "web-1");
    }
}
