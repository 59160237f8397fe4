//! Limits of each client: how often it asks, and how many streams it has.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::Hub;
use crate::http2::Connection;
use crate::sse::Stream;
use crate::tokens::{create, until};
use crate::wire::Wire;

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

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_none_of_its_answers_is_refused_more_and_others_are_not() {
    let hub = Wire::H2c.hub(&["--answers-bytes-max", "1048576"]).await;
    let [small, large] =
        [200 << 10, 400 << 10].map(|bytes| json!({ "title": "t", "description": "d".repeat(bytes) }));
    let [small, large] = [hub.client.create(small).await, hub.client.create(large).await];
    let token = create(hub.directory.path(), "greedy", "read");
    let other = hub.client.with_token(&create(hub.directory.path(), "other", "read"));
    until(&other, StatusCode::OK).await;
    let mut greedy = Connection::open(&hub).await;
    let ask = |path: String| {
        let request = hyper::Request::get(format!("http://{}{path}", hub.client.address));
        request.header("Authorization", format!("Bearer {token}")).body(()).expect("a request")
    };
    let held = greedy.send(ask(format!("/api/tasks/{small}"))).await.expect("an answer");
    assert_eq!(held.status(), StatusCode::OK);
    for path in [format!("/api/tasks/{small}"), "/api/tasks?limit=500".into(), format!("/api/tasks/{large}")]
    {
        let refused = greedy.send(ask(path.clone())).await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(refused.headers()["retry-after"], "5");
    }
    let little = greedy.send(ask("/health".into())).await.expect("an answer");
    assert_eq!(little.status(), StatusCode::OK);
    for path in [format!("/api/tasks/{small}"), format!("/api/tasks/{large}")] {
        assert_eq!(
            other.get(&path).await.status,
            StatusCode::OK,
            "what is larger than a share takes all of it"
        );
    }
    // Given up, it holds nothing; nor does what was read, whatever its size.
    drop(held);
    for _ in 0..10 {
        let request = ask(format!("/api/tasks/{large}"));
        let mut answer = loop {
            let answer = greedy.send(request.clone()).await.expect("an answer");
            if answer.status() == StatusCode::OK {
                break answer;
            }
        };
        let mut bytes = 0;
        while let Some(piece) = answer.body_mut().data().await {
            let piece = piece.expect("more of it");
            bytes += piece.len();
            answer.body_mut().flow_control().release_capacity(piece.len()).expect("it was received");
        }
        assert_eq!(answer.headers()["content-length"], bytes.to_string());
    }
}
