//! Batches: many changes in one request, all or none or each for itself, as JSON and as lines.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::claims::{claimed, text};
use crate::harness::{Answer, Client, Hub};
use crate::sse::{Stream, seq};

const NOBODY: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";

async fn batch(client: &Client, atomic: bool, operations: Value) -> Answer {
    client.post("/api/tasks/batch", json!({ "atomic": atomic, "operations": operations })).await
}

fn create(title: &str) -> Value {
    json!({ "action": "create", "task": { "title": title } })
}

async fn titles(client: &Client) -> Vec<String> {
    let list = client.get("/api/tasks?limit=500").await.body;
    let title = |task: &Value| task["title"].as_str().expect("a title").to_owned();
    list.as_array().expect("a list").iter().map(title).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_done_for_itself_in_order() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut stream = Stream::open(client, "").await;
    let (one, two) =
        (client.create(json!({ "title": "1" })).await, client.create(json!({ "title": "2" })).await);
    let operations = json!([
        create("3"),
        { "action": "update", "task_id": one, "patch": { "title": "one" }, "version": 1 },
        { "action": "update", "task_id": one, "patch": { "title": "uno" }, "version": 1 },
        { "action": "create", "task": { "title": " " } },
        { "action": "create" },
        { "action": "report", "task_id": one, "report": { "new_status": "done" } },
        { "action": "delete", "task_id": two },
        { "action": "delete", "task_id": two },
        { "action": "update", "task_id": NOBODY, "patch": { "blocked_by": [NOBODY] } },
        create("4"),
    ]);
    let answer = batch(client, false, operations).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let results = answer.body["results"].as_array().expect("a list");
    let statuses: Vec<_> =
        results.iter().map(|result| result["status"].as_u64().expect("a number")).collect();
    assert_eq!(statuses, [201, 200, 412, 400, 400, 200, 204, 404, 404, 201]);
    let field = |index: usize| results[index]["problem"]["field"].clone();
    assert_eq!((field(3), field(4)), (json!("task.title"), json!("task")));
    assert_eq!(titles(client).await, ["one", "3", "4"]);
    let mut told = Vec::new();
    for _ in 0..7 {
        let event = stream.next().await;
        told.push((seq(&event["id"]), event["event"].as_str().expect("a kind").to_owned()));
    }
    let kinds = ["created", "created", "created", "updated", "updated", "deleted", "created"];
    let expected: Vec<_> = (1..).zip(kinds.map(|kind| format!("task_{kind}"))).collect();
    assert_eq!(told, expected, "what was refused leaves no gap");
    assert_eq!(seq(&json!(answer.header("taskhub-cursor"))), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operation_did_before_it_was_refused_is_undone() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let one = client.create(json!({ "title": "1" })).await;
    let held = claimed(client, json!({ "worker": "w" })).await;
    let lease = text(&held, "/lease/id");
    let operations = json!([
        // Draws the number of its key before it looks at what it waits for.
        { "action": "create", "task": { "title": "2", "blocked_by": [NOBODY] } },
        // Ends the lease before that.
        { "action": "update", "task_id": one, "patch": { "status": "todo", "blocked_by": [NOBODY] } },
        create("3"),
    ]);
    let answer = batch(client, false, operations).await;
    let results = answer.body["results"].as_array().expect("a list");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [json!(400), json!(400), json!(201)], "{answer:?}");
    assert_eq!(results[2]["task"]["key"], "default-2", "no number is lost");
    assert_eq!(client.get(&format!("/api/tasks/{one}")).await.body, held);
    let lease = client.get(&format!("/api/leases/{lease}")).await;
    assert_eq!(lease.status, StatusCode::OK, "the worker has the task: {lease:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_none_names_the_operation_that_was_refused() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let one = client.create(json!({ "title": "1" })).await;
    let other = client.create(json!({ "title": "other" })).await;
    for (wrong, status, field) in [
        (json!({ "action": "delete", "task_id": NOBODY }), StatusCode::NOT_FOUND, "operations[2]"),
        (
            json!({ "action": "create", "task": { "title": "" } }),
            StatusCode::BAD_REQUEST,
            "operations[2].task.title",
        ),
        (
            json!({ "action": "update", "task_id": other, "patch": { "blocked_by": [other] } }),
            StatusCode::CONFLICT,
            "operations[2].blocked_by",
        ),
    ] {
        let operations = json!([create("2"), { "action": "delete", "task_id": one }, wrong, create("3")]);
        let refused = batch(client, true, operations).await;
        assert_eq!((refused.status, &refused.body["field"]), (status, &json!(field)), "{refused:?}");
        assert_eq!(titles(client).await, ["1", "other"]);
    }
    let status = client.get("/api/events/status").await.body;
    assert_eq!(seq(&status["head"]), 2, "nothing was told");
    let done = batch(client, true, json!([create("2"), { "action": "delete", "task_id": one }])).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(titles(client).await, ["other", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_repeated_with_its_key_is_done_once() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let send = |atomic: bool, operations: Value| {
        let body = json!({ "atomic": atomic, "operations": operations });
        let request = client.request(Method::POST, "/api/tasks/batch").header("idempotency-key", "import");
        client.send(request.json(&body))
    };
    let first = send(true, json!([create("1"), create("2")])).await;
    let second = send(true, json!([create("1"), create("2")])).await;
    assert_eq!((first.status, &first.body), (StatusCode::OK, &second.body));
    assert_eq!(titles(client).await, ["1", "2"]);
    let other = send(true, json!([create("3")])).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let each = send(false, json!([create("3")])).await;
    assert_eq!((each.status, &each.body["field"]), (StatusCode::BAD_REQUEST, &json!("Idempotency-Key")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_in_and_come_out() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let send = |path: &str, lines: String| {
        let request = client.request(Method::POST, path).header("content-type", "application/x-ndjson");
        client.send(request.body(lines))
    };
    let lines = format!("{}\r\n\n{{\"action\":\n{}", create("1"), create("2"));
    let answer = send("/api/tasks/batch", lines.clone()).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let results = std::str::from_utf8(&answer.bytes).expect("UTF-8").lines().map(serde_json::from_str);
    let results: Vec<Value> = results.collect::<Result<_, _>>().expect("JSON");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [json!(201), json!(400), json!(201)]);
    let refused = send("/api/tasks/batch?atomic=true", lines).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_json")));
    assert_eq!(titles(client).await, ["1", "2"]);
    let elsewhere = send("/api/tasks", create("3").to_string()).await;
    assert_eq!(elsewhere.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "only a batch takes lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_1_to_1000_operations() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let many = |count: usize| Value::Array((0..count).map(|n| create(&n.to_string())).collect());
    for count in [0, 1001] {
        let refused = batch(client, false, many(count)).await;
        assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!("operations")));
    }
    let answer = batch(client, true, many(1000)).await;
    assert_eq!(answer.body["results"].as_array().map(Vec::len), Some(1000), "{}", answer.status);
    assert_eq!(seq(&json!(answer.header("taskhub-cursor"))), 1000);
}
