//! `snapshot=true`: state and stream in one call, without a race and without a partial state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answered, Client, Hub, HubProcess, all_pages};
use crate::slow::Stalled;
use crate::sse::{Stream, seq};

/// What an event carries of a task.
const FIELDS: [&str; 17] = [
    "project",
    "key",
    "title",
    "status",
    "priority",
    "assignee",
    "tags",
    "artifacts",
    "blocked_by",
    "ready",
    "auto_start",
    "lease",
    "attempts",
    "attempts_max",
    "waiting_for",
    "version",
    "created_at",
];

/// The tasks of a snapshot up to its `connected`, and that.
async fn read(stream: &mut Stream) -> (Vec<Value>, Value) {
    let mut tasks = Vec::new();
    for part in 1.. {
        let message = stream.next().await;
        if message["event"] == "connected" {
            assert!(part > 1, "an empty snapshot has a part, too");
            return (tasks, message);
        }
        assert_eq!((&message["event"], &message["data"]["part"]), (&json!("snapshot"), &json!(part)));
        assert_eq!(seq(&message["id"]), 0, "a part alone is nothing to resume from");
        tasks.extend(message["data"]["tasks"].as_array().expect("a list").iter().cloned());
    }
    unreachable!()
}

async fn listed(client: &Client, query: &str) -> Vec<Value> {
    all_pages(client, format!("/api/tasks?limit=500&{query}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_what_the_list_says_and_the_stream_goes_on_from_there() {
    let hub = Hub::start().await;
    let mut stream = Stream::connect(&hub.client, "?snapshot=true", None).await;
    let (tasks, connected) = read(&mut stream).await;
    assert_eq!((tasks.len(), seq(&connected["id"])), (0, 0));

    for number in 0..300 {
        let body = json!({ "title": format!("{number}"), "description": "x".repeat(number), "tags": ["t"] });
        hub.client.create(body).await;
    }
    let mut stream = Stream::connect(&hub.client, "?snapshot=true", None).await;
    let (tasks, connected) = read(&mut stream).await;
    assert_eq!(tasks, listed(&hub.client, "").await);
    assert_eq!((seq(&connected["id"]), &connected["data"]["resumed"]), (300, &json!(false)));
    hub.client.create(json!({ "title": "next" })).await;
    let next = stream.next().await;
    assert_eq!((seq(&next["id"]), &next["data"]["title"]), (301, &json!("next")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_snapshot_and_its_stream_fold_to_the_filtered_list_while_others_write() {
    let hub = Hub::start().await;
    let statuses = ["todo", "inprogress", "review", "done"];
    let mut ids = Vec::new();
    for number in 0..40 {
        let body = json!({ "title": format!("{number}"), "status": statuses[number % 4], "assignee": "ada" });
        ids.push(hub.client.create(body).await);
    }
    let client = hub.client.clone();
    let writer = tokio::spawn(async move {
        for round in 0..8 {
            for (number, id) in ids.iter().enumerate() {
                client.set_status(id, statuses[(number + round) % 4]).await;
            }
        }
        client.create(json!({ "title": "the end", "assignee": "ada" })).await;
    });
    let query = "status=todo,review&assignee=ada";
    let mut stream = Stream::connect(&hub.client, &format!("?snapshot=true&{query}"), None).await;
    let (tasks, _) = read(&mut stream).await;
    let id_of = |value: &Value| value.as_str().expect("an id").to_owned();
    let mut state: BTreeMap<_, _> = tasks.into_iter().map(|task| (id_of(&task["id"]), task)).collect();
    loop {
        let message = stream.next().await;
        let data = &message["data"];
        let id = id_of(&data["task_id"]);
        if ["todo", "review"].map(Value::from).contains(&data["status"]) {
            let task = state.entry(id.clone()).or_insert_with(|| json!({ "id": id }));
            for field in FIELDS {
                task[field] = data[field].clone();
            }
            task["updated_at"] = message["timestamp"].clone();
        } else {
            state.remove(&id);
        }
        if data["title"] == "the end" {
            break;
        }
    }
    writer.await.expect("no panic");
    let listed = listed(&hub.client, query).await;
    assert_eq!(listed.len(), state.len());
    for mut task in listed {
        let folded = &state[task["id"].as_str().expect("an id")];
        if folded.get("description").is_none() {
            // It came by an event, and has to be fetched by who needs its long texts.
            for field in ["description", "script"] {
                task.as_object_mut().expect("an object").remove(field);
            }
        }
        assert_eq!(folded, &task);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_can_go_on_has_no_snapshot_and_one_that_cannot_gets_a_new_one() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "first" })).await;
    let second = hub.client.create(json!({ "title": "second" })).await;
    let mut stream = Stream::connect(&hub.client, "?snapshot=true", None).await;
    let (_, connected) = read(&mut stream).await;
    let cursor = connected["id"].as_str().expect("an id").to_owned();
    hub.client.set_status(&second, "done").await;

    let mut resumed = Stream::connect(&hub.client, "?snapshot=true", Some(&cursor)).await;
    let connected = resumed.next().await;
    assert_eq!((&connected["event"], &connected["data"]["resumed"]), (&json!("connected"), &json!(true)));
    assert_eq!(resumed.next().await["data"]["status"], "done");

    // As a client that was cut off within a snapshot asks.
    let zero = format!("{}-0", cursor.split('-').next().expect("an epoch"));
    let mut again = Stream::connect(&hub.client, "?snapshot=true", Some(&zero)).await;
    let (tasks, connected) = read(&mut again).await;
    assert_eq!((tasks.len(), seq(&connected["id"])), (2, 3));

    for id in ["ffffffff-0", "ffffffff-7", "no id", &format!("{}9", cursor)] {
        let mut stream = Stream::connect(&hub.client, "?snapshot=true", Some(id)).await;
        let reset = stream.next().await;
        assert_eq!((&reset["event"], seq(&reset["id"])), (&json!("reset"), 0), "{id}");
        let (tasks, connected) = read(&mut stream).await;
        assert_eq!((tasks.len(), seq(&connected["id"])), (2, 3), "{id}");
        assert_eq!(connected["data"]["resumed"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_text_arrives_in_a_snapshot_unchanged() {
    let hub = Hub::start().await;
    let nasty = "\r\n\u{0}\u{feff}\u{2028}data: \u{1f600}\\\"\n\nid: 9-9\n\n";
    let description = format!("{nasty}{}{nasty}", "é".repeat((1 << 19) - 2 * nasty.chars().count()));
    assert!(description.len() > (1 << 20) - 100);
    let id = hub.client.create(json!({ "title": "long", "description": description })).await;
    hub.client.create(json!({ "title": "short" })).await;
    for named in ["", "&named=true"] {
        let mut stream = Stream::connect(&hub.client, &format!("?snapshot=true{named}"), None).await;
        let (tasks, _) = read(&mut stream).await;
        assert_eq!((tasks.len(), &tasks[0]["id"]), (2, &json!(id)));
        assert_eq!(tasks[0]["description"], description.as_str());
        assert_eq!(stream.parser.retry_ms, Some(3000));
    }
    let request = hub.client.request(Method::GET, "/api/events/stream?snapshot=true");
    let mut lines = request.header("Accept", "application/x-ndjson").answered().await;
    let mut text = Vec::new();
    while !text.windows(11).any(|it| it == b"\"connected\"") {
        text.extend_from_slice(&lines.chunk().await.expect("a chunk").expect("the stream goes on"));
    }
    let first = text.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).expect("a line");
    let first: Value = serde_json::from_slice(first).expect("one message a line");
    assert_eq!(first["data"]["tasks"][0]["description"], description.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_time_is_refused() {
    let hub = Hub::start().await;
    for since in ["earliest", "2025-06-22T10:00:00Z"] {
        let answer = hub.client.get(&format!("/api/events/stream?snapshot=true&since={since}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!("since")), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_the_changes_that_keep_it_fresh_is_refused() {
    let hub = Hub::start().await;
    let refused = hub.client.get("/api/events/stream?snapshot=true&events=task_updated,announcement").await;
    assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!("events")), "{refused:?}");
    let kinds = "task_created,task_updated,task_deleted";
    let mut stream = Stream::connect(&hub.client, &format!("?snapshot=true&events={kinds}"), None).await;
    read(&mut stream).await;
}

/// Makes tasks that together fill about 20 MB of snapshot.
async fn fill(client: &Client) {
    let body = json!({ "title": "t", "description": "x".repeat(100_000) });
    for _ in 0..200 {
        client.create(body.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_hub_does_not_wait_for_snapshots_and_cuts_none_in_a_message() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &[]).await;
    fill(&hub.client).await;
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut stream = Stalled::open(&hub.client, "/api/events/stream?snapshot=true").await;
        readers.push(tokio::spawn(async move {
            let mut words = Vec::new();
            while let Some(message) = stream.try_next().await {
                words.push(message["event"].as_str().expect("a word").to_owned());
            }
            assert!(stream.response.is_over(), "the answer ends in order");
            assert!(stream.parser.is_between_messages(), "a message was cut");
            words
        }));
    }
    let asked = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10));
    for reader in readers {
        let words = reader.await.expect("no panic");
        assert_eq!(words.last().map(String::as_str), Some("goodbye"), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_nobody_waits_for_holds_up_nobody() {
    let hub = Hub::start().await;
    fill(&hub.client).await;
    for _ in 0..20 {
        drop(Stalled::open(&hub.client, "/api/events/stream?snapshot=true").await);
    }
    hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 0).await;
    let mut stream = Stream::connect(&hub.client, "?snapshot=true", None).await;
    let (tasks, _) = read(&mut stream).await;
    assert_eq!(tasks.len(), 200);
}

/// Has retention overtake a client that does not read, with events of 20 KB each.
async fn overtake(hub: &Hub, id: &str) {
    let artifacts =
        |round: usize| (0..5).map(|n| format!("{round}-{n}-{}", "x".repeat(4000))).collect::<Vec<_>>();
    for round in 0..100 {
        let body = json!({ "artifacts": artifacts(round) });
        hub.client.with_body(Method::PATCH, &format!("/api/tasks/{id}"), body).await;
    }
}

async fn forgets(hub: &Hub) {
    hub.client.wait_for("/api/events/status", |status| seq(&status["oldest"]) > 90).await;
}

const FORGETFUL: [&str; 4] = ["--ring-events-max", "4", "--retain-events-max", "4"];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_retention_has_overtaken_gets_a_new_snapshot_in_its_open_stream() {
    // As the body of an answer, which stops between two events when each is less than a page.
    let flags = [&FORGETFUL[..], &["--fanout-threads", "0"]].concat();
    let hub = Hub::tuned(&flags, |config| config.store.retention_period_ms = 20).await;
    let id = hub.client.create(json!({ "title": "t", "artifacts": [] })).await;
    let mut slow = Stalled::open(&hub.client, "/api/events/stream?snapshot=true").await;
    // More than a socket's buffers hold, so that the stream waits at an early event.
    overtake(&hub, &id).await;
    forgets(&hub).await;
    let mut words: Vec<String> = Vec::new();
    let mut last = Value::Null;
    while last["event"] != "connected" || !words.iter().any(|word| word == "reset") {
        last = slow.next().await;
        words.push(last["event"].as_str().expect("a word").to_owned());
    }
    let reset = words.iter().position(|word| word == "reset").expect("a reset");
    assert_eq!(words[reset + 1..], ["snapshot", "connected"]);
    assert!(words[..reset].iter().filter(|word| *word == "task_updated").count() > 1, "{words:?}");
    assert_eq!(seq(&last["id"]), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_waits_a_while_for_a_client_in_the_middle_of_an_event() {
    let flags = [&FORGETFUL[..], &["--fanout-threads", "1"]].concat();
    let hub = Hub::tuned(&flags, |config| config.store.retention_period_ms = 20).await;
    let id = hub.client.create(json!({ "title": "t", "artifacts": [] })).await;
    let mut slow = Stalled::open(&hub.client, "/api/events/stream").await;
    overtake(&hub, &id).await;
    assert_eq!(slow.next().await["event"], "connected");
    // Between two events it may be overtaken, and goes on after a reset; its stream never breaks off.
    while seq(&slow.next().await["id"]) < 101 {}
    forgets(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_retention_has_overtaken_in_the_middle_of_an_event_is_cut_off_and_told_when_it_is_back()
{
    let flags = [&FORGETFUL[..], &["--fanout-threads", "1"]].concat();
    let tune = |config: &mut taskhub::config::Config| {
        config.store.retention_period_ms = 20;
        config.store.half_sent_ms_max = 0;
    };
    let hub = Hub::tuned(&flags, tune).await;
    let id = hub.client.create(json!({ "title": "t", "artifacts": [] })).await;
    let mut slow = Stalled::open(&hub.client, "/api/events/stream?snapshot=true").await;
    overtake(&hub, &id).await;
    forgets(&hub).await;
    let mut told = 0;
    while let Some(message) = slow.try_next().await {
        assert_ne!(message["event"], "reset");
        told = seq(&message["id"]);
    }
    assert!(!slow.response.is_over(), "nobody takes what there is for all of it");
    assert!(told > 0 && told < 90, "{told}");
    let status =
        hub.client.wait_for("/api/events/status?clients=true", |it| it["connected_clients"] == 0).await;
    assert_eq!(status["recent_disconnects"][0]["reason"], "overtaken");

    let epoch = status["epoch"].as_str().expect("an epoch");
    let last_event_id = format!("{epoch}-{told}");
    let mut back = Stream::connect(&hub.client, "?snapshot=true", Some(&last_event_id)).await;
    for expected in ["reset", "snapshot", "connected"] {
        assert_eq!(back.next().await["event"], expected);
    }
}
