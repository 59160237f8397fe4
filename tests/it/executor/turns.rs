//! Turns: who waits for a slot, and who goes first.

use super::*;

#[test]
fn executions_wait_for_a_slot_in_the_order_they_came() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { executions_max: Some(1), ..config() });
    let tasks = [hub.run("sleep 0.3"), hub.run("true"), hub.run("true")];
    hub.reaches(tasks[0], Running);
    assert_eq!(hub.execution(tasks[2]).status, Queued);
    hub.stop_task(tasks[2]);
    assert_eq!(hub.ends(tasks[1]).0, Completed);
    assert_eq!(hub.ends(tasks[2]), (Stopped, None, "stopped before it started".into()));
    let [first, second, _] = tasks.map(|task| hub.execution(task));
    assert!(second.started_at >= first.ended_at);
}

#[test]
fn what_matters_more_does_not_wait_for_what_came_before_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { executions_max: Some(1), ..config() });
    let blocker = hub.run("sleep 1000");
    hub.reaches(blocker, Running);
    let tasks = ["low", "medium", "high", "high"].map(|priority| {
        hub.execute(serde_json::json!({ "title": "t", "script": "true", "priority": priority }), "{}")
    });
    let none = hub.run("true");
    hub.stop_task(blocker);
    let [low, medium, high, other] = tasks;
    let order = [high, other, medium, low, none].map(|task| {
        assert_eq!(hub.ends(task).0, Completed);
        hub.execution(task)
    });
    assert!(order.windows(2).all(|pair| pair[0].ended_at <= pair[1].started_at), "{order:#?}");
}
