//! Logs, read: each execution's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Hub};

/// Starts a script as a task of its own; answers the task and the execution.
async fn run(client: &Client, script: &str) -> (String, Value) {
    let task = client.create(json!({ "title": "a test", "script": script })).await;
    let started = client.post(&format!("/api/exec/{task}"), json!({})).await;
    assert_eq!(started.status, 200, "{started:?}");
    (task, started.body)
}

async fn has_ended(client: &Client, task: &str) {
    let ended = |it: &Value| it["status"] != "running" && it["status"] != "queued";
    client.wait_for(&format!("/api/exec/{task}"), ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_each_execution_of_a_task_can_be_had() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, first) = run(client, "echo first").await;
    has_ended(client, &task).await;
    let second = client.post(&format!("/api/exec/{task}"), json!({ "script_content": "echo second" })).await;
    assert_eq!(second.status, 200);
    has_ended(client, &task).await;
    let (other, stranger) = run(client, "true").await;
    has_ended(client, &other).await;
    // The logs of a task outlive it.
    client.send(client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;

    let id = |execution: &Value| execution["id"].as_str().expect("an id").to_owned();
    let named = format!("?execution_id={}", id(&first));
    for (query, expected) in [(named.as_str(), "first\n"), ("", "second\n")] {
        let page = client.get(&format!("/api/exec/{task}/logs{query}")).await;
        assert_eq!(page.body["text"], expected);
        let raw = client.request(Method::GET, &format!("/api/exec/{task}/logs/raw{query}"));
        assert_eq!(raw.send().await.expect("an answer").text().await.expect("text"), expected);
    }
    for wrong in [id(&stranger), task.clone()] {
        for place in ["logs", "logs/raw"] {
            let answer = client.get(&format!("/api/exec/{task}/{place}?execution_id={wrong}")).await;
            assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("execution_not_found")));
        }
    }
}
