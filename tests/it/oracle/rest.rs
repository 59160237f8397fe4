//! Brings a hub to rest before the end is written: nothing is to happen by itself after the last event.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, DEADLINE, all_pages};

use super::wish::{Wish, WishKind};
use super::writer::{Log, Outcome};

/// Keeps every lease, answers every question that has a deadline, and waits for the end of executions.
pub async fn rest(client: &Client) -> Log {
    let (mut log, deadline) = (Log::default(), Instant::now() + DEADLINE);
    loop {
        keep_leases(client).await;
        let mut ending = all_pages(client, "/api/questions?open=true&limit=500".into()).await;
        ending.retain(|question| !question["deadline_at"].is_null());
        if ending.is_empty() && !is_executing(client).await {
            return log;
        }
        assert!(Instant::now() < deadline, "the hub comes to no rest");
        for question in &ending {
            answer(client, question, &mut log).await;
        }
    }
}

/// Renews every lease, so that none ends by itself any more. That is told to nobody.
async fn keep_leases(client: &Client) {
    for task in all_pages(client, "/api/tasks?limit=500".into()).await {
        if let Some(lease) = task["lease"]["id"].as_str() {
            let body = json!({ "lease_seconds": 3600 });
            let renewed = client.with_body(Method::PUT, &format!("/api/leases/{lease}"), body).await;
            if !renewed.status.is_success() {
                // It has ended meanwhile.
                let now =
                    client.get(&format!("/api/tasks/{}", task["id"].as_str().expect("an id"))).await.body;
                assert_ne!(now["lease"]["id"], lease, "one owner: {now} is held by no lease: {renewed:?}");
            }
        }
    }
}

/// Whether something was being executed; then a while has passed since.
async fn is_executing(client: &Client) -> bool {
    let live = client.get("/api/executions?status=queued,running&limit=1").await.body;
    let is_executing = live != json!([]);
    if is_executing {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_executing
}

async fn answer(client: &Client, question: &Value, log: &mut Log) {
    let mark = format!("[[rest.{}]]", log.wishes.len());
    let kind = WishKind::Answer {
        question: question["id"].as_str().expect("an id").to_owned(),
        text: question["options"][0].as_str().unwrap_or(&mark).to_owned(),
    };
    let wish = Wish { mark, kind };
    let answer = client.send(wish.request(client)).await;
    let outcome = match answer.status {
        StatusCode::OK => Outcome::Acknowledged(answer.body),
        // It has expired meanwhile.
        StatusCode::CONFLICT => Outcome::Refused,
        _ => panic!("complete: {wish:?} was answered {answer:?}"),
    };
    log.wishes.push((wish, outcome));
}
