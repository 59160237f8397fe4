//! The classic profile: its tools speak of each other, and take keys where the first system took ids.

use serde_json::{Value, json};

use crate::harness::Hub;

use super::Agent;

#[tokio::test(flavor = "multi_thread")]
async fn its_tools_take_keys_and_name_each_other() {
    let hub = Hub::tuned(&["--mcp-profile", "classic"], |_| {}).await;
    let agent = Agent::of(&hub.client).await;
    let tools = agent.tools().await;
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 15);
    let help: Value = serde_json::from_str(&agent.text("get_help_help__get", json!({})).await).expect("JSON");
    let listed: Vec<_> = help["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|it| it["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(listed, names);
    for name in &names {
        let described =
            agent.text("get_tool_help_help_tools__tool_name__get", json!({ "tool_name": name })).await;
        let described: Value = serde_json::from_str(&described).expect("JSON");
        assert_eq!(described["name"], *name);
        assert_eq!(described["arguments"]["type"], "object");
    }
    let unknown = json!({ "tool_name": "claim_task" });
    agent.refused_by("invalid_field", "get_tool_help_help_tools__tool_name__get", unknown).await;

    agent.text("create_task_tasks_create_post", json!({ "title": "t", "content": "c" })).await;
    for name in ["default-1", "DEFAULT-1"] {
        let task = agent.text("get_task_details_tasks_file__task_id__get", json!({ "task_id": name })).await;
        assert!(task.contains("\"content\":\"c\""), "{task}");
    }
    let run = json!({ "task_id": "default-1", "script_content": "echo words" });
    agent.text("execute_exec__task_id__post", run).await;
    let at = json!({ "task_id": "default-1" });
    let status = async || agent.text("exec_status_exec_status__task_id__get", at.clone()).await;
    for _ in 0..500 {
        if status().await.contains("\"completed\"") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let log = agent.text("get_logs_exec_logs__task_id__get", at.clone()).await;
    assert!(log.contains("words"), "{log}");
    for (tool, arguments, code, next) in [
        (
            "exec_status_exec_status__task_id__get",
            json!({ "task_id": "default-9" }),
            "task_not_found",
            "list_tasks_tasks__get",
        ),
        ("stop_exec_exec_stop__task_id__post", at, "execution_ended", "get_logs_exec_logs__task_id__get"),
        ("get_logs_exec_logs__task_id__get", json!({}), "invalid_field", "pass task_id"),
        ("sync_files_tasks_sync_post", json!({}), "no_mirror", "create_task_tasks_create_post"),
    ] {
        let refused = agent.refused_by(code, tool, arguments).await;
        assert!(refused["next"].as_str().is_some_and(|it| it.contains(next)), "{refused}");
    }
    hub.stop().await;
}

/// Some clients send null for what they leave out.
#[tokio::test(flavor = "multi_thread")]
async fn null_is_no_value() {
    let hub = Hub::tuned(&["--mcp-profile", "classic"], |_| {}).await;
    let agent = Agent::of(&hub.client).await;
    let nulls = json!({ "title": "t", "content": null, "assignee": null, "priority": null });
    agent.text("create_task_tasks_create_post", nulls).await;
    let task = hub.client.get("/api/tasks?key=default-1").await.body[0].clone();
    assert_eq!((&task["assignee"], &task["description"]), (&Value::Null, &json!("")), "{task}");
    let run = json!({ "task_id": "default-1", "script_content": null });
    agent.refused_by("nothing_to_run", "execute_exec__task_id__post", run).await;
    let missing = json!({ "task_id": null });
    agent.refused_by("invalid_field", "exec_status_exec_status__task_id__get", missing).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_keeps_its_ends() {
    let hub = Hub::tuned(&["--mcp-profile", "classic"], |_| {}).await;
    let agent = Agent::of(&hub.client).await;
    let content = format!("first {} last", "word ".repeat(20_000));
    hub.client.post("/api/tasks", json!({ "title": "t", "description": content })).await;
    let task =
        agent.text("get_task_details_tasks_file__task_id__get", json!({ "task_id": "default-1" })).await;
    assert!(task.len() < 50_000 && task.contains("bytes are left out here"), "{}", task.len());
    assert!(task.ends_with('}'), "the end is there");
    hub.stop().await;
}
