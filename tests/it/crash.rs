//! kill -9 in the middle of writing: what was acknowledged is there, in order, once; what was not, is whole or
//! not there at all.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{DEADLINE, HubProcess, all_pages};
use crate::sse::{Stream, seq};

const ROUNDS: u32 = 20;
const WRITERS: u32 = 4;

/// Creates tasks until the hub is gone; answers the titles that were acknowledged.
async fn write(client: crate::harness::Client, round: u32, writer: u32) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let title = format!("{round}/{writer}/{number}");
        let request = client.request(reqwest::Method::POST, "/api/tasks").json(&json!({ "title": title }));
        match client.try_send(request).await {
            Ok(answer) if answer.status == 201 => acknowledged.push(title),
            _ => break,
        }
    }
    acknowledged
}

/// Watches until the stream breaks off; answers the events that were seen.
async fn watch(mut stream: Stream) -> (Vec<Value>, String) {
    let mut seen = Vec::new();
    while let Some(message) = stream.try_next().await {
        seen.push(message.json());
    }
    (seen, stream.last_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_every_acknowledged_write_is_there_in_order_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut history: Vec<Value> = Vec::new();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut last_id: Option<String> = None;

    for round in 0..ROUNDS {
        let mut hub = HubProcess::start(directory.path(), &[]).await;
        let stream = match &last_id {
            None => Stream::open(&hub.client, "?since=earliest").await,
            Some(id) => {
                let mut stream = Stream::resume(&hub.client, id).await;
                assert_eq!(stream.next().await["data"]["resumed"], true, "round {round}");
                stream
            }
        };
        let watcher = tokio::spawn(watch(stream));
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(hub.client.clone(), round, writer))).collect();
        // Killed at another moment each time, after something was written.
        let done = |head: &Value| seq(&head["head"]) > history.len() as u64 + u64::from(round % 7) * 3;
        hub.client.wait_for("/api/events/status", done).await;
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 337)).await;
        hub.kill();

        for writer in writers {
            acknowledged
                .extend(tokio::time::timeout(DEADLINE, writer).await.expect("in time").expect("no panic"));
        }
        let (seen, last) = watcher.await.expect("no panic");
        history.extend(seen.into_iter().filter(|message| message["event"] == "task_created"));
        last_id = Some(last);
    }

    let hub = HubProcess::start(directory.path(), &[]).await;
    let mut stream = Stream::resume(&hub.client, &last_id.expect("a round")).await;
    assert_eq!(stream.next().await["data"]["resumed"], true);
    hub.client.create(json!({ "title": "the end" })).await;
    loop {
        let event = stream.next_event().await;
        history.push(event.clone());
        if event["data"]["title"] == "the end" {
            break;
        }
    }

    let seqs: Vec<u64> = history.iter().map(|event| seq(&event["id"])).collect();
    assert_eq!(seqs, (1..=history.len() as u64).collect::<Vec<_>>(), "ordered, unique, without a gap");
    let mut streamed: BTreeMap<&str, u32> = BTreeMap::new();
    for event in &history {
        *streamed.entry(event["data"]["title"].as_str().expect("a title")).or_default() += 1;
    }
    for title in &acknowledged {
        assert_eq!(streamed.get(title.as_str()), Some(&1), "{title} was acknowledged");
    }
    // Every event has its task and every task its event: nothing is half done.
    let listed = all_pages(&hub.client, "/api/tasks?limit=500".to_owned()).await;
    for task in &listed {
        assert!(streamed.contains_key(task["title"].as_str().expect("a title")), "{task}");
    }
    assert_eq!(listed.len(), history.len());
    println!("{ROUNDS} kills, {} acknowledged, {} in the log", acknowledged.len(), history.len());
}
