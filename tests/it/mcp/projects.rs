//! Projects in the calls of agents: those that are not there, those that a token may not see, and the one that is meant.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub};
use crate::tokens::{command, create, until};

use super::Agent;

fn words<'a>(refusal: &'a Value, field: &str) -> &'a str {
    refusal[field].as_str().expect("words")
}

/// A client of a token that is bound to projects.
async fn bound(hub: &Hub, name: &str, projects: &[&str]) -> Client {
    let mut arguments = vec!["create", "--name", name, "--scope", "exec"];
    projects.iter().for_each(|project| arguments.extend(["--project", project]));
    let output = command(hub.directory.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let secret = String::from_utf8(output.stdout).expect("UTF-8");
    let client = hub.client.with_token(secret.trim_end());
    until(&client, StatusCode::OK).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_not_there_is_refused_with_those_that_are() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    for number in 1..=30 {
        hub.client.post("/api/projects", json!({ "project": format!("p{number:02}") })).await;
    }
    agent.create(json!({ "title": "t" })).await;
    for (tool, arguments) in [
        ("list_tasks", json!({ "project": "nowhere" })),
        ("claim_task", json!({ "project": "nowhere", "worker": "ada" })),
        ("wait_events", json!({ "project": "nowhere", "wait_seconds": 0 })),
        ("create_tasks", json!({ "tasks": [{ "title": "t" }, { "title": "t", "project": "nowhere" }] })),
    ] {
        let refused = agent.refused_by("project_not_found", tool, arguments).await;
        assert!(words(&refused, "detail").contains("there is no project nowhere"), "{refused}");
        let next = words(&refused, "next");
        assert!(next.contains("default, p01, ") && next.contains("p19 and 11 more"), "{tool}: {next}");
        assert!(!refused.to_string().contains("/api"), "{refused}");
    }
    // One that takes no new tasks is not among those to use.
    hub.client.with_body(Method::PATCH, "/api/projects/p01", json!({ "archived": true })).await;
    let plan = json!({ "tasks": [{ "title": "t", "project": "p01" }] });
    let refused = agent.refused_by("project_archived", "create_tasks", plan).await;
    assert!(words(&refused, "next").contains("default, p02, "), "{refused}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_project_need_not_name_it() {
    let hub = Hub::start().await;
    let owner = create(hub.directory.path(), "owner", "exec");
    let owner = hub.client.with_token(&owner);
    until(&owner, StatusCode::OK).await;
    let late = Agent::of(&bound(&hub, "late", &["later"]).await).await;
    let refused = late.refused("create_tasks", json!({ "tasks": [{ "title": "t" }] })).await;
    assert!(words(&refused, "next").contains("no project yet"), "{refused}");
    for project in ["web", "shop", "hidden"] {
        owner.post("/api/projects", json!({ "project": project })).await;
    }
    let one = Agent::of(&bound(&hub, "one", &["web"]).await).await;
    assert_eq!(one.create(json!({ "title": "t" })).await, "web-1");
    let two = Agent::of(&bound(&hub, "two", &["web", "shop"]).await).await;
    let refused =
        two.refused_by("invalid_field", "create_tasks", json!({ "tasks": [{ "title": "t" }] })).await;
    assert!(words(&refused, "detail").starts_with("tasks[0].project: is required"), "{refused}");
    assert_eq!(words(&refused, "next"), "use one of the projects shop, web");
    assert_eq!(two.create(json!({ "title": "t", "project": "shop" })).await, "shop-1");
    let refused = one.refused_by("project_not_found", "list_tasks", json!({ "project": "hidden" })).await;
    assert_eq!(words(&refused, "next"), "use one of the projects web, or leave project out");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_that_is_hidden_is_shown_by_its_id_while_it_blocks() {
    let hub = Hub::start().await;
    let owner = hub.client.with_token(&create(hub.directory.path(), "owner", "exec"));
    until(&owner, StatusCode::OK).await;
    for project in ["web", "hidden"] {
        owner.post("/api/projects", json!({ "project": project })).await;
    }
    let blocker = owner.create(json!({ "title": "secret", "project": "hidden" })).await;
    let draft = json!({ "title": "t", "project": "web", "blocked_by": [blocker], "script": "true" });
    let task = owner.create(draft).await;
    let agent = Agent::of(&bound(&hub, "one", &["web"]).await).await;
    let text = agent.text("get_task", json!({ "task": task })).await;
    assert!(text.contains(&format!("blocked by: {blocker} (you may not see it)")), "{text}");
    assert!(text.contains("why: it waits for what you may not see") && !text.contains("secret"), "{text}");
    let refused = agent.refused_by("task_blocked", "run_task", json!({ "task": task })).await;
    assert!(words(&refused, "detail").contains("what you may not see"), "{refused}");
    let shown = Agent::of(&owner).await.text("get_task", json!({ "task": task })).await;
    assert!(shown.contains("blocked by: hidden-1 (todo) secret"), "{shown}");
    owner.set_status(&blocker, "done").await;
    let text = agent.text("get_task", json!({ "task": task })).await;
    assert!(!text.contains(&blocker) && text.contains("it is ready"), "{text}");
    hub.stop().await;
}
