//! Waiting by MCP: nothing is missed, nothing is swallowed, and every wait has an end.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::harness::{Answered, Client, DEADLINE, Hub, HubProcess};
use crate::parser::Parser;

use super::agent::Outcome;
use super::{Agent, Era};

/// Waits until the hub works on so many requests besides the one that asks.
pub async fn until_waiting(client: &Client, count: u32) {
    let in_flight = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("taskhub_http_requests_in_flight "));
        line.expect("the gauge").parse::<u32>().expect("a number")
    };
    client.wait_for_text("/metrics", |text| in_flight(text) == count + 1).await;
}

fn keys(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().expect("events").iter();
    events.filter_map(|event| event["key"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_answers_what_happens_next_and_goes_on_from_its_cursor() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "before" })).await;
    let waiting = {
        let agent = agent.clone();
        tokio::spawn(async move { agent.data("wait_events", json!({ "events": ["task_created"] })).await })
    };
    until_waiting(&hub.client, 1).await;
    let first = agent.create(json!({ "title": "first" })).await;
    let seen = tokio::time::timeout(DEADLINE, waiting).await.expect("in time").expect("no panic");
    assert_eq!(keys(&seen), std::slice::from_ref(&first), "from now on");
    assert!(seen.get("reset").is_none(), "{seen}");

    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(agent.create(json!({ "title": number.to_string() })).await);
    }
    let mut cursor = seen["cursor"].clone();
    let mut found = Vec::new();
    for is_last in [false, false, true] {
        let page = agent.data("wait_events", json!({ "cursor": cursor, "limit": 2 })).await;
        assert_eq!(page.get("more").is_some(), !is_last, "{page}");
        found.extend(keys(&page));
        cursor = page["cursor"].clone();
    }
    assert_eq!(found, expected);
    let none = agent.data("wait_events", json!({ "cursor": cursor, "wait_seconds": 0 })).await;
    assert_eq!((&none["events"], &none["cursor"]), (&json!([]), &cursor));
    let one = json!({ "cursor": "earliest", "task": first, "wait_seconds": 0 });
    assert_eq!(keys(&agent.data("wait_events", one).await), [first]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_names_its_task_by_key() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t", "script": "true" })).await;
    let (_, lease) = agent.claim("ada").await;
    agent.data("comment", json!({ "task": key, "text": "c", "lease": lease })).await;
    agent.data("ask_person", json!({ "task": key, "text": "q", "lease": lease, "wait_seconds": 0 })).await;
    agent.data("run_task", json!({ "task": key, "lease": lease })).await;
    let all = json!({ "cursor": "earliest", "limit": 100, "wait_seconds": 0 });
    let seen = agent.data("wait_events", all.clone()).await;
    let events = seen["events"].as_array().expect("events");
    for kind in ["lease_event", "comment_added", "question_asked", "execution_event", "task_updated"] {
        assert!(events.iter().any(|event| event["event"] == kind), "{kind}: {seen}");
    }
    for event in events {
        let named = if event["key"].is_null() { &event["task"] } else { &event["key"] };
        assert_eq!(named, &json!(key), "{event}");
    }
    // Of one that is gone the id is left.
    let id = hub.client.get(&format!("/api/tasks?key={key}")).await.body[0]["id"].clone();
    hub.client
        .send(hub.client.request(Method::DELETE, &format!("/api/tasks/{}", id.as_str().expect("an id"))))
        .await;
    let seen = agent.data("wait_events", all).await;
    let comment = seen["events"].as_array().expect("events").iter().find(|it| it["event"] == "comment_added");
    assert_eq!(comment.map(|it| &it["task"]), Some(&id), "{seen}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_the_log_does_not_have_is_told() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let answer = agent.data("wait_events", json!({ "cursor": "00000000-1", "wait_seconds": 0 })).await;
    assert_eq!((&answer["reset"], &answer["events"]), (&json!(true), &json!([])));
    let next = agent.data("wait_events", json!({ "cursor": answer["cursor"], "wait_seconds": 0 })).await;
    assert!(next.get("reset").is_none(), "{next}");
    hub.stop().await;
}

/// The hub ends in order and by kill -9 while an agent waits; tasks are made meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_misses_nothing_through_the_ends_of_the_hub() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let mut agent = Agent::of(&hub.client).await;
    let (mut created, mut seen) = (Vec::new(), Vec::new());
    let start = agent.data("wait_events", json!({ "wait_seconds": 0 })).await;
    let mut cursor = start["cursor"].clone();
    for life in 0..4 {
        for number in 0..7 {
            created.push(agent.create(json!({ "title": format!("{life}.{number}") })).await);
        }
        // Behind, so that the next life has to go on where this one was.
        let some = json!({ "cursor": cursor, "events": ["task_created"], "limit": 3, "wait_seconds": 15 });
        let page = agent.data("wait_events", some).await;
        seen.extend(keys(&page));
        cursor = page["cursor"].clone();
        // One that waits at the head when the hub ends.
        let head = json!({ "events": ["announcement"], "wait_seconds": 15 });
        let waiting = {
            let client = agent.client.clone();
            let request = agent.call_request("wait_events", head);
            tokio::spawn(async move { client.try_send(request).await })
        };
        until_waiting(&agent.client, 1).await;
        let is_killed = life % 2 == 0;
        if is_killed {
            hub.kill();
        } else {
            assert_eq!(hub.terminate().await, Some(0));
        }
        let ended = tokio::time::timeout(DEADLINE, waiting).await.expect("it ends").expect("no panic");
        match ended {
            Ok(answer) => {
                assert!(!is_killed);
                let Outcome::Data(data) = agent.outcome("wait_events", &answer.body) else {
                    panic!("{answer:?}")
                };
                assert_eq!(data["events"], json!([]), "nothing was announced");
            }
            Err(error) => assert!(is_killed, "{error}"),
        }
        hub = HubProcess::start(directory.path(), &[]).await;
        agent = agent.at(&hub.client);
    }
    while seen.len() < created.len() {
        let next = json!({ "cursor": cursor, "events": ["task_created"], "limit": 5, "wait_seconds": 15 });
        let page = agent.data("wait_events", next).await;
        assert!(page.get("reset").is_none() && page["events"] != json!([]), "{page}");
        seen.extend(keys(&page));
        cursor = page["cursor"].clone();
    }
    assert_eq!(seen, created, "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_swallows_no_task() {
    let hub = Hub::start().await;
    for era in [Era::Alone, Era::Initialized] {
        let agent = Agent::in_era(&hub.client, era).await;
        let gone = {
            let agent = agent.clone();
            let wish = json!({ "worker": "gone", "wait_seconds": 45 });
            tokio::spawn(async move { agent.call("claim_task", wish).await })
        };
        until_waiting(&hub.client, 1).await;
        gone.abort();
        assert!(gone.await.expect_err("aborted").is_cancelled());
        // The hub learns of it by the end of the connection.
        until_waiting(&hub.client, 0).await;
        let task = agent.create(json!({ "title": "t" })).await;
        let (key, lease) = agent.claim("next").await;
        assert_eq!(key, task);
        let report = json!({ "lease": lease, "summary": "Done", "proof": "Seen" });
        agent.data("complete_task", report).await;
    }
    hub.stop().await;
}

/// The hub has answered, and the answer never came.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_answered_the_same_again() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let tasks = [agent.create(json!({ "title": "t" })).await, agent.create(json!({ "title": "u" })).await];
    let wish = json!({ "worker": "ada" });
    let lost = agent.data("claim_task", wish.clone()).await;
    let again = agent.data("claim_task", wish).await;
    assert_eq!((&again["key"], &again["lease"]), (&json!(tasks[0]), &lost["lease"]));
    assert_eq!(agent.claim("bob").await.0, tasks[1]);
    let another = json!({ "worker": "ada", "another": true });
    assert_eq!(agent.data("claim_task", another).await, json!({}), "it may say that it wants one more");
    hub.stop().await;
}

