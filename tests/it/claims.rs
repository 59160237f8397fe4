//! Claims and leases over HTTP: who gets which task, for how long, and what the log tells of it.
//!
//! `kills.rs` is the test at full size, with a hub that is killed under its workers. How long a lease lasts is decided by a
//! clock that nobody can set, so what expires here lasts five seconds, the shortest time there is, and the tests wait for its
//! event.

mod kills;
mod leases;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Answer, Answered, Client, DEADLINE, Hub};

/// The header that names the lease of a report.
pub const LEASE: &str = "Taskhub-Lease";

pub async fn claim(client: &Client, body: Value) -> Answer {
    client.post("/api/tasks/claim", body).await
}

/// Claims and gets a task.
pub async fn claimed(client: &Client, body: Value) -> Value {
    let answer = claim(client, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// Claims and gets nothing.
pub async fn claims_in_vain(client: &Client, body: Value) {
    let answer = claim(client, body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
}

pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {value}"))
}

/// A report of a task's status under a lease.
pub async fn report(client: &Client, task: &str, lease: &str, status: &str) -> Answer {
    let request = client.request(Method::PUT, &format!("/api/tasks/status/{task}"));
    client.send(request.header(LEASE, lease).json(&json!({ "new_status": status }))).await
}

/// All that the log knows of a task.
pub async fn history(client: &Client, task: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/events?task_id={task}&since=earliest&limit=1000")).await;
    answer.body.as_array().expect("events").clone()
}

/// What became of a task's leases, in order.
pub fn phases(history: &[Value]) -> Vec<&str> {
    history.iter().filter_map(|event| event["data"]["lease_event"].as_str()).collect()
}

/// A claim that waits in the hub.
async fn waiting_claim(client: &Client, mut body: Value) -> JoinHandle<Answer> {
    body["wait_seconds"] = json!(15);
    let before = in_flight(&metrics(client).await);
    let (asking, own) = (client.clone(), client.clone());
    let waiting = tokio::spawn(async move { claim(&asking, body).await });
    client.wait_for_text("/metrics", |text| in_flight(text) > before).await;
    // It passes the same queue, so the other one has arrived when this one is answered.
    claims_in_vain(&own, json!({ "worker": "the last in the queue", "tag": "no such tag" })).await;
    waiting
}

async fn metrics(client: &Client) -> String {
    client.request(Method::GET, "/metrics").answered().await.text().await.expect("text")
}

/// How many requests the hub works on, this one included.
fn in_flight(metrics: &str) -> u32 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("taskhub_http_requests_in_flight "));
    line.expect("the gauge").parse().expect("a number")
}

