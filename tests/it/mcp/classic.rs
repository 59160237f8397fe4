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
