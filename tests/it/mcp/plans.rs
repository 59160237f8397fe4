//! `create_tasks`: many tasks at once that name each other.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Hub;

use super::Agent;

async fn titles(agent: &Agent) -> Vec<String> {
    let found = agent.data("list_tasks", json!({ "limit": 50 })).await;
    let tasks = found["tasks"].as_array().expect("tasks");
    tasks.iter().rev().map(|task| task["title"].as_str().expect("a title").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_be_given_out_of_order() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let before = agent.create(json!({ "title": "before" })).await;
    let plan = json!({ "tasks": [
        { "title": "last", "name": "c", "blocked_by": ["a", "b"] },
        { "title": "second", "name": "b", "blocked_by": ["a", before.to_uppercase()] },
        { "title": "first", "name": "a" },
    ] });
    let created = agent.data("create_tasks", plan).await;
    let rows = created["tasks"].as_array().expect("tasks");
    let seen: Vec<_> =
        rows.iter().map(|row| (row["name"].as_str().expect("a name"), &row["ready"])).collect();
    assert_eq!(seen, [("c", &json!(false)), ("b", &json!(false)), ("a", &json!(true))], "as they were given");
    let key = |place: usize| rows[place]["key"].as_str().expect("a key").to_owned();

    let mut order = Vec::new();
    for _ in 0..4 {
        let (task, lease) = agent.claim("w").await;
        let report = json!({ "lease": lease, "summary": "Done", "proof": "Seen" });
        agent.data("complete_task", report).await;
        order.push(task);
    }
    assert_eq!(order, [before, key(2), key(1), key(0)]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_a_fault_creates_nothing() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let there = agent.create(json!({ "title": "there" })).await;
    let task =
        |name: &str, blocked_by: &[&str]| json!({ "title": name, "name": name, "blocked_by": blocked_by });
    for (tasks, code, words) in [
        (
            vec![task("a", &["b"]), task("b", &["c"]), task("c", &["a"]), task("d", &[])],
            "dependency_cycle",
            "a, b, c",
        ),
        (vec![task("a", &["a"])], "dependency_cycle", "a"),
        (vec![task("a", &[]), task("a", &[])], "invalid_field", "tasks[1].name"),
        (vec![task("a", &[]), task("b", &["nobody"])], "invalid_field", "tasks[1].blocked_by"),
        (
            vec![task("a", &[]), task("b", &["default-99"])],
            "task_not_found",
            "tasks[1].blocked_by: there is no task default-99",
        ),
        (vec![task("a", &[]), json!({ "title": " " })], "invalid_field", "tasks[1].title"),
        (
            vec![task("a", &[]), json!({ "title": "t", "project": "nowhere" })],
            "project_not_found",
            "tasks[1].project: there is no project nowhere",
        ),
    ] {
        let refused = agent.refused_by(code, "create_tasks", json!({ "tasks": tasks })).await;
        assert!(refused["detail"].as_str().is_some_and(|it| it.contains(words)), "{words}: {refused}");
    }
    let many: Vec<Value> = (0..101).map(|number| json!({ "title": number.to_string() })).collect();
    agent.refused_by("invalid_field", "create_tasks", json!({ "tasks": many })).await;
    assert_eq!(titles(&agent).await, ["there"], "all or none");
    // A name of the plan comes before a key.
    let plan = json!({ "tasks": [task(&there, &[]), { "title": "waits", "blocked_by": [there] }] });
    let created = agent.data("create_tasks", plan).await;
    let text = agent.text("get_task", json!({ "task": created["tasks"][1]["key"] })).await;
    let blocker = created["tasks"][0]["key"].as_str().expect("a key");
    assert!(text.contains(&format!("blocked by: {blocker} ")), "{text}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_creates_once() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let plan = |title: &str| json!({ "request_id": "p", "tasks": [{ "title": title, "name": "n" }, { "title": "u", "blocked_by": ["n"] }] });
    let created = agent.data("create_tasks", plan("t")).await;
    for _ in 0..2 {
        assert_eq!(agent.data("create_tasks", plan("t")).await, created);
    }
    agent.refused_by("idempotency_key_reused", "create_tasks", plan("other")).await;
    assert_eq!(titles(&agent).await, ["t", "u"]);
    let hub = hub.restart().await;
    assert_eq!(agent.at(&hub.client).data("create_tasks", plan("t")).await, created);
    hub.stop().await;
}

/// The first answer was lost, and the task that it named is gone since.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_plan_is_known_by_what_was_sent() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let there = agent.create(json!({ "title": "there" })).await;
    let plan = json!({ "request_id": "p", "tasks": [
        { "title": "last", "name": "b", "blocked_by": ["a", there] }, { "title": "first", "name": "a" },
    ] });
    let created = agent.data("create_tasks", plan.clone()).await;
    let id = hub.client.get(&format!("/api/tasks?key={there}")).await.body[0]["id"].clone();
    let path = format!("/api/tasks/{}", id.as_str().expect("an id"));
    hub.client.send(hub.client.request(Method::DELETE, &path)).await;
    let again = agent.data("create_tasks", plan).await;
    assert_eq!(again, created);
    assert_eq!(titles(&agent).await, ["first", "last"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_blockers_are_refused_before_they_are_looked_at() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let blocked_by = vec!["a"; 101];
    let plan = json!({ "tasks": [{ "title": "t", "name": "a", "blocked_by": blocked_by }] });
    // Its task waits for itself, which is found later.
    let refused = agent.refused_by("invalid_field", "create_tasks", plan).await;
    assert_eq!(refused["detail"], "tasks[0].blocked_by: has 101", "{refused}");
    hub.stop().await;
}