async fn answered(waiting: JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(DEADLINE, waiting).await.expect("in time").expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_pressing_task_is_claimed_first_and_then_the_oldest() {
    let hub = Hub::start().await;
    let client = &hub.client;
    for (title, priority) in [
        ("5", Value::Null),
        ("4", json!("low")),
        ("1", json!("high")),
        ("3", json!("medium")),
        ("2", json!("high")),
    ] {
        client.create(json!({ "title": title, "priority": priority })).await;
    }
    let open = client.create(json!({ "title": "open", "status": "inprogress" })).await;
    client.create(json!({ "title": "is somebody's", "assignee": "ada", "priority": "high" })).await;
    client.create(json!({ "title": "waits", "blocked_by": [open], "priority": "high" })).await;

    let mut titles = Vec::new();
    for number in 0..5 {
        let worker = format!("worker {number}");
        let answer = claim(client, json!({ "worker": worker })).await;
        let task = &answer.body;
        assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, "\"2\""));
        assert_eq!((text(task, "/status"), text(task, "/assignee")), ("inprogress", worker.as_str()));
        assert_eq!((text(task, "/lease/worker"), &task["lease"]["number"]), (worker.as_str(), &json!(1)));
        assert_eq!(task["ready"], false);
        assert_eq!(*task, client.get(&format!("/api/tasks/{}", answer.id())).await.body);
        titles.push(text(task, "/title").to_owned());
    }
    assert_eq!(titles, ["1", "2", "3", "4", "5"]);
    claims_in_vain(client, json!({ "worker": "worker 5" })).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_told_by_the_tasks_new_state_and_by_its_lease() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let lease = claimed(&hub.client, json!({ "worker": "ada" })).await["lease"].clone();
    let history = history(&hub.client, &task).await;
    let words: Vec<_> = history.iter().map(|event| text(event, "/event")).collect();
    assert_eq!(words, ["task_created", "task_updated", "lease_event"]);
    assert_eq!(history[0]["data"]["ready"], true);
    let data = &history[1]["data"];
    assert_eq!(data["changed"], json!(["status", "assignee", "ready", "lease"]));
    assert_eq!((&data["lease"], &data["ready"], &data["reason"]), (&lease, &json!(false), &Value::Null));
    let data = &history[2]["data"];
    assert_eq!((text(data, "/lease_event"), &data["lease_id"]), ("claimed", &lease["id"]));
    assert_eq!((&data["number"], &data["worker"]), (&lease["number"], &lease["worker"]));
    assert_eq!(data["expires_at"], lease["expires_at"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_takes_only_what_it_asks_for() {
    let hub = Hub::start().await;
    let client = &hub.client;
    assert_eq!(client.post("/api/projects", json!({ "project": "web", "title": "Web" })).await.status, 201);
    client.create(json!({ "title": "urgent", "priority": "high", "tags": ["a"] })).await;
    client.create(json!({ "title": "of web", "project": "web", "priority": "low", "tags": ["b"] })).await;
    client.create(json!({ "title": "tagged", "priority": "low", "tags": ["a", "b"] })).await;

    claims_in_vain(client, json!({ "worker": "w", "project": "default", "tag": "c" })).await;
    claims_in_vain(client, json!({ "worker": "w", "project": "web", "priority": "high" })).await;
    for (worker, filter, title) in [
        ("1", json!({ "project": "web" }), "of web"),
        ("2", json!({ "tag": "b", "priority": "low", "project": "default" }), "tagged"),
        ("3", json!({ "priority": "high" }), "urgent"),
    ] {
        let mut body = filter;
        body["worker"] = json!(worker);
        assert_eq!(text(&claimed(client, body).await, "/title"), title);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_refused_that_asks_for_what_cannot_be() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "t" })).await;
    for (field, body) in [
        ("worker", json!({ "worker": "" })),
        ("worker", json!({ "worker": "two\nlines" })),
        ("lease_seconds", json!({ "worker": "w", "lease_seconds": 4 })),
        ("lease_seconds", json!({ "worker": "w", "lease_seconds": 3601 })),
        ("wait_seconds", json!({ "worker": "w", "wait_seconds": 61 })),
    ] {
        let refused = claim(&hub.client, body).await;
        assert_eq!((refused.status, text(&refused.body, "/field")), (StatusCode::BAD_REQUEST, field));
    }
    claimed(&hub.client, json!({ "worker": "w" })).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_claims_again_gets_its_task_again_unless_it_wants_another() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut tasks = Vec::new();
    for title in ["first", "second"] {
        tasks.push(client.create(json!({ "title": title })).await);
    }
    let first = claimed(client, json!({ "worker": "w" })).await;
    let again = claimed(client, json!({ "worker": "w", "lease_seconds": 3600 })).await;
    assert_eq!((text(&first, "/id"), text(&again, "/id")), (tasks[0].as_str(), tasks[0].as_str()));
    assert_eq!((&first["lease"]["id"], &first["version"]), (&again["lease"]["id"], &again["version"]));
    assert!(text(&again, "/lease/expires_at") > text(&first, "/lease/expires_at"), "it was renewed");
    assert_eq!(
        phases(&history(client, &tasks[0]).await),
        ["claimed"],
        "a claim that is repeated is no event"
    );

    let second = claimed(client, json!({ "worker": "w", "another": true })).await;
    assert_eq!(text(&second, "/id"), tasks[1]);
    let last = claimed(client, json!({ "worker": "w" })).await;
    assert_eq!(last["lease"]["id"], second["lease"]["id"], "of several the one that was claimed last");
    claims_in_vain(client, json!({ "worker": "w", "another": true })).await;
    claims_in_vain(client, json!({ "worker": "somebody else" })).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waits_is_woken_by_whatever_makes_a_task_fit() {
    let hub = Hub::start().await;
    let client = &hub.client;
    // A new task.
    let waiting = waiting_claim(client, json!({ "worker": "1" })).await;
    let new = client.create(json!({ "title": "new" })).await;
    assert_eq!(answered(waiting).await.id(), new);
    // The end of its last blocker.
    let mut blockers = Vec::new();
    for title in ["one", "two"] {
        blockers.push(client.create(json!({ "title": title, "status": "inprogress" })).await);
    }
    let blocked = client.create(json!({ "title": "blocked", "blocked_by": blockers })).await;
    let waiting = waiting_claim(client, json!({ "worker": "2" })).await;
    for blocker in &blockers {
        assert!(!waiting.is_finished());
        assert_eq!(client.set_status(blocker, "done").await.status, 200);
    }
    assert_eq!(answered(waiting).await.id(), blocked);
    // The deletion of its blocker.
    let blocker = client.create(json!({ "title": "blocker", "status": "review" })).await;
    let blocked = client.create(json!({ "title": "blocked", "blocked_by": [blocker] })).await;
    let waiting = waiting_claim(client, json!({ "worker": "3" })).await;
    let deleted = client.send(client.request(Method::DELETE, &format!("/api/tasks/{blocker}"))).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(answered(waiting).await.id(), blocked);
    // A ready task that becomes what the worker asks for.
    let ready = client.create(json!({ "title": "ready", "tags": ["cpu"] })).await;
    let waiting = waiting_claim(client, json!({ "worker": "4", "tag": "gpu" })).await;
    client.with_body(Method::PATCH, &format!("/api/tasks/{ready}"), json!({ "tags": ["gpu"] })).await;
    assert_eq!(answered(waiting).await.id(), ready);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_executed_is_left_out_until_the_execution_has_ended() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let task = client.create(json!({ "title": "t", "script": "sleep 60" })).await;
    assert_eq!(client.post(&format!("/api/exec/{task}"), json!({})).await.status, 200);
    assert_eq!(client.set_status(&task, "todo").await.body["ready"], true);
    claims_in_vain(client, json!({ "worker": "w" })).await;
    let waiting = waiting_claim(client, json!({ "worker": "w" })).await;
    let stop = client.request(Method::POST, &format!("/api/exec/{task}/stop"));
    assert_eq!(client.send(stop).await.status, 200);
    assert_eq!(answered(waiting).await.id(), task);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut waiting = Vec::new();
    for number in 0..4 {
        let tag = if number == 1 { json!("rare") } else { Value::Null };
        waiting
            .push(waiting_claim(client, json!({ "worker": format!("worker {number}"), "tag": tag })).await);
    }
    let mut order = Vec::new();
    for (title, tags) in [("a", json!([])), ("b", json!([])), ("c", json!(["rare"])), ("d", json!(["rare"]))]
    {
        let task = client.create(json!({ "title": title, "tags": tags })).await;
        let task = client.wait_for(&format!("/api/tasks/{task}"), |task| task["lease"] != Value::Null).await;
        order.push(text(&task, "/assignee").to_owned());
    }
    assert_eq!(order, ["worker 0", "worker 2", "worker 1", "worker 3"]);
    for claim in waiting {
        assert_eq!(answered(claim).await.status, StatusCode::OK);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_no_longer_than_it_wants_to_and_one_whose_caller_has_gone_takes_nothing() {
    let hub = Hub::start().await;
    let client = &hub.client;
    claims_in_vain(client, json!({ "worker": "in vain", "wait_seconds": 1 })).await;
    let gone = waiting_claim(client, json!({ "worker": "gone" })).await;
    gone.abort();
    // The hub has noticed when only the request for this number is left.
    client.wait_for_text("/metrics", |text| in_flight(text) == 1).await;
    client.create(json!({ "title": "t" })).await;
    let task = claimed(client, json!({ "worker": "here" })).await;
    assert_eq!(text(&task, "/assignee"), "here");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_wait_are_answered_when_the_hub_ends() {
    let hub = Hub::start().await;
    let mut waiting = Vec::new();
    for number in 0..8 {
        waiting.push(waiting_claim(&hub.client, json!({ "worker": format!("worker {number}") })).await);
    }
    let stopped = tokio::time::timeout(DEADLINE, hub.stop()).await.expect("it does not wait for them");
    for claim in waiting {
        let answer = answered(claim).await;
        let is_end = matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::SERVICE_UNAVAILABLE);
        assert!(is_end, "{answer:?}");
    }
    drop(stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_is_ready_of_which_project_and_by_key() {
    let hub = Hub::start().await;
    let client = &hub.client;
    assert_eq!(client.post("/api/projects", json!({ "project": "web", "title": "Web" })).await.status, 201);
    let blocker = client.create(json!({ "title": "blocker" })).await;
    client.create(json!({ "title": "waits", "blocked_by": [blocker] })).await;
    client.create(json!({ "title": "of web", "project": "web" })).await;
    client.create(json!({ "title": "review", "project": "web", "status": "review" })).await;
    for (query, titles) in [
        ("ready=true", &["blocker", "of web"] as &[_]),
        ("ready=false", &["waits", "review"]),
        ("project=web", &["of web", "review"]),
        ("project=web,default&ready=true", &["blocker", "of web"]),
        ("project=web&ready=true", &["of web"]),
        ("key=default-2,web-1", &["waits", "of web"]),
        ("key=default-2&ready=true", &[]),
        ("key=web-7", &[]),
    ] {
        let answer = client.get(&format!("/api/tasks?sort=created_at&{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let listed = answer.body.as_array().expect("a list");
        let found: Vec<_> = listed.iter().map(|task| text(task, "/title")).collect();
        assert_eq!(found, titles, "{query}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_start_waits_for_the_end_of_an_execution_that_is_live() {
    let hub = Hub::with(&["--executions-max", "1"]).await;
    let client = &hub.client;
    let busy = client.create(json!({ "title": "busy", "script": "sleep 30" })).await;
    let task = client.create(json!({ "title": "t", "script": "true" })).await;
    for id in [&busy, &task] {
        assert_eq!(client.post(&format!("/api/exec/{id}"), json!({})).await.status, StatusCode::OK);
    }
    let again = json!({ "status": "todo", "auto_start": true });
    let patched = client.with_body(Method::PATCH, &format!("/api/tasks/{task}"), again).await;
    assert_eq!((&patched.body["ready"], &patched.body["auto_start"]), (&json!(true), &json!(true)));
    for id in [&task, &busy] {
        assert_eq!(client.post(&format!("/api/exec/{id}/stop"), json!({})).await.status, StatusCode::OK);
    }
    client.wait_for(&format!("/api/tasks/{task}"), |task| task["status"] == "review").await;
    let executions = client.get(&format!("/api/executions?task_id={task}")).await.body;
    assert_eq!(executions.as_array().map(Vec::len), Some(2));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_start_queues_one_execution_when_the_task_is_ready() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut blockers = Vec::new();
    for title in ["one", "two"] {
        blockers.push(client.create(json!({ "title": title })).await);
    }
    let body = json!({ "title": "t", "script": "true", "auto_start": true, "blocked_by": blockers });
    let task = client.create(body).await;
    let (one, two) =
        tokio::join!(client.set_status(&blockers[0], "done"), client.set_status(&blockers[1], "done"));
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    client.wait_for(&format!("/api/tasks/{task}"), |task| task["status"] == "review").await;
    // Ready once more, and nothing starts: that was asked for once.
    assert_eq!(client.set_status(&task, "todo").await.body["ready"], true);

    let history = history(client, &task).await;
    let told: Vec<_> = history
        .iter()
        .map(|event| match text(event, "/event") {
            "execution_event" => text(event, "/data/execution_event"),
            _ => event["data"]["reason"].as_str().unwrap_or_else(|| text(event, "/event")),
        })
        .collect();
    let expected = ["task_created", "task_updated", "auto_started", "queued", "started", "completed"];
    assert_eq!(told[..expected.len()], expected);
    assert_eq!(history[1]["data"]["changed"], json!(["ready"]));
    assert_eq!(history[2]["data"]["auto_start"], false);
    let executions = client.get(&format!("/api/executions?task_id={task}")).await.body;
    assert_eq!(executions.as_array().map(Vec::len), Some(1));

    let at_once = client.create(json!({ "title": "ready", "script": "true", "auto_start": true })).await;
    client.wait_for(&format!("/api/tasks/{at_once}"), |task| task["status"] == "review").await;
    let refused = client.post("/api/tasks", json!({ "title": "nothing to run", "auto_start": true })).await;
    assert_eq!((refused.status, text(&refused.body, "/field")), (StatusCode::BAD_REQUEST, "auto_start"));
    hub.stop().await;
}
