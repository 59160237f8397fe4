//! Ending: soon, in order, and without losing what was acknowledged.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{DEADLINE, Hub, HubProcess};
use crate::slow::Stalled;
use crate::sse::{Stream, seq};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_hub_with_streams_open_and_each_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &[]).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(Stream::open(&hub.client, "").await);
    }
    hub.client.create(json!({ "title": "before the end" })).await;
    let asked = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10));

    let mut retries = std::collections::BTreeSet::new();
    for mut stream in streams {
        let rest = stream.rest().await;
        let words: Vec<_> = rest.iter().map(|message| message["event"].as_str().expect("a word")).collect();
        assert_eq!(words, ["task_created", "goodbye"]);
        assert_eq!(rest[1]["id"], rest[0]["id"], "goodbye stands where the stream stood");
        let retry_ms = stream.parser.retry_ms.expect("a retry");
        assert!((1000..5000).contains(&retry_ms), "{retry_ms}");
        retries.insert(retry_ms);
    }
    assert!(retries.len() > 10, "clients come back spread out: {retries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_are_sent_away_in_time_and_spread_out() {
    const CLIENTS: usize = 3000;
    taskhub::open_files::raise();
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &[]).await;
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        streams.push(Stalled::open(&hub.client, "/api/events/stream").await);
    }
    let all = |status: &Value| status["connected_clients"] == CLIENTS;
    hub.client.wait_for("/api/events/status", all).await;
    let asked = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    let time = asked.elapsed();
    assert!(time < Duration::from_secs(10), "{time:?}");

    let mut per_second = [0; 4];
    for stream in &mut streams {
        let mut last = Value::Null;
        while let Some(message) = stream.try_next().await {
            last = message;
        }
        assert!(stream.response.is_over(), "the answer ends in order");
        assert_eq!(last["event"], "goodbye");
        per_second[last["data"]["retry_ms"].as_u64().expect("a number") as usize / 1000 - 1] += 1;
    }
    println!("{CLIENTS} streams ended in {time:?}, coming back per second: {per_second:?}");
    assert!(per_second.iter().all(|count| *count > CLIENTS / 8), "{per_second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_the_end_is_there_after_it() {
    let hub = Hub::start().await;
    let mut stream = Stream::open(&hub.client, "").await;
    let client = hub.client.clone();
    let writer = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        loop {
            let request = client.request(reqwest::Method::POST, "/api/tasks").json(&json!({ "title": "x" }));
            match client.try_send(request).await {
                Ok(answer) if answer.status == 201 => acknowledged.push(answer.id()),
                _ => return acknowledged,
            }
        }
    });
    for _ in 0..50 {
        stream.next_event().await;
    }
    let hub = hub.restart().await;
    let acknowledged = tokio::time::timeout(DEADLINE, writer).await.expect("in time").expect("no panic");
    assert!(acknowledged.len() >= 50);

    stream.rest().await;
    let mut after = Stream::resume(&hub.client, &stream.last_id).await;
    assert_eq!(after.next().await["data"]["resumed"], true);
    for id in acknowledged {
        assert_eq!(hub.client.get(&format!("/api/tasks/{id}")).await.status, 200);
    }
    hub.client.create(json!({ "title": "after" })).await;
    let mut expected = seq(&json!(stream.last_id)) + 1;
    loop {
        let event = after.next_event().await;
        assert_eq!(seq(&event["id"]), expected);
        expected += 1;
        if event["data"]["title"] == "after" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_does_not_hold_up_the_end() {
    let hub = Hub::start().await;
    let client = hub.client.clone();
    let cursor = client.get("/api/events/status").await.body["head"].as_str().expect("an id").to_owned();
    let poll = tokio::spawn(async move { client.get(&format!("/api/events?since={cursor}&wait=60")).await });
    // It has arrived when it has been counted as one more connection that is open.
    let asked_for = |text: &str| text.contains("taskhub_http_requests_in_flight 2");
    hub.client.wait_for_text("/metrics", asked_for).await;
    let asked = Instant::now();
    hub.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    // Depending on when it arrived, the poll was answered or refused; it was not left hanging.
    let _ = tokio::time::timeout(DEADLINE, poll).await.expect("in time");
}
