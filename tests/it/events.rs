//! The stream, the list of events, and how they stand.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answered, Hub};
use crate::sse::{Stream, seq};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn every_client_gets_one_task_updated_with_exactly_the_fields() {
    let hub = Hub::start().await;
    let body = json!({ "title": "t", "assignee": "ada", "artifacts": ["a.txt"], "tags": ["x"] });
    let created = hub.client.post("/api/tasks", body).await;
    let id = created.id();
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Stream::open(&hub.client, "").await);
    }
    let report = json!({ "new_status": "inprogress", "priority": "high" });
    let answer = hub.client.with_body(Method::PUT, &format!("/api/tasks/status/{id}"), report).await;
    assert_eq!(answer.status, StatusCode::OK);
    for stream in &mut streams {
        let event = stream.next().await;
        assert_eq!(event["event"], "task_updated");
        let expected = json!({
            "task_id": id, "project": "default", "key": "default-1", "title": "t", "status": "inprogress", "priority": "high", "assignee": "ada",
            "tags": ["x"], "artifacts": ["a.txt"], "blocked_by": [], "ready": false, "auto_start": false,
            "lease": null, "attempts": 0, "attempts_max": 3, "waiting_for": [], "reason": null, "version": 2,
            "created_at": created.body["created_at"], "changed": ["status", "priority"],
            "actor": null,
        });
        assert_eq!(event["data"], expected);
        let keys: Vec<_> = event.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys, ["id", "event", "data", "timestamp"]);
    }
    hub.client.create(json!({ "title": "marker" })).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await["data"]["title"], "marker", "one event, not two");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_by_header_and_by_query_across_a_restart() {
    let hub = Hub::start().await;
    let mut stream = Stream::open(&hub.client, "").await;
    for number in 0..5 {
        hub.client.create(json!({ "title": format!("{number}") })).await;
    }
    stream.next().await;
    let second = stream.next().await["id"].as_str().expect("an id").to_owned();
    let hub = hub.restart().await;
    hub.client.create(json!({ "title": "after the restart" })).await;

    let other = "ffffffff-1";
    let queries = [
        Stream::resume(&hub.client, &second).await,
        Stream::connect(&hub.client, &format!("?last_event_id={second}&since={other}"), None).await,
        Stream::connect(&hub.client, &format!("?since={second}"), None).await,
        Stream::connect(&hub.client, &format!("?last_event_id={other}"), Some(&second)).await,
    ];
    for mut stream in queries {
        let connected = stream.next().await;
        assert_eq!((&connected["event"], &connected["data"]["resumed"]), (&json!("connected"), &json!(true)));
        assert_eq!(connected["id"], second.as_str());
        for expected in 3..=6 {
            assert_eq!(seq(&stream.next().await["id"]), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlived_the_ring_goes_on_from_the_store() {
    let hub = Hub::with(&["--ring-events-max", "20"]).await;
    for number in 0..300 {
        hub.client.create(json!({ "title": format!("{number}") })).await;
    }
    let mut stream = Stream::open(&hub.client, "?since=earliest").await;
    for expected in 1..=300 {
        let event = stream.next().await;
        assert_eq!(seq(&event["id"]), expected);
        assert_eq!(event["data"]["title"], (expected - 1).to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn since_takes_a_time() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "early" })).await;
    let late = hub.client.post("/api/tasks", json!({ "title": "late" })).await;
    // The first event at or after its own time is itself, or an earlier one of the same millisecond.
    let time = late.body["created_at"].as_str().expect("a time");
    let mut stream = Stream::open(&hub.client, &format!("?since={time}")).await;
    let mut event = stream.next().await;
    if event["data"]["title"] == "early" {
        assert_eq!(event["timestamp"], time);
        event = stream.next().await;
    }
    assert_eq!(event["data"]["title"], "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_no_place_in_the_log_is_answered_by_a_reset_and_the_stream_goes_on() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "first" })).await;
    let head = hub.client.get("/api/events/status").await.body["head"].as_str().expect("an id").to_owned();
    let epoch = head.split('-').next().expect("an epoch");
    let other = if epoch == "00000000" { "00000001" } else { "00000000" };
    for (id, reason, goes_on) in [
        (format!("{other}-1"), "unknown_epoch", 1),
        ("42".to_owned(), "unknown_epoch", 1),
        ("no id at all".to_owned(), "unknown_epoch", 1),
        (format!("{epoch}-99"), "future", 2),
    ] {
        let mut stream = Stream::resume(&hub.client, &id).await;
        let reset = stream.next().await;
        assert_eq!((&reset["event"], &reset["data"]["reason"]), (&json!("reset"), &json!(reason)), "{id}");
        assert_eq!(seq(&reset["id"]), goes_on - 1, "{id}");
        assert_eq!(stream.next().await["data"]["resumed"], false);
        if goes_on == 2 {
            stream.assert_silent(Duration::from_millis(50)).await;
        } else {
            assert_eq!(seq(&stream.next().await["id"]), goes_on, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_header_does_not_hide_the_query_and_a_plus_may_arrive_as_a_space() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "first" })).await;
    let mut stream = Stream::connect(&hub.client, "?last_event_id=zz", Some("")).await;
    assert_eq!(stream.next().await["event"], "reset");
    let mut stream = Stream::open(&hub.client, "?since=2025-06-22T12:00:00+02:00").await;
    assert_eq!(stream.next().await["data"]["title"], "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_id_is_answered_by_a_reset_and_the_oldest_event_left() {
    let flags = ["--retain-events-max", "10", "--ring-events-max", "5"];
    let hub = Hub::with(&flags).await;
    let mut stream = Stream::open(&hub.client, "").await;
    for number in 0..50 {
        hub.client.create(json!({ "title": format!("{number}") })).await;
    }
    let first = stream.next().await["id"].as_str().expect("an id").to_owned();
    // Retention runs at the start; wait until the log has shrunk.
    let hub = hub.restart().await;
    hub.client.wait_for("/api/events/status", |status| seq(&status["oldest"]) > 1).await;
    let status = hub.client.wait_for("/api/events/status", |status| seq(&status["oldest"]) == 40).await;
    assert_eq!(seq(&status["head"]), 50);

    let mut stream = Stream::resume(&hub.client, &first).await;
    let reset = stream.next().await;
    assert_eq!((&reset["event"], &reset["data"]["reason"]), (&json!("reset"), &json!("expired")));
    stream.next().await;
    for expected in 41..=50 {
        assert_eq!(seq(&stream.next().await["id"]), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_sees_its_part_and_a_task_that_leaves() {
    let hub = Hub::start().await;
    let mut filtered =
        Stream::open(&hub.client, "?status=todo&assignee=ada,bob&events=task_created,task_updated").await;
    let ada = hub.client.create(json!({ "title": "ada's", "assignee": "ada" })).await;
    hub.client.create(json!({ "title": "nobody's" })).await;
    hub.client.set_status(&ada, "done").await;
    hub.client.set_status(&ada, "review").await;
    hub.client.create(json!({ "title": "bob's", "assignee": "bob" })).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = filtered.next().await;
        seen.push((event["data"]["title"].clone(), event["data"]["status"].clone()));
    }
    let expected = [("ada's", "todo"), ("ada's", "done"), ("bob's", "todo")];
    assert_eq!(seen, expected.map(|(title, status)| (json!(title), json!(status))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_is_brought_along_by_checkpoints() {
    let hub = Hub::with(&["--keepalive-seconds", "1"]).await;
    let mut stream = Stream::open(&hub.client, "?events=announcement").await;
    hub.client.create(json!({ "title": "not for it" })).await;
    let checkpoint = stream.next().await;
    assert_eq!((&checkpoint["event"], seq(&checkpoint["id"])), (&json!("checkpoint"), 1));

    // Also past what was looked at together with a match.
    hub.client.post("/api/events/announcements", json!({ "level": "info", "message": "for it" })).await;
    hub.client.create(json!({ "title": "not for it" })).await;
    let mut stream = Stream::open(&hub.client, "?events=announcement&since=earliest").await;
    assert_eq!(seq(&stream.next().await["id"]), 2);
    let checkpoint = stream.next().await;
    assert_eq!((&checkpoint["event"], seq(&checkpoint["id"])), (&json!("checkpoint"), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_asks_for_the_head_is_no_client() {
    let hub = Hub::start().await;
    let head = hub.client.request(Method::HEAD, "/api/events/stream").answered().await;
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-type"]),
        (200, &"text/event-stream".parse().expect("ASCII"))
    );
    let status = hub.client.get("/api/events/status").await.body;
    assert_eq!((&status["total_connections"], &status["disconnects"]["cut_off"]), (&json!(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_kept_alive_by_comments() {
    let hub = Hub::with(&["--keepalive-seconds", "1"]).await;
    let mut stream = Stream::open(&hub.client, "").await;
    stream.assert_silent(Duration::from_millis(2500)).await;
    assert!(stream.parser.comments.len() >= 2, "{:?}", stream.parser.comments);
    assert!(stream.parser.comments.iter().all(|it| it == "keepalive"));
    assert_eq!(stream.parser.retry_ms, Some(3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_stream_has_event_lines_and_ndjson_has_none() {
    let hub = Hub::start().await;
    let mut named = Stream::connect(&hub.client, "?named=true", None).await;
    let connected = named.try_next().await.expect("a message");
    assert_eq!(connected.kind, "connected");
    hub.client.create(json!({ "title": "t" })).await;
    assert_eq!(named.try_next().await.expect("a message").kind, "task_created");

    let request = hub.client.request(Method::GET, "/api/events/stream?since=earliest");
    let mut lines = request.header("Accept", "application/x-ndjson").answered().await;
    assert_eq!(lines.headers()["content-type"], "application/x-ndjson");
    let mut text = String::new();
    while text.lines().count() < 2 {
        let chunk = lines.chunk().await.expect("a chunk").expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
    }
    let words: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["event"].clone())
        .collect();
    assert_eq!(words, ["connected", "task_created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_not_be_kept_or_held_back_on_its_way() {
    let hub = Hub::start().await;
    let answer = hub.client.request(Method::GET, "/api/events/stream").answered().await;
    assert_eq!(answer.headers()["cache-control"], "no-store, no-transform");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
}

/// The thread that writes the stream closes the connection at its end. A client that was not told
/// would send its next request on it, and lose it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_that_it_is_the_last_answer_of_its_connection() {
    let hub = Hub::start().await;
    let answer = hub.client.request(Method::GET, "/api/events/stream").answered().await;
    assert_eq!(answer.headers()["connection"], "close");
    let encrypted = Wire::Tls1.hub(&[]).await;
    let answer = encrypted.client.request(Method::GET, "/api/events/stream").answered().await;
    assert_eq!(answer.headers().get("connection"), None, "its socket is not given away");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_events_pages_filters_and_waits() {
    let hub = Hub::start().await;
    for number in 0..5 {
        hub.client.create(json!({ "title": format!("{number}") })).await;
    }
    let page = hub.client.get("/api/events?limit=3").await;
    assert_eq!(page.body.as_array().expect("a list").len(), 3);
    let cursor = page.header("taskhub-cursor").to_owned();
    assert_eq!(page.body[2]["id"], cursor.as_str());
    assert_eq!(page.header("taskhub-next-page"), cursor);
    let rest = hub.client.get(&format!("/api/events?since={cursor}")).await;
    assert_eq!(rest.body.as_array().expect("a list").len(), 2);
    assert_eq!(rest.headers.get("taskhub-next-page"), None);

    let cursor = rest.header("taskhub-cursor").to_owned();
    let none = hub.client.get(&format!("/api/events?since={cursor}")).await;
    assert_eq!((&none.body, none.header("taskhub-cursor")), (&json!([]), cursor.as_str()));

    // Waits past what its filter refuses, and moves its cursor past it.
    let client = hub.client.clone();
    let path = format!("/api/events?since={cursor}&wait=20&events=announcement");
    let waiting = tokio::spawn(async move { client.get(&path).await });
    hub.client.create(json!({ "title": "refused" })).await;
    let announced =
        hub.client.post("/api/events/announcements", json!({ "level": "warning", "message": "hi" })).await;
    assert_eq!(announced.status, StatusCode::CREATED);
    let found = waiting.await.expect("no panic");
    assert_eq!(found.body[0]["data"], json!({ "level": "warning", "message": "hi", "actor": null }));
    assert_eq!(found.body[0]["id"], announced.body["id"]);
    assert_eq!(hub.client.get(announced.header("location")).await.body, found.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_counts_who_is_there_and_notices_who_has_gone() {
    let hub = Hub::start().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(&hub.client, "?events=announcement").await);
    }
    let status = hub.client.get("/api/events/status?clients=true").await.body;
    assert_eq!((&status["status"], &status["connected_clients"]), (&json!("active"), &json!(20)));
    assert_eq!(status["endpoint"], "/api/events/stream");
    assert_eq!(status["clients"].as_array().expect("a list").len(), 20);
    assert_eq!(status["clients"][0]["filtered"], true);
    streams.truncate(5);
    hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 5).await;
}
