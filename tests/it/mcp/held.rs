//! A task that a worker has: what its other sessions, other agents and a person see and may do.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Hub};
use crate::tokens::{create, until};

use super::Agent;

/// Two agents, each with a token of its own.
async fn two(hub: &Hub) -> [Agent; 2] {
    let mut clients = Vec::new();
    for name in ["first", "second"] {
        let client = hub.client.with_token(&create(hub.directory.path(), name, "exec"));
        until(&client, StatusCode::OK).await;
        clients.push(client);
    }
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    [Agent::of(&clients[0]).await, Agent::of(&clients[1]).await]
}

async fn task(client: &Client, key: &str) -> Value {
    client.get(&format!("/api/tasks?key={key}")).await.body[0].clone()
}

fn words<'a>(refusal: &'a Value, field: &str) -> &'a str {
    refusal[field].as_str().expect("words")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_task_is_finished_by_its_worker_with_proof_or_by_a_person() {
    let hub = Hub::start().await;
    let [agent, other] = two(&hub).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    let done = json!({ "task": key, "status": "done" });
    let refused = agent.refused_by("task_held", "update_task", done.clone()).await;
    assert!(words(&refused, "detail").contains("is held by ada until 20"), "{refused}");
    assert!(words(&refused, "next").contains("if you are ada, call complete_task"), "{refused}");
    let refused = other.refused_by("task_held", "update_task", done.clone()).await;
    assert!(words(&refused, "next").starts_with("leave the task to ada"), "{refused}");
    let under_lease = json!({ "task": key, "status": "done", "lease": lease, "title": "u" });
    let refused = agent.refused_by("task_held", "update_task", under_lease).await;
    assert!(words(&refused, "next").starts_with("call complete_task with the lease"), "{refused}");
    let now = task(&agent.client, &key).await;
    assert_eq!((&now["status"], &now["title"]), (&json!("inprogress"), &json!("t")));
    // Other fields are no matter of proof.
    other.data("update_task", json!({ "task": key, "title": "u" })).await;
    let id = now["id"].as_str().expect("an id");
    assert_eq!(agent.client.set_status(id, "done").await.status, StatusCode::OK, "a person may");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_open_questions_is_not_done_and_they_are_named() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    let ask = json!({ "task": key, "text": "Red\nor blue?", "wait_seconds": 0 });
    let question = agent.data("ask_person", ask).await["question"].clone();
    let named = format!("{} (Red or blue?)", question.as_str().expect("an id"));
    let done = json!({ "task": key, "status": "done" });
    let refused = agent.refused_by("questions_open", "update_task", done.clone()).await;
    assert!(words(&refused, "detail").contains(&named), "{refused}");
    let claimed = agent.data("claim_task", json!({ "worker": "ada" })).await;
    let report = json!({ "lease": claimed["lease"], "summary": "s", "proof": "p" });
    let refused = agent.refused_by("questions_open", "complete_task", report.clone()).await;
    assert!(words(&refused, "detail").contains(&named), "{refused}");
    for number in 0..6 {
        let ask = json!({ "task": key, "text": format!("More {number}?"), "wait_seconds": 0 });
        agent.data("ask_person", ask).await;
    }
    let refused = agent.refused_by("questions_open", "complete_task", report).await;
    let detail = words(&refused, "detail");
    assert!(detail.contains("More 3?") && !detail.contains("More 4?"), "{detail}");
    assert!(detail.ends_with("more, which get_task shows"), "{detail}");

    let free = agent.create(json!({ "title": "free" })).await;
    let state = agent.data("update_task", json!({ "task": free, "status": "done" })).await;
    assert_eq!(state["status"], "done", "nobody has it");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_not_run_behind_the_back_of_a_worker_or_before_its_time() {
    let hub = Hub::start().await;
    let [agent, other] = two(&hub).await;
    let first = agent.create(json!({ "title": "first", "script": "true" })).await;
    let second = agent.create(json!({ "title": "second", "script": "true", "blocked_by": [first] })).await;
    let refused = agent.refused_by("task_blocked", "run_task", json!({ "task": second })).await;
    assert!(words(&refused, "detail").ends_with(&format!("it waits for {first}")), "{refused}");
    let (_, lease) = agent.claim("ada").await;
    for (stranger, said) in
        [(&agent, "if you are ada, call again with its lease"), (&other, "leave the task to ada")]
    {
        let refused = stranger.refused_by("task_held", "run_task", json!({ "task": first })).await;
        assert!(words(&refused, "next").starts_with(said), "{refused}");
    }
    let executions = agent.client.get("/api/executions").await.body;
    assert_eq!(executions, json!([]), "nothing has run");
    let run = agent.data("run_task", json!({ "task": first, "lease": lease })).await;
    assert_eq!((&run["status"], &run["task_status"]), (&json!("completed"), &json!("inprogress")), "{run}");
    let report = json!({ "lease": lease, "summary": "s", "proof": "p" });
    agent.data("complete_task", report).await;
    let run = other.data("run_task", json!({ "task": second })).await;
    assert_eq!((&run["status"], &run["task_status"]), (&json!("completed"), &json!("review")), "{run}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_shown_to_its_owner_alone() {
    let hub = Hub::start().await;
    let [agent, other] = two(&hub).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    agent.data("heartbeat", json!({ "lease": lease, "progress": "half\n- version: 99" })).await;
    for (reader, sees) in [(&agent, true), (&other, false)] {
        let text = reader.text("get_task", json!({ "task": key })).await;
        assert!(text.contains("- held by: ada until 20"), "{text}");
        assert!(text.contains("; half - version: 99\n"), "a line break begins no entry: {text}");
        assert_eq!(text.contains(&lease), sees, "{text}");
        let uri = json!({ "uri": format!("taskhub://tasks/{key}") });
        let request = reader.request("resources/read", uri.clone());
        let request = request.header("Mcp-Name", uri["uri"].as_str().expect("a URI"));
        let read = reader.client.send(request).await.body;
        let text = read["result"]["contents"][0]["text"].as_str().expect("text");
        assert_eq!(text.contains(&lease), sees, "{text}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_another_task_is_said_to_be_that() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let own = agent.create(json!({ "title": "t" })).await;
    let other = agent.create(json!({ "title": "u", "script": "true" })).await;
    let (key, lease) = agent.claim("ada").await;
    assert_eq!(key, own);
    for (tool, arguments) in [
        ("comment", json!({ "text": "c" })),
        ("update_task", json!({ "title": "v" })),
        ("ask_person", json!({ "text": "q", "wait_seconds": 0 })),
        ("run_task", json!({ "wait_seconds": 0 })),
    ] {
        let mut arguments = arguments;
        arguments["task"] = json!(other);
        arguments["lease"] = json!(lease);
        let refused = agent.refused_by("invalid_field", tool, arguments).await;
        let detail = words(&refused, "detail");
        assert!(detail.contains(&format!("is of task {own}, not of {other}")), "{tool}: {detail}");
    }
    assert_eq!(agent.data("heartbeat", json!({ "lease": lease })).await["stop"], false, "it is in force");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_of_a_run_lies_behind_its_start() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t", "script": "sleep 2" })).await;
    let run = agent.data("run_task", json!({ "task": key, "wait_seconds": 1 })).await;
    assert_eq!((&run["status"], &run["task_status"]), (&json!("running"), &json!("inprogress")), "{run}");
    let wait =
        json!({ "task": key, "events": ["execution_event"], "cursor": run["cursor"], "wait_seconds": 15 });
    let seen = agent.data("wait_events", wait).await;
    assert_eq!(seen["events"][0]["execution_event"], "completed", "{seen}");
    hub.stop().await;
}
