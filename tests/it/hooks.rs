//! Sessions of Claude Code, as its hooks post them: each is a task, and no answer says anything that the agent would heed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub};

const PATH: &str = "/api/hooks/claude-code";

/// An event as Claude Code sends it.
fn told(session: &str, event: &str, more: Value) -> Value {
    let mut input = json!({
        "session_id": session, "hook_event_name": event, "cwd": "/home/ada/web", "permission_mode": "default",
        "transcript_path": format!("/home/ada/.claude/projects/web/{session}.jsonl"),
    });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    input
}

async fn tell(client: &Client, session: &str, event: &str, more: Value) {
    let answer = client.post(PATH, told(session, event, more)).await;
    assert_eq!((answer.status, answer.bytes.len()), (StatusCode::NO_CONTENT, 0), "{event}: {answer:?}");
}

async fn tasks(client: &Client) -> Vec<Value> {
    client.get("/api/tasks?tag=session").await.body.as_array().expect("tasks").clone()
}

async fn only_task(client: &Client) -> Value {
    let found = tasks(client).await;
    let [task] = found.as_slice() else { panic!("{found:?}") };
    task.clone()
}

async fn head(client: &Client) -> Value {
    client.get("/api/events/status").await.body["head"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_a_task_from_its_start_to_its_end() {
    let hub = Hub::start().await;
    let client = &hub.client;
    tell(client, "s-1", "SessionStart", json!({ "source": "startup" })).await;
    let task = only_task(client).await;
    let seen = (&task["project"], &task["title"], &task["status"], &task["assignee"], &task["tags"]);
    let expected =
        (&json!("claude-code"), &json!("web"), &json!("todo"), &json!("claude"), &json!(["session"]));
    assert_eq!(seen, expected);
    assert_eq!(task["ready"], false, "nobody else may claim it");

    for (event, more, status) in [
        ("UserPromptSubmit", json!({ "prompt": "Mend the test\nIt fails since May" }), "inprogress"),
        ("Stop", json!({ "stop_hook_active": false }), "review"),
        ("UserPromptSubmit", json!({ "prompt": "Another thing" }), "inprogress"),
        ("Notification", json!({ "message": "Claude needs your permission to use Bash" }), "review"),
        ("PostToolUse", json!({ "tool_name": "Bash" }), "inprogress"),
        ("SessionEnd", json!({ "reason": "other" }), "done"),
        ("PostToolUse", json!({ "tool_name": "Bash" }), "done"),
        // It is taken up again.
        ("SessionStart", json!({ "source": "resume" }), "done"),
        ("UserPromptSubmit", json!({ "prompt": "One more" }), "inprogress"),
    ] {
        tell(client, "s-1", event, more).await;
        let now = only_task(client).await;
        assert_eq!((&now["id"], &now["status"]), (&task["id"], &json!(status)), "{event}");
        assert_eq!(now["title"], "Mend the test", "the first prompt gives the title");
    }
    let path = format!("/api/tasks/{}/comments", task["id"].as_str().expect("an id"));
    let comments = client.get(&path).await.body;
    assert_eq!(comments.as_array().map(Vec::len), Some(1));
    let seen = (&comments[0]["author"], &comments[0]["text"]);
    assert_eq!(seen, (&json!("claude"), &json!("Claude needs your permission to use Bash")));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_nothing_for_a_task_writes_nothing() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let before = head(client).await;
    let events = [
        "PreToolUse",
        "PostToolUse",
        "SubagentStop",
        "PreCompact",
        "PermissionRequest",
        "Dreamed",
        "SessionEnd",
    ];
    for event in events {
        tell(client, "s-1", event, json!({ "tool_name": "Bash", "tool_input": { "command": "ls" } })).await;
    }
    assert_eq!(head(client).await, before, "nothing is known of the session");
    tell(client, "s-1", "UserPromptSubmit", json!({ "prompt": "p" })).await;
    let (task, before) = (only_task(client).await, head(client).await);
    for event in &events[..6] {
        let more =
            json!({ "tool_response": { "stdout": "x".repeat(100_000) }, "agent_id": 7, "new": [null] });
        tell(client, "s-1", event, more).await;
    }
    tell(client, "s-1", "UserPromptSubmit", json!({ "prompt": "again" })).await;
    assert_eq!((only_task(client).await, head(client).await), (task, before));
    // A message that no comment can hold says nothing.
    tell(client, "s-1", "Notification", json!({ "message": " " })).await;
    assert_eq!(only_task(client).await["status"], "review");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_again_by_its_id_alone() {
    let hub = Hub::start().await;
    for session in ["s-1", "s-2"] {
        tell(&hub.client, session, "UserPromptSubmit", json!({ "prompt": session })).await;
    }
    let hub = hub.restart().await;
    let client = &hub.client;
    tell(client, "s-1", "Stop", json!({ "cwd": "/elsewhere" })).await;
    let found = tasks(client).await;
    let seen: Vec<_> = found.iter().map(|task| (&task["title"], &task["status"])).collect();
    assert_eq!(seen, [(&json!("s-1"), &json!("review")), (&json!("s-2"), &json!("inprogress"))]);
    let projects = client.get("/api/projects").await.body;
    let names: Vec<_> = projects.as_array().expect("a list").iter().map(|it| &it["project"]).collect();
    assert_eq!(names, ["claude-code", "default"]);

    // One whose task was deleted gets another.
    let path = format!("/api/tasks/{}", found[0]["id"].as_str().expect("an id"));
    assert_eq!(client.send(client.request(Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    tell(client, "s-1", "UserPromptSubmit", json!({ "prompt": "anew" })).await;
    let titles: Vec<_> = tasks(client).await.iter().map(|task| task["title"].clone()).collect();
    assert_eq!(titles, ["s-2", "anew"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_go_to_a_project_that_is_there() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let path = format!("{PATH}?project=shop");
    let refused = client.post(&path, told("s-1", "SessionStart", json!({}))).await;
    assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!("project")));
    client.post("/api/projects", json!({ "project": "shop" })).await;
    for path in [path.as_str(), PATH] {
        let answer = client.post(path, told("s-1", "UserPromptSubmit", json!({ "prompt": "p" }))).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let keys: Vec<_> = tasks(client).await.iter().map(|task| task["key"].clone()).collect();
    assert_eq!(keys, ["shop-1", "claude-code-1"], "the same id in another project is another session");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_of_a_session_is_refused() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let before = head(client).await;
    for (body, field) in [
        (json!({ "hook_event_name": "Stop" }), "session_id"),
        (json!({ "session_id": "", "hook_event_name": "Stop" }), "session_id"),
        (json!({ "session_id": "s".repeat(201), "hook_event_name": "Stop" }), "session_id"),
        (json!({ "session_id": "s" }), "hook_event_name"),
        (json!({ "session_id": "s", "hook_event_name": 7 }), "hook_event_name"),
    ] {
        let refused = client.post(PATH, body).await;
        assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!(field)));
    }
    assert_eq!(head(client).await, before);
    hub.stop().await;
}
