//! The binary, which is killed, and workers that claim what is ready and wait when nothing is.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::claims::{LEASE, text};
use crate::harness::{DEADLINE, HubProcess};
use crate::lives::Lives;
use crate::oracle::Random;

use super::graph::Graph;
use super::model::Counted;
use super::tasks;

/// Of each graph.
const TASKS: usize = 150;
const KILLS: usize = 3;
const WORKERS: usize = 16;
/// Longer than any claim waits.
const WAIT_MAX: Duration = Duration::from_secs(90);

/// # Panics
/// When the log is not as the model says, or nobody gets what is ready.
pub async fn play(seed: u64) -> Counted {
    let mut random = Random::new(seed);
    let graph = Graph::new(&mut random, TASKS);
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    tasks::create(&hub.client, &graph).await;

    let (lives, score) = (watch::Sender::new(Some(hub.client.clone())), watch::Sender::new(0));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(format!("worker {number}"), Lives::of(&lives), score.clone()));
    }
    let mut goals: Vec<usize> = (0..KILLS).map(|_| random.between(0..=TASKS as u64 - 1) as usize).collect();
    goals.sort_unstable();
    for goal in goals {
        wait_for(&score, goal).await;
        lives.send_replace(None);
        hub.kill();
        hub = HubProcess::start(directory.path(), &[]).await;
        lives.send_replace(Some(hub.client.clone()));
    }
    wait_for(&score, TASKS).await;
    workers.shutdown().await;

    let counted = tasks::judge(&hub.client, &graph).await;
    assert_eq!(hub.terminate().await, Some(0));
    Counted { graphs: 1, kills: KILLS, ..counted }
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
