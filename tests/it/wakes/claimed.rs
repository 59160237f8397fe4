//! The binary, which is killed, and workers that claim what is ready and wait when nothing is.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::claims::{LEASE, text};
use crate::harness::{Client, DEADLINE, HubProcess, all_pages};
use crate::lives::Lives;
use crate::oracle::Random;

use super::graph::{Graph, WAVE};
use super::model::{self, Counted};

const KILLS: usize = 3;
const WORKERS: usize = 16;
/// Longer than any claim waits.
const WAIT_MAX: Duration = Duration::from_secs(90);

/// # Panics
/// When the log is not as the model says, or nobody gets what is ready.
pub async fn play(seed: u64) -> Counted {
    let mut random = Random::new(seed);
    let tasks = random.between(60..=250) as usize;
    let graph = Graph::new(&mut random, tasks);
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    create(&hub.client, &graph).await;

    let (lives, score) = (watch::Sender::new(Some(hub.client.clone())), watch::Sender::new(0));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(format!("worker {number}"), Lives::of(&lives), score.clone()));
    }
    let mut goals: Vec<usize> = (0..KILLS).map(|_| random.between(0..=tasks as u64 - 1) as usize).collect();
    goals.sort_unstable();
    for goal in goals {
        wait_for(&score, goal).await;
        lives.send_replace(None);
        hub.kill();
        hub = HubProcess::start(directory.path(), &[]).await;
        lives.send_replace(Some(hub.client.clone()));
    }
    wait_for(&score, tasks).await;
    workers.shutdown().await;

    let mut events = Vec::new();
    let mut after = "earliest".to_owned();
    loop {
        let page = hub.client.get(&format!("/api/events?since={after}&limit=1000")).await;
        let page = page.body.as_array().expect("events").clone();
        let Some(last) = page.last() else { break };
        after = text(last, "/id").to_owned();
        events.extend(page);
    }
    let counted = Counted { crashes: KILLS as u64, ..model::check(&graph, events) };
    assert_eq!(hub.terminate().await, Some(0));
    counted
}

/// Waits until so many tasks are done; each step has a deadline that is shorter than a worker would wait in vain.
async fn wait_for(score: &watch::Sender<usize>, goal: usize) {
    let mut done = score.subscribe();
    while *done.borrow_and_update() < goal {
        let step = tokio::time::timeout(DEADLINE, done.changed()).await;
        step.expect("somebody gets what is ready").expect("somebody works");
    }
}

/// Works until nobody wants it any more.
async fn work(name: String, mut hub: Lives, score: watch::Sender<usize>) {
    let wish = json!({ "worker": name, "wait_seconds": 60 });
    loop {
        let (status, task) =
            hub.ask(|it| it.request(Method::POST, "/api/tasks/claim").timeout(WAIT_MAX).json(&wish)).await;
        if status == StatusCode::NO_CONTENT {
            continue;
        }
        assert_eq!(status, StatusCode::OK, "{task}");
        let (path, report) =
            (format!("/api/tasks/status/{}", text(&task, "/id")), json!({ "new_status": "done" }));
        let lease = text(&task, "/lease/id");
        let (status, done) =
            hub.ask(|it| it.request(Method::PUT, &path).header(LEASE, lease).json(&report)).await;
        assert_eq!(status, StatusCode::OK, "{done}");
        score.send_modify(|done| *done += 1);
    }
}

async fn create(client: &Client, graph: &Graph) {
    let mut ids: Vec<String> = Vec::new();
    for wave in 0..graph.len().div_ceil(WAVE) {
        let creating = (wave * WAVE..graph.len().min((wave + 1) * WAVE)).map(|task| {
            let blockers: Vec<_> = graph.first[task].iter().map(|it| ids[*it].clone()).collect();
            client.create(json!({ "title": task.to_string(), "blocked_by": blockers }))
        });
        let created = join_all(creating).await;
        ids.extend(created);
    }
    let patching = (0..graph.len()).filter(|task| !graph.late[*task].is_empty()).map(|task| {
        let blockers: Vec<_> = graph.blockers(task).map(|it| ids[it].clone()).collect();
        let (path, patch) = (format!("/api/tasks/{}", ids[task]), json!({ "blocked_by": blockers }));
        async move { client.with_body(Method::PATCH, &path, patch).await.status }
    });
    assert!(join_all(patching).await.into_iter().all(|status| status == StatusCode::OK));
    let listed = all_pages(client, "/api/tasks?limit=500&ready=true".to_owned()).await;
    assert_eq!(listed.len(), graph.first.iter().filter(|blockers| blockers.is_empty()).count());
}
