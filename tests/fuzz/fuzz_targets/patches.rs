//! Any bytes, as a JSON Merge Patch of a task: what is taken does what RFC 7396 says, field by field, and no more.
//! `tests/fuzz/run patches -max_total_time=3600`
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use taskhub::domain::clock::Timestamp;
use taskhub::domain::task::{Task, TaskDraft, TaskPatch};

static TASK: LazyLock<Task> = LazyLock::new(|| {
    let new: TaskDraft = serde_json::from_value(json!({
        "title": "t", "description": "d", "priority": "low", "assignee": "ada", "tags": ["a", "b"],
        "artifacts": ["x"], "script": "true",
    }))
    .expect("a task");
    let id = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e".parse().expect("an id");
    Task::create(id, 1, new, Timestamp::from_ms(1)).expect("valid")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(patch) = serde_json::from_slice::<TaskPatch>(bytes) else {
        return;
    };
    let Ok(edited) = TASK.edited(patch.clone()) else {
        return;
    };
    let outcome = TASK.succeeded_by(edited, Timestamp::from_ms(2));
    // serde takes an array for an object; the hub refuses one before it comes here.
    let Ok(Value::Object(asked)) = serde_json::from_slice(bytes) else {
        return;
    };
    let before = json!(*TASK);
    let Some((next, changed)) = outcome else {
        return;
    };
    let after = json!(next);
    assert_eq!(next.version, TASK.version + 1);
    assert!(!changed.is_empty());
    for (name, value) in after.as_object().expect("an object") {
        let is_changed = changed.iter().any(|field| field.word() == name);
        match asked.get(name) {
            _ if ["version", "updated_at"].contains(&name.as_str()) => continue,
            // Null clears; what is empty by itself stands in for it.
            Some(Value::Null) => {
                assert!([json!(null), json!(""), json!([])].contains(value), "{name}: {value}")
            }
            // Repetitions are dropped.
            Some(Value::Array(list)) => {
                assert!(value.as_array().expect("a list").iter().all(|it| list.contains(it)))
            }
            Some(given) => assert_eq!(given, value, "{name}"),
            None => assert_eq!(&before[name], value, "{name}"),
        }
        assert_eq!(is_changed, before[name] != *value, "{name} is named as changed exactly when it differs");
    }
    assert!(
        next.succeeded_by(next.edited(patch).expect("as valid as before"), Timestamp::from_ms(3)).is_none(),
        "twice is once"
    );
});
