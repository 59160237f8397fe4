//! What `claim_task` answers: the task with what there is to know of it, the same task again, or why there is none.

use serde_json::{Value, json};

use crate::harness::Hub;

use super::Agent;

fn words<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().expect("words")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_given_again_says_so_and_since_when() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    hub.client.post("/api/projects", json!({ "project": "shop" })).await;
    let key = agent.create(json!({ "title": "t", "tags": ["a"] })).await;
    agent.create(json!({ "title": "u", "project": "shop", "tags": ["b"] })).await;
    let first = agent.data("claim_task", json!({ "worker": "ada", "tag": "a" })).await;
    assert_eq!((&first["key"], first.get("again"), first.get("reason")), (&json!(key), None, None));
    for (filter, said) in [
        (json!({}), "under a name of your own"),
        (json!({ "tag": "a", "project": "default" }), "under a name of your own"),
        (json!({ "project": "shop" }), "is not of project shop; finish it first, or pass another: true"),
        (json!({ "tag": "b" }), "has no tag b; finish"),
        (json!({ "tag": "b", "project": "shop" }), "is not of project shop and has no tag b"),
    ] {
        let mut wish = filter.clone();
        wish["worker"] = json!("ada");
        let again = agent.data("claim_task", wish).await;
        assert_eq!((&again["key"], &again["again"]), (&json!(key), &json!(true)), "{filter}");
        let reason = words(&again, "reason");
        assert!(reason.starts_with("ada has it already since 20") && reason.contains(said), "{reason}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_says_what_there_is_to_know_of_its_task() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let plain = agent.create(json!({ "title": "plain" })).await;
    let claimed = agent.data("claim_task", json!({ "worker": "ada" })).await;
    assert_eq!((&claimed["key"], &claimed["attempts"]), (&json!(plain), &json!(0)));
    for absent in ["priority", "has_script", "comments", "questions", "again"] {
        assert!(claimed.get(absent).is_none(), "{absent}: {claimed}");
    }
    let rich = agent.create(json!({ "title": "rich", "priority": "high", "script": "true" })).await;
    for number in 0..2 {
        agent.data("comment", json!({ "task": rich, "text": number.to_string() })).await;
    }
    agent.data("ask_person", json!({ "task": rich, "text": "Why?", "wait_seconds": 0 })).await;
    let claimed = agent.data("claim_task", json!({ "worker": "bob" })).await;
    for (field, value) in [
        ("priority", json!("high")),
        ("has_script", json!(true)),
        ("comments", json!(2)),
        ("questions", json!(1)),
        ("attempts", json!(0)),
        ("attempts_max", json!(3)),
    ] {
        assert_eq!(claimed[field], value, "{field}: {claimed}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_an_assignee_is_given_only_to_that_worker_and_by_name() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let plan = json!({ "tasks": [
        { "title": "t", "name": "t", "assignee": "ada", "priority": "high", "tags": ["a"] },
        { "title": "u" }, { "title": "v", "assignee": "ada", "blocked_by": ["t"] },
    ] });
    let created = agent.data("create_tasks", plan).await;
    let key = |place: usize| created["tasks"][place]["key"].as_str().expect("a key");
    let note = words(&created["tasks"][0], "note");
    assert_eq!(note, format!("only worker ada may claim it, with task {}", key(0)));
    assert!(created["tasks"][1].get("note").is_none(), "{created}");
    let claim = |worker: &str, task: &str| json!({ "worker": worker, "task": task });

    let none = agent.data("claim_task", claim("bob", key(0))).await;
    assert!(words(&none, "reason").contains("assigned to ada, and only a worker of that name"), "{none}");
    let none = agent.data("claim_task", claim("ada", key(2))).await;
    assert!(words(&none, "reason").contains(&format!("it waits for {}", key(0))), "{none}");
    let mut misfit = claim("ada", key(0));
    misfit["tag"] = json!("b");
    assert!(agent.data("claim_task", misfit).await.get("lease").is_none());
    // Without its name it is not given out, though it is more pressing.
    let any = agent.data("claim_task", json!({ "worker": "ada" })).await;
    assert_eq!(any["key"], key(1));
    let mut fit = claim("ada", key(0));
    fit["tag"] = json!("a");
    let own = agent.data("claim_task", fit).await;
    assert_eq!((&own["key"], own.get("again")), (&json!(key(0)), None));
    let report = json!({ "lease": own["lease"], "summary": "s", "proof": "p" });
    assert_eq!(agent.data("complete_task", report).await["status"], "done");
    assert_eq!(agent.data("claim_task", claim("ada", key(2))).await["key"], key(2));
    // As the reason says.
    let other = agent.create(json!({ "title": "w", "assignee": "ada" })).await;
    agent.data("update_task", json!({ "task": other, "assignee": "" })).await;
    assert_eq!(agent.data("claim_task", claim("bob", &other)).await["key"], json!(other));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assigned_task_that_is_executed_is_not_given_out() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t", "assignee": "ada", "script": "sleep 60" })).await;
    let id = hub.client.get(&format!("/api/tasks?key={key}")).await.body[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    agent.data("run_task", json!({ "task": key, "wait_seconds": 0 })).await;
    hub.client.set_status(&id, "todo").await;
    let none = agent.data("claim_task", json!({ "worker": "ada", "task": key })).await;
    assert!(none.get("lease").is_none() && words(&none, "reason").contains("execution"), "{none}");
    agent.data("run_task", json!({ "task": key, "stop": true })).await;
    hub.stop().await;
}
