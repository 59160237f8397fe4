//! A graph as tasks of a hub: creating them, and judging the log of what became of them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::claims::text;
use crate::harness::Client;
use crate::lives::send_unchecked;

use super::graph::Graph;
use super::model::{Counted, Model};

/// Most operations of one batch.
const OPERATIONS_MAX: usize = 1000;

/// Creates all tasks, each titled with its number, and answers their ids.
pub async fn create(client: &Client, graph: &Graph) -> Vec<String> {
    let mut ids = vec![String::new(); graph.len()];
    for wave in graph.waves() {
        let creates = wave.iter().map(|task| {
            let blockers: Vec<_> = graph.first[*task].iter().map(|it| &ids[*it]).collect();
            json!({ "action": "create", "task": { "title": task.to_string(), "blocked_by": blockers } })
        });
        let created = change(client, creates.collect()).await;
        for (task, result) in wave.iter().zip(&created) {
            ids[*task] = text(result, "/task/id").to_owned();
        }
    }
    let late = (0..graph.len()).filter(|task| !graph.late[*task].is_empty()).map(|task| {
        let blockers: Vec<_> = graph.blockers(task).map(|it| &ids[it]).collect();
        json!({ "action": "update", "task_id": ids[task], "patch": { "blocked_by": blockers } })
    });
    change(client, late.collect()).await;
    ids
}

/// Does the operations in batches. The result of each has to be good.
async fn change(client: &Client, operations: Vec<Value>) -> Vec<Value> {
    let mut results = Vec::new();
    for operations in operations.chunks(OPERATIONS_MAX) {
        let body = json!({ "atomic": true, "operations": operations });
        let answer = send(client.request(Method::POST, "/api/tasks/batch").json(&body)).await;
        results.extend(answer["results"].as_array().expect("results").clone());
    }
    results
}

/// Judges the whole log.
///
/// # Panics
/// When it is not as the model says.
pub async fn judge(client: &Client, graph: &Graph) -> Counted {
    let (mut model, mut after, mut seq) = (Model::new(graph), "earliest".to_owned(), 0);
    loop {
        let path = format!("/api/events?since={after}&limit=1000");
        let page = send(client.request(Method::GET, &path)).await;
        let events = page.as_array().expect("events");
        for event in events {
            seq += 1;
            assert_eq!(crate::sse::seq(&event["id"]), seq, "ordered, unique, without a gap");
            model.apply(event);
        }
        match events.last() {
            Some(last) => after = text(last, "/id").to_owned(),
            None => return model.finish(),
        }
    }
}

/// Without the check against the specification: it would take longer than everything else.
async fn send(request: reqwest::RequestBuilder) -> Value {
    let (status, bytes) = send_unchecked(request).await.expect("an answer");
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
    serde_json::from_slice(&bytes).expect("JSON")
}
