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
async fn a_task_with_an_assignee_is_said_not_to_be_given_out() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let plan = json!({ "tasks": [{ "title": "t", "assignee": "ada" }, { "title": "u" }] });
    let created = agent.data("create_tasks", plan).await;
    let note = words(&created["tasks"][0], "note");
    assert!(note.contains("for ada: claim_task does not"), "{note}");
    assert!(created["tasks"][1].get("note").is_none(), "{created}");
    let key = created["tasks"][0]["key"].clone();
    let none = agent.data("claim_task", json!({ "worker": "ada", "task": key })).await;
    assert!(words(&none, "reason").contains("assigned to ada"), "{none}");
    // As the reason says.
    agent.data("update_task", json!({ "task": key, "assignee": "" })).await;
    let claimed = agent.data("claim_task", json!({ "worker": "ada", "task": key })).await;
    assert_eq!(claimed["key"], key);
    hub.stop().await;
}
