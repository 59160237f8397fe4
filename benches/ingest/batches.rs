//! The operations of a batch: reports and patches by turns, each for a task of its own.

use serde_json::{Value, json};

/// Two batches for these tasks. Each undoes what the other one does, so by turns every operation changes something.
pub fn both(tasks: &[String]) -> [Vec<Value>; 2] {
    [("inprogress", "high"), ("todo", "low")].map(|(status, priority)| {
        let operations = tasks.iter().enumerate().map(|(number, task)| match number % 2 {
            0 => json!({"action": "report", "task_id": task, "report": {"new_status": status}}),
            _ => json!({"action": "update", "task_id": task, "patch": {"priority": priority}}),
        });
        operations.collect()
    })
}
