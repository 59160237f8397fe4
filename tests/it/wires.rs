//! The stream's promises, on every way to the hub but the usual one: HTTP/2 with and without TLS, and HTTP/1.1 with it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answered, Client, DEADLINE, all_pages};
use crate::http2::{Connection, Events};
use crate::sse::{Stream, seq};
use crate::tokens::{create, revoke, until};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_across_a_restart() {
    for wire in Wire::OTHERS {
        let hub = wire.hub(&[]).await;
        let mut stream = Stream::open(&hub.client, "").await;
        for number in 0..5 {
            hub.client.create(json!({ "title": format!("{number}") })).await;
        }
        stream.next().await;
        let second = stream.next().await["id"].as_str().expect("an id").to_owned();
        let rest = async {
            let rest = stream.rest().await;
            assert_eq!(rest.last().expect("a goodbye")["event"], "goodbye", "{wire:?}");
            assert!((1000..5000).contains(&stream.parser.retry_ms.expect("a retry")), "{wire:?}");
        };
        let (hub, ()) = tokio::join!(wire.restart(hub), rest);
        hub.client.create(json!({ "title": "after the restart" })).await;
        let mut stream = Stream::resume(&hub.client, &second).await;
        assert_eq!(stream.next().await["data"]["resumed"], true);
        for expected in 3..=6 {
            assert_eq!(seq(&stream.next().await["id"]), expected, "{wire:?}");
        }
        let mut stream = Stream::resume(&hub.client, "00000000-7").await;
        assert_eq!(stream.next().await["data"]["reason"], "unknown_epoch", "{wire:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_stream_is_there() {
    for wire in Wire::OTHERS {
        let hub = wire.hub(&["--keepalive-seconds", "1"]).await;
        let first = hub.client.create(json!({ "title": "first", "assignee": "ada" })).await;
        let mut named = Stream::connect(&hub.client, "?named=true", None).await;
        let mut snapshot = Stream::connect(&hub.client, "?snapshot=true", None).await;
        let mut filtered = Stream::open(&hub.client, "?assignee=ada").await;
        assert_eq!(named.try_next().await.expect("a message").kind, "connected");
        let part = snapshot.next().await;
        assert_eq!((&part["event"], &part["data"]["tasks"][0]["id"]), (&json!("snapshot"), &json!(first)));
        assert_eq!(snapshot.next().await["event"], "connected");

        hub.client.create(json!({ "title": "second" })).await;
        hub.client.set_status(&first, "done").await;
        assert_eq!(named.try_next().await.expect("a message").kind, "task_created");
        assert_eq!(seq(&snapshot.next_event().await["id"]), 2);
        assert_eq!(filtered.next_event().await["data"]["status"], "done");
        filtered.assert_silent(Duration::from_millis(1500)).await;
        assert!(filtered.parser.comments.iter().any(|it| it == "keepalive"), "{wire:?}");

        let request = hub.client.request(Method::GET, "/api/events/stream?since=earliest");
        let mut lines = request.header("Accept", "application/x-ndjson").answered().await;
        let mut text = String::new();
        while text.lines().count() < 4 {
            let chunk = tokio::time::timeout(DEADLINE, lines.chunk()).await.expect("in time");
            text.push_str(std::str::from_utf8(&chunk.expect("a chunk").expect("more")).expect("UTF-8"));
        }
        let words =
            text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["event"].clone());
        assert_eq!(words.collect::<Vec<_>>(), ["connected", "task_created", "task_created", "task_updated"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_and_a_large_answer_arrive_whole() {
    for wire in Wire::OTHERS {
        let hub = wire.hub(&["--ring-events-max", "2"]).await;
        let artifacts: Vec<_> = (0..16).map(|n| format!("{n:02}{}", "\u{1}".repeat(4094))).collect();
        for _ in 0..4 {
            hub.client.create(json!({ "title": "large", "artifacts": artifacts })).await;
        }
        let mut stream = Stream::open(&hub.client, "?since=earliest").await;
        for expected in 1..=4 {
            let event = stream.next().await;
            assert_eq!(
                (seq(&event["id"]), &event["data"]["artifacts"]),
                (expected, &json!(artifacts)),
                "{wire:?}"
            );
        }
        let tasks = hub.client.get("/api/tasks").await;
        assert_eq!(tasks.body[3]["artifacts"], json!(artifacts), "{wire:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_long_lines_gets_none_and_is_told_what_is_missing() {
    const LINE_BYTES_MAX: usize = 16 << 10;
    for wire in Wire::ALL {
        let hub = wire.hub(&["--ring-events-max", "4"]).await;
        let artifacts: Vec<_> = (0..16).map(|n| format!("{n:02}{}", "\u{1}".repeat(4094))).collect();
        let small = hub.client.create(json!({ "title": "small", "tags": ["t"] })).await;
        let body = json!({ "title": "large", "description": "d".repeat(70_000), "script": "true", "artifacts": artifacts });
        let large = hub.client.create(body).await;
        for _ in 0..200 {
            hub.client.create(json!({ "title": "many", "description": "d".repeat(500) })).await;
        }
        for query in ["", "&named=true", "&tag=t"] {
            let mut stream =
                Stream::open(&hub.client, &format!("?since=earliest&max_bytes=16384{query}")).await;
            let event = stream.next().await;
            assert_eq!((&event["data"]["task_id"], event["data"].get("omitted")), (&json!(small), None));
            let tags = json!(["t", format!("t{}", query.len())]);
            let path = format!("/api/tasks/{large}");
            let change = hub.client.with_body(Method::PATCH, &path, json!({ "tags": tags })).await;
            assert_eq!(change.status, 200);
            loop {
                let message = stream.try_next().await.expect("a message");
                assert!("data: ".len() + message.data.len() <= LINE_BYTES_MAX, "{wire:?} {query}");
                let event = message.json();
                if event["data"]["task_id"] != json!(large) {
                    continue;
                }
                let cut = (&event["data"]["artifacts"], &event["data"]["omitted"]);
                assert_eq!(cut, (&json!([]), &json!(["artifacts"])), "{wire:?} {query}");
                if event["data"]["tags"] == tags {
                    break;
                }
            }
        }
        let mut stream = Stream::connect(&hub.client, "?snapshot=true&max_bytes=16384", None).await;
        let (mut tasks, mut omitted) = (Vec::new(), Vec::new());
        loop {
            let message = stream.try_next().await.expect("a message");
            assert!("data: ".len() + message.data.len() <= LINE_BYTES_MAX, "{wire:?}");
            let message = message.json();
            if message["event"] == "connected" {
                break;
            }
            tasks.extend(message["data"]["tasks"].as_array().expect("a list").clone());
            omitted.extend(
                message["data"].get("omitted").into_iter().flat_map(|it| it.as_array().cloned()).flatten(),
            );
        }
        assert_eq!(omitted, [json!({ "task_id": large, "fields": ["artifacts", "description"] })]);
        let listed = all_pages(&hub.client, "/api/tasks?limit=500".to_owned()).await;
        assert_eq!(tasks.len(), 202);
        for (task, listed) in tasks.iter().zip(&listed).filter(|(task, _)| task["id"] != json!(large)) {
            assert_eq!(task, listed);
        }
        assert_eq!((&tasks[1]["script"], &tasks[1]["description"]), (&json!("true"), &json!("")));
        for bytes in ["16383", "16777217", "2147483648", "x"] {
            let refused = hub.client.get(&format!("/api/events/stream?max_bytes={bytes}")).await;
            assert_eq!((refused.status.as_u16(), refused.body["field"].as_str()), (400, Some("max_bytes")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_says_how_often_it_is_told_that_its_stream_lives() {
    for wire in Wire::ALL {
        let hub = wire.hub(&[]).await;
        let execution = json!({ "script_content": "sleep 60" });
        let task = hub.client.create(json!({ "title": "t" })).await;
        assert_eq!(hub.client.post(&format!("/api/exec/{task}"), execution).await.status, 200);
        hub.client.wait_for(&format!("/api/exec/{task}"), |it| it["status"] == "running").await;
        let log = format!("/api/exec/{task}/logs/stream?keepalive_seconds=5");
        let mut log = Stream::at(&hub.client, &log, "LogEvent", None).await;
        let mut often = Stream::open(&hub.client, "?keepalive_seconds=5&events=announcement").await;
        let mut usual = Stream::open(&hub.client, "?events=announcement").await;
        let silence = Duration::from_millis(5900);
        tokio::join!(log.assert_silent(silence), often.assert_silent(silence), usual.assert_silent(silence));
        assert_eq!(log.parser.comments, ["keepalive"], "{wire:?}");
        assert_eq!((often.parser.comments.len(), usual.parser.comments.len()), (1, 0), "{wire:?}");
        for seconds in ["4", "61", "x"] {
            let refused = hub.client.get(&format!("/api/events/stream?keepalive_seconds={seconds}")).await;
            assert_eq!(refused.body["field"], "keepalive_seconds");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_ends_its_streams() {
    for wire in Wire::OTHERS {
        let hub = wire.hub(&["--require-auth"]).await;
        let [first, second] = ["first", "second"].map(|name| create(hub.directory.path(), name, "write"));
        let [first, second] = [first, second].map(|token| hub.client.with_token(&token));
        for client in [&first, &second] {
            until(client, reqwest::StatusCode::OK).await;
        }
        let mut ends = Stream::open(&first, "").await;
        let mut stays = Stream::open(&second, "").await;
        revoke(hub.directory.path(), "first");
        assert!(ends.rest().await.is_empty(), "{wire:?}: without another word");
        second.create(json!({ "title": "t" })).await;
        stays.next_event().await;
        let status = second.wait_for("/api/events/status", |it| it["connected_clients"] == 1).await;
        assert_eq!(status["disconnects"]["revoked"], 1, "{wire:?}");
    }
}

/// Artifacts of about 60 KB, different each time.
fn bulk(round: usize) -> Value {
    (0..15).map(|n| format!("{round}-{n}-{}", "x".repeat(4000))).collect()
}

async fn write_bulk(client: &Client, count: usize) {
    let id = client.create(json!({ "title": "bulk" })).await;
    for round in 0..count {
        client
            .with_body(Method::PATCH, &format!("/api/tasks/{id}"), json!({ "artifacts": bulk(round) }))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_holds_up_nobody_and_the_stream_goes_on_in_place() {
    let hub = Wire::H2c.hub(&["--ring-events-max", "8"]).await;
    let mut connection = Connection::open(&hub).await;
    let stalled = connection.get(&hub, "/api/events/stream").await;
    // On the same connection, and on another.
    let mut beside = Events::new(connection.get(&hub, "/api/events/stream").await);
    let mut other = Stream::open(&hub.client, "").await;
    assert_eq!(beside.next().await.expect("a message")["event"], "connected");
    write_bulk(&hub.client, 60).await;
    for expected in 1..=61 {
        assert_eq!(seq(&beside.next().await.expect("the stream goes on")["id"]), expected);
        assert_eq!(seq(&other.next().await["id"]), expected);
    }
    let lagging = |status: &Value| {
        let lags = status["clients"].as_array().expect("a list").iter().map(|it| it["lag_events"].as_u64());
        lags.clone().filter(|lag| *lag > Some(40)).count() == 1
            && lags.filter(|lag| *lag == Some(0)).count() == 2
    };
    hub.client.wait_for("/api/events/status?clients=true", lagging).await;
    let mut stalled = Events::new(stalled);
    assert_eq!(stalled.next().await.expect("a message")["event"], "connected");
    for expected in 1..=61 {
        let event = stalled.next().await.expect("the stream goes on");
        assert_eq!(seq(&event["id"]), expected);
        if expected > 1 {
            assert_eq!(event["data"]["artifacts"], bulk(expected as usize - 2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_is_gone_within_a_minute_and_takes_no_other_along() {
    let hub = Wire::H2c.hub(&[]).await;
    let mut connection = Connection::open(&hub).await;
    write_bulk(&hub.client, 5).await;
    let mut beside = Events::new(connection.get(&hub, "/api/events/stream").await);
    assert_eq!(beside.next().await.expect("a message")["event"], "connected");
    let started = std::time::Instant::now();
    let mut stalled = connection.get(&hub, "/api/events/stream?since=earliest").await.into_body();
    let ended = async {
        loop {
            // Nothing of it is released: its window stays closed.
            if let Err(error) = stalled.data().await.expect("it does not end by itself") {
                return error;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(75), ended).await.expect("in time");
    let time = started.elapsed();
    println!("gone after {time:?}: {ended:?}");
    assert!(ended.is_reset() && time > Duration::from_secs(40), "a stall is given time to pass: {time:?}");
    let status = hub.client.wait_for("/api/events/status", |it| it["connected_clients"] == 1).await;
    assert_eq!(status["disconnects"]["timed_out"], 1);
    hub.client.create(json!({ "title": "t" })).await;
    assert_eq!(seq(&beside.next().await.expect("it goes on")["id"]), 7);
}
