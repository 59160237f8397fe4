//! Limits of each client: how often it asks, and how many streams it has.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::Hub;
use crate::sse::Stream;
use crate::tokens::{create, until};

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_ask_again_and_others_are_not() {
    let hub = Hub::with(&["--rate-limit", "20"]).await;
    let mut refused = None;
    for _ in 0..200 {
        let answer = hub.client.get("/api/tasks").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("200 requests take less than 10 seconds");
    assert_eq!((refused.status.as_u16(), refused.body["code"].as_str()), (429, Some("too_many_requests")));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(hub.client.get("/health").await.status, StatusCode::OK);
    // The token counts, not the address.
    let other = hub.client.with_token(&create(hub.directory.path(), "other", "read"));
    until(&other, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_streams_of_events_and_logs_together() {
    let hub = Hub::with(&["--streams-per-client-max", "2"]).await;
    let id = hub.client.create(json!({ "title": "t", "script": "echo here; sleep 30" })).await;
    hub.client.post(&format!("/api/exec/{id}"), json!({})).await;
    let log = format!("/api/exec/{id}/logs/stream");
    let first = Stream::open(&hub.client, "").await;
    let second = Stream::at(&hub.client, &log, "LogEvent", None).await;
    for path in ["/api/events/stream", &log] {
        let answer = hub.client.send(hub.client.request(Method::GET, path)).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (429, Some("too_many_streams")));
        assert_eq!(answer.header("retry-after"), "5");
    }
    drop((first, second));
    hub.client.wait_for("/api/events/status", |it| it["connected_clients"] == 0).await;
    Stream::open(&hub.client, "").await;
    hub.client.post(&format!("/api/exec/{id}/stop"), json!({})).await;
}
