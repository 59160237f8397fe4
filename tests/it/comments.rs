//! Comments: what people say about a task, in order, on the stream, and gone with the task.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub, all_pages};
use crate::tokens::create;

/// The events about a task, as kinds and data.
pub async fn history(client: &Client, task: &str) -> Vec<(String, Value)> {
    let events = client.get(&format!("/api/events?task_id={task}&since=earliest")).await.body;
    let told = |event: &Value| (event["event"].as_str().expect("a kind").to_owned(), event["data"].clone());
    events.as_array().expect("events").iter().map(told).collect()
}

/// Sends a body with an idempotency key.
pub async fn post_once(client: &Client, path: &str, key: &str, body: &Value) -> crate::harness::Answer {
    client.send(client.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_kept_streamed_and_listed_in_order() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t", "tags": ["red"] })).await;
    let path = format!("/api/tasks/{task}/comments");
    let first = hub.client.post(&path, json!({ "text": "one\n*two*", "author": "Ada" })).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert_eq!((&first.body["author"], &first.body["text"]), (&json!("Ada"), &json!("one\n*two*")));
    assert_eq!(first.header("location"), path);
    for number in 0..6 {
        hub.client.post(&path, json!({ "text": format!("{number}") })).await;
    }
    let hub = hub.restart().await;
    let listed = all_pages(&hub.client, format!("{path}?limit=3")).await;
    let texts: Vec<_> = listed.iter().map(|it| it["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["one\n*two*", "0", "1", "2", "3", "4", "5"]);
    assert_eq!(listed[0], first.body);
    assert_eq!(listed[1]["author"], Value::Null);

    let told = history(&hub.client, &task).await;
    assert_eq!(told.len(), 8);
    let expected = json!({
        "task_id": task, "comment_id": first.body["id"], "author": "Ada", "text": "one\n*two*", "actor": null,
    });
    assert_eq!(told[1], ("comment_added".to_owned(), expected));
    assert_eq!(hub.client.get(&format!("/api/tasks/{task}")).await.body["version"], 1);
    // A filter on the task finds what is said about it.
    let red = hub.client.get("/api/events?since=earliest&tag=red&events=comment_added").await.body;
    assert_eq!(red.as_array().map(Vec::len), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_comment_is_refused() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{task}/comments");
    for (body, field) in [
        (json!({}), "text"),
        (json!({ "text": " \n" }), "text"),
        (json!({ "text": "é".repeat(16_385) }), "text"),
        (json!({ "text": "t", "author": "a,b" }), "author"),
        (json!({ "text": "t", "author": "a\u{2028}b" }), "author"),
    ] {
        let answer = hub.client.post(&path, body).await;
        assert_eq!(
            (answer.status, &answer.body["field"]),
            (StatusCode::BAD_REQUEST, &json!(field)),
            "{answer:?}"
        );
    }
    assert_eq!(
        hub.client.post(&path, json!({ "text": "é".repeat(16_384) })).await.status,
        StatusCode::CREATED
    );
    let nobody = "/api/tasks/0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0f/comments";
    assert_eq!(hub.client.get(nobody).await.body["code"], "task_not_found");
    assert_eq!(hub.client.post(nobody, json!({ "text": "t" })).await.body["code"], "task_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_comments_once_and_a_deleted_task_has_none() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{task}/comments");
    let body = json!({ "text": "once" });
    let first = post_once(&hub.client, &path, "k", &body).await;
    let again = post_once(&hub.client, &path, "k", &body).await;
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("false", "true")
    );
    assert_eq!(first.body, again.body);
    let other = post_once(&hub.client, &path, "k", &json!({ "text": "twice" })).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hub.client.get(&path).await.body.as_array().map(Vec::len), Some(1));

    hub.client.send(hub.client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;
    assert_eq!(hub.client.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_author_is_the_token_whatever_the_body_says() {
    let hub = Hub::with(&["--require-auth"]).await;
    let secret = create(hub.directory.path(), "ci", "write");
    let hub = hub.restart().await;
    let client = hub.client.with_token(&secret);
    let task = client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{task}/comments");
    let comment = client.post(&path, json!({ "text": "t", "author": "somebody else" })).await;
    assert_eq!(comment.body["author"], "ci");
    let (_, data) = history(&client, &task).await.pop().expect("an event");
    assert_eq!((&data["author"], &data["actor"]), (&json!("ci"), &json!("ci")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_is_too_long_for_a_line_says_so() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let mut stream = crate::sse::Stream::open(&hub.client, "?max_bytes=16384").await;
    let path = format!("/api/tasks/{task}/comments");
    hub.client.post(&path, json!({ "text": "\u{1f600}".repeat(16_384) })).await;
    let event = stream.next_event().await;
    assert_eq!((&event["data"]["text"], &event["data"]["omitted"]), (&json!("…"), &json!(["text"])));
}
