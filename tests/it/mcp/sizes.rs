//! Answers stay short, whatever the tasks are like, and what was left out can be read by another call.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::Hub;

use super::Agent;

/// Of an answer, in bytes; the limit is that of its rows.
const ANSWER_BYTES_MAX: usize = 31_000;

/// Tasks with long titles and many tags, each of about 3,000 bytes in a list.
async fn create_many(agent: &Agent, count: usize) -> BTreeSet<String> {
    let tags: Vec<_> = (0..20).map(|number| format!("{number:0>50}")).collect();
    let task = |number: usize| json!({ "title": format!("{number} {}", "ä".repeat(490)), "tags": tags });
    let tasks: Vec<_> = (0..count).map(task).collect();
    let created = agent.data("create_tasks", json!({ "tasks": tasks })).await;
    keys(&created["tasks"])
}

fn keys(rows: &Value) -> BTreeSet<String> {
    let rows = rows.as_array().expect("rows");
    rows.iter().map(|row| row["key"].as_str().expect("a key").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_tasks_comes_in_pages_without_a_gap() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let created = create_many(&agent, 40).await;
    let (mut seen, mut rows, mut pages, mut cursor) = (BTreeSet::new(), 0, 0, Value::Null);
    loop {
        let mut query = json!({ "limit": 50 });
        if !cursor.is_null() {
            query["cursor"] = cursor;
        }
        let page = agent.data("list_tasks", query).await;
        assert!(page.to_string().len() < ANSWER_BYTES_MAX, "{}", page.to_string().len());
        rows += page["tasks"].as_array().expect("tasks").len();
        seen.extend(keys(&page["tasks"]));
        pages += 1;
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((seen, rows), (created, 40));
    assert!((3..=6).contains(&pages), "{pages}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_events_come_in_parts_without_a_gap() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let created = create_many(&agent, 60).await;
    let options: Vec<_> = (0..20).map(|number| format!("{number:0200}")).collect();
    for key in created.iter().take(5) {
        let ask = json!({ "task": key, "text": "q".repeat(2000), "options": options, "wait_seconds": 0 });
        agent.data("ask_person", ask).await;
    }
    let wait = |cursor: &Value| json!({ "cursor": cursor, "limit": 100, "wait_seconds": 0 });
    let (mut seen, mut count, mut asked, mut cursor) = (BTreeSet::new(), 0, 0, json!("earliest"));
    loop {
        let part = agent.data("wait_events", wait(&cursor)).await;
        assert!(part.to_string().len() < ANSWER_BYTES_MAX, "{}", part.to_string().len());
        let events = part["events"].as_array().expect("events");
        for event in events.iter().filter(|event| event["event"] == "task_created") {
            count += 1;
            seen.insert(event["key"].as_str().expect("a key").to_owned());
        }
        asked += events.iter().filter(|event| event["event"] == "question_asked").count();
        cursor = part["cursor"].clone();
        if part.get("more").is_none() {
            break;
        }
    }
    assert_eq!((seen, count, asked), (created, 60, 5));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_description_is_read_to_its_end() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let description: String = (0..9_000).map(|number| format!("€{number}")).collect();
    let key = agent.create(json!({ "title": "t", "description": description })).await;
    let claimed = agent.data("claim_task", json!({ "worker": "ada" })).await;
    let whole = agent.text("get_task", json!({ "task": key })).await;
    for shown in [claimed["description"].as_str().expect("a description"), &whole] {
        let (before, hint) = shown.split_once("; get_task with offset ").expect("a hint");
        let offset: usize = hint.split(' ').next().and_then(|it| it.parse().ok()).expect("an offset");
        let start = before.find("€0€1").expect("its begin");
        let mut joined = before[start..].rsplit_once('…').expect("a cut").0.to_owned();
        assert_eq!(joined.len(), offset, "it is cut where the rest begins");
        let mut offset = offset.to_string();
        loop {
            let number: u64 = offset.parse().expect("a number");
            let part = agent.text("get_task", json!({ "task": key, "offset": number })).await;
            assert!(part.len() < 24_000);
            let (part, place) = part.rsplit_once("\n[bytes ").expect("a place");
            joined.push_str(part.split_once("\n\n").expect("a heading").1);
            match place.split_once("offset ") {
                Some((_, rest)) => offset = rest.split(' ').next().expect("an offset").to_owned(),
                None => break,
            }
        }
        assert_eq!(joined, description);
    }
    let beyond = agent.text("get_task", json!({ "task": key, "offset": 1_000_000 })).await;
    assert!(beyond.contains("this is its end"), "{beyond}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_a_description_does_not_hide_it() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t", "description": "What is to be done" })).await;
    let (key, lease) = agent.claim("ada").await;
    let artifacts: Vec<_> = (0..60).map(|number| format!("{number}/{}", "a".repeat(900))).collect();
    agent
        .data(
            "complete_task",
            json!({ "lease": lease, "summary": "s", "proof": "p", "artifacts": artifacts }),
        )
        .await;
    for number in 0..5 {
        let text = format!("{number} {}", "ä".repeat(1900));
        agent.data("ask_person", json!({ "task": key, "text": text, "wait_seconds": 0 })).await;
    }
    let text = agent.text("get_task", json!({ "task": key })).await;
    for shown in ["What is to be done", "## Open questions", ": 4 äää", "## Comments"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(text.len() < 12_000, "{}", text.len());
    hub.stop().await;
}