/// A claim and a wait for events, both with progress: the period is ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_tells_its_progress_to_who_asks_for_it_and_takes_a_stream() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let mut waits = Vec::new();
    for (tool, wish) in [
        ("claim_task", json!({ "worker": "w", "wait_seconds": 12 })),
        ("wait_events", json!({ "wait_seconds": 12 })),
    ] {
        for is_stream in [true, false] {
            let (agent, wish) = (agent.clone(), wish.clone());
            waits.push(tokio::spawn(async move { patient(&agent, tool, wish, is_stream).await }));
        }
    }
    for wait in waits {
        wait.await.expect("no panic");
    }
    hub.stop().await;
}

/// Waits with a token for progress.
async fn patient(agent: &Agent, tool: &str, wish: Value, is_stream: bool) {
    let accept = if is_stream { "application/json, text/event-stream" } else { "application/json" };
    let mut message = super::message("tools/call", json!({ "name": tool, "arguments": wish }));
    message["params"]["_meta"]["progressToken"] = json!("token-7");
    let request = agent.client.request(Method::POST, "/mcp").header(ACCEPT, accept).json(&message);
    let request = request.header("MCP-Protocol-Version", "2026-07-28");
    let request = request.header("Mcp-Method", "tools/call").header("Mcp-Name", tool);
    let started = Instant::now();
    let answer = request.answered().await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()[CONTENT_TYPE].to_str().expect("ASCII").to_owned();
    if !is_stream {
        assert_eq!(kind, "application/json", "{tool}");
        answer.bytes().await.expect("a body");
        assert!(started.elapsed() >= Duration::from_secs(11), "{tool}: {:?}", started.elapsed());
        return;
    }
    assert_eq!(kind, "text/event-stream", "{tool}");
    let told = started.elapsed();
    assert!((9..12).contains(&told.as_secs()), "{tool}: after {told:?}");
    let (mut parser, mut body) = (Parser::default(), answer.bytes_stream());
    while let Some(bytes) = body.next().await {
        parser.feed(&bytes.expect("bytes"));
    }
    let messages: Vec<Value> = parser.messages.iter().map(|it| it.json()).collect();
    let [progress, result] = messages.as_slice() else { panic!("{tool}: {messages:?}") };
    assert_eq!(progress["method"], "notifications/progress", "{tool}");
    assert_eq!(progress["params"]["progressToken"], "token-7");
    assert!(progress["params"]["progress"].as_f64() >= Some(9.0), "{progress}");
    assert!(matches!(agent.outcome(tool, result), Outcome::Data(_)));
    assert!(started.elapsed() >= Duration::from_secs(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wait_ends_when_the_hub_does() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let task = agent.create(json!({ "title": "t", "assignee": "somebody", "script": "sleep 60" })).await;
    let waits = [
        ("wait_events", json!({ "events": ["announcement"] })),
        ("claim_task", json!({ "worker": "w", "wait_seconds": 45 })),
        ("ask_person", json!({ "task": task, "text": "Who?" })),
        ("run_task", json!({ "task": task })),
    ];
    let mut waiting = Vec::new();
    for (tool, arguments) in waits {
        let agent = agent.clone();
        waiting.push(tokio::spawn(async move { (tool, agent.data(tool, arguments).await) }));
    }
    until_waiting(&hub.client, 4).await;
    let started = Instant::now();
    let directory = hub.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    for wait in waiting {
        let (tool, data) = wait.await.expect("no panic");
        match tool {
            "wait_events" => assert_eq!(data["events"], json!([])),
            "claim_task" => assert_eq!(data, json!({})),
            "ask_person" => assert_eq!(data["status"], "open"),
            _ => assert!(["queued", "running"].contains(&data["status"].as_str().expect("a word")), "{data}"),
        }
    }
    // The script goes on, so that it has to be stopped by the next hub.
    let hub = HubProcess::start(directory.path(), &[]).await;
    let agent = agent.at(&hub.client);
    agent.data("run_task", json!({ "task": task, "stop": true })).await;
    assert_eq!(hub.terminate().await, Some(0));
}
