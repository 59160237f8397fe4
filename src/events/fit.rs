//! Shortens messages for clients that do not accept long lines: leaves out the longest fields, and
//! names them.
//!
//! An event is always shortened in the same way, as [`Position`](super::batch::Position) requires.
//! Only the lists of an event, the texts of comments and questions, and the texts of a task in a
//! snapshot, can be long. All other fields fit in 16 KiB, the least that a client may ask for: an
//! announcement has 2,000 characters of at most six bytes each.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::event::{LongField, encode};
use crate::domain::task::{Task, TaskField};
use crate::domain::text::Description;

/// What precedes the data in a line of server-sent events.
const FIELD_BYTES: usize = "data: ".len();
/// The fields of an event that can be long: lists and texts.
const LONG: [&str; 5] = [
    TaskField::Artifacts.word(),
    TaskField::Tags.word(),
    LongField::Text.word(),
    LongField::Options.word(),
    LongField::Answer.word(),
];

/// Stands for a text that was left out: a text of these fields is never empty.
const LEFT_OUT: &str = "…";

/// Shortens `body`, an encoded envelope, to a line of at most `line_bytes_max`.
pub fn event(body: &[u8], line_bytes_max: Option<usize>) -> Cow<'_, [u8]> {
    let Some(max) = line_bytes_max.map(|max| max - FIELD_BYTES) else {
        return body.into();
    };
    if body.len() <= max {
        return body.into();
    }
    // It is our own encoding, so it parses. If not, it goes out as it is.
    let Ok(mut envelope) = serde_json::from_slice::<Value>(body) else {
        return body.into();
    };
    let mut omitted = Vec::new();
    let mut encoded = Vec::new();
    for field in longest_first(&envelope["data"]) {
        let value = &mut envelope["data"][field];
        *value = if value.is_array() { Value::Array(Vec::new()) } else { Value::from(LEFT_OUT) };
        omitted.push(Value::from(field));
        envelope["data"]["omitted"] = omitted.clone().into();
        encoded = encode(&envelope).into();
        if encoded.len() <= max {
            break;
        }
    }
    if encoded.is_empty() { body.into() } else { encoded.into() }
}

/// The fields that an event has of [`LONG`].
fn longest_first(data: &Value) -> Vec<&'static str> {
    let is_there = |field: &&str| data[field].is_array() || data[field].is_string();
    let mut fields: Vec<_> = LONG.into_iter().filter(is_there).collect();
    fields.sort_by_key(|field| std::cmp::Reverse(encode(&data[field]).len()));
    fields
}

/// Leaves out fields of a task, the longest first, until it has at most `bytes_max`. Returns those
/// fields and the task's length.
pub fn task(task: &mut Task, bytes_max: usize) -> (Vec<TaskField>, usize) {
    let mut length = encode(&*task).len();
    let mut omitted = Vec::new();
    while length > bytes_max {
        let candidates = [
            (TaskField::Description, encode(&task.description).len()),
            (TaskField::Script, task.script.as_ref().map_or(0, |script| encode(script).len())),
            (TaskField::Artifacts, encode(&task.artifacts).len()),
            (TaskField::Tags, encode(&task.tags).len()),
        ];
        let (field, _) = candidates.into_iter().max_by_key(|(_, length)| *length).expect("there are four");
        if omitted.contains(&field) {
            break;
        }
        match field {
            TaskField::Description => task.description = Description::default(),
            TaskField::Script => task.script = None,
            TaskField::Artifacts => task.artifacts.clear(),
            _ => task.tags.clear(),
        }
        omitted.push(field);
        length = encode(&*task).len();
    }
    (omitted, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::event::{Envelope, EventData, EventKind, NewEvent, TaskEventData};
    use crate::domain::id::TaskId;

    const MAX: usize = 16 << 10;

    fn long_task() -> Task {
        let draft = serde_json::from_value(serde_json::json!({
            "title": "\u{0}".repeat(499) + "t",
            "description": "d".repeat(70_000),
            "script": "s".repeat(20_000),
            "assignee": "\u{1f4bb}".repeat(200),
            "tags": (0..50).map(|n| format!("{n}{}", "\u{1f4bb}".repeat(190))).collect::<Vec<_>>(),
            "artifacts": (0..16).map(|n| format!("{n}{}", "\u{0}".repeat(4000))).collect::<Vec<_>>(),
        }));
        let now = Timestamp::from_ms(0);
        Task::create(TaskId::generate(), 1, draft.expect("a draft"), now).expect("a task")
    }

    #[test]
    fn an_event_that_is_too_long_goes_without_its_lists_and_says_so() {
        let NewEvent { data, .. } = NewEvent::task_created(&long_task());
        let kind = EventKind::TaskCreated.word();
        let body = Envelope { id: 1, event: kind, data: &data, timestamp: Timestamp::from_ms(0) }.encode();
        assert_eq!(event(&body, None), &body[..]);
        assert_eq!(event(&body, Some(body.len() + FIELD_BYTES)), &body[..]);
        let without_artifacts = event(&body, Some(body.len()));
        let cut: Value = serde_json::from_slice(&without_artifacts).expect("JSON");
        assert_eq!(cut["data"]["omitted"], serde_json::json!(["artifacts"]));
        let cut = event(&body, Some(MAX));
        assert!(cut.len() + FIELD_BYTES <= MAX, "{}", cut.len());
        let cut: Value = serde_json::from_slice(&cut).expect("JSON");
        let whole: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(cut["data"]["omitted"], serde_json::json!(["artifacts", "tags"]));
        assert_eq!(
            (&cut["data"]["artifacts"], &cut["data"]["tags"]),
            (&Value::Array(vec![]), &Value::Array(vec![]))
        );
        assert_eq!(cut["data"]["title"], whole["data"]["title"]);
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&cut), keys(&whole), "in the same order");
        let EventData::Task(TaskEventData { omitted, .. }) = data else {
            panic!("of a task");
        };
        assert_eq!(omitted, None);
    }

    #[test]
    fn a_task_loses_its_longest_field_first() {
        let mut whole = long_task();
        let (omitted, length) = task(&mut whole, 400_000);
        assert_eq!((&omitted[..], length), (&[TaskField::Artifacts][..], encode(&whole).len()));
        let mut whole = long_task();
        let (omitted, length) = task(&mut whole, MAX);
        assert!(length <= MAX, "{length}");
        assert_eq!(
            omitted,
            [TaskField::Artifacts, TaskField::Description, TaskField::Tags, TaskField::Script]
        );
    }
}
