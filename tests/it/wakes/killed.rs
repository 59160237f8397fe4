//! The binary, which is killed while many finish the tasks of some graphs at once.

use std::sync::{Arc, Mutex};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::{Client, DEADLINE, HubProcess};
use crate::lives::Lives;
use crate::oracle::Random;

use super::graph::Graph;
use super::model::Counted;
use super::tasks;
use super::work::Work;

/// Tasks of each graph.
const TASKS: usize = 1000;
const KILLS: usize = 3;
const CONNECTIONS: usize = 64;

/// What all that report share.
struct Reports {
    work: Mutex<Work>,
    ids: Vec<String>,
    /// How many are done; everybody who has nothing to do waits for more.
    done: watch::Sender<usize>,
}

/// Plays a graph for each seed, all on one hub.
///
/// # Panics
/// When the log is not as the model says.
pub async fn play(seeds: Vec<u64>) -> Counted {
    let mut random = Random::new(seeds[0]);
    let graphs = seeds.iter().map(|seed| Graph::new(&mut Random::new(*seed), TASKS)).collect();
    let graph = Arc::new(Graph::joined(graphs));
    let early_percent = if random.chance(33) { random.between(1..=30) } else { 0 };
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let ids = tasks::create(&hub.client, &graph).await;

    let work = Work::new(graph.clone(), TASKS, random.fork(), early_percent);
    let reports = Arc::new(Reports { work: Mutex::new(work), ids, done: watch::Sender::new(0) });
    let lives = watch::Sender::new(Some(hub.client.clone()));
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        running.spawn(report(reports.clone(), Lives::of(&lives)));
    }
    // Whether a kill has come while some of a graph's tasks were done, and others being reported.
    let mut hit = vec![false; seeds.len()];
    let mut unanswered = 0;
    for kill in 1..=KILLS {
        let share = random.between(10..=25) as usize + 25 * (kill - 1);
        reports.wait_for(graph.len() * share / 100).await;
        unanswered += reports.note_hit(&mut hit);
        hub.kill();
        lives.send_replace(None);
        hub = HubProcess::start(directory.path(), &[]).await;
        lives.send_replace(Some(hub.client.clone()));
    }
    reports.wait_for(graph.len()).await;
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    assert!(hit.iter().all(|hit| *hit), "a kill while each is being finished: {hit:?}");

    let counted = tasks::judge(&hub.client, &graph).await;
    assert_eq!(hub.terminate().await, Some(0));
    Counted { graphs: seeds.len(), kills: KILLS, unanswered, ..counted }
}

impl Reports {
    /// Waits until so many are done, as long as it goes on.
    async fn wait_for(&self, goal: usize) {
        let mut done = self.done.subscribe();
        while *done.borrow_and_update() < goal {
            let step = tokio::time::timeout(DEADLINE, done.changed()).await;
            step.expect("the work goes on").expect("somebody works");
        }
    }

    fn next(&self) -> Vec<usize> {
        self.work.lock().expect("no panic").next()
    }

    fn finish(&self, tasks: &[usize]) {
        self.work.lock().expect("no panic").finish(tasks);
        self.done.send_modify(|done| *done += tasks.len());
    }

    /// Notes of which graphs a report is unanswered, and answers how many tasks that are.
    fn note_hit(&self, hit: &mut [bool]) -> usize {
        let work = self.work.lock().expect("no panic");
        let mut unanswered = 0;
        for (graph, hit) in hit.iter_mut().enumerate() {
            let tasks = graph * TASKS..(graph + 1) * TASKS;
            let count = tasks.clone().filter(|task| work.is_unanswered(*task)).count();
            *hit |= count > 0 && tasks.clone().any(|task| work.is_done(task));
            unanswered += count;
        }
        unanswered
    }

    fn request(&self, client: &Client, tasks: &[usize]) -> RequestBuilder {
        let report = json!({ "new_status": "done" });
        if let [task] = tasks {
            let path = format!("/api/tasks/status/{}", self.ids[*task]);
            return client.request(Method::PUT, &path).json(&report);
        }
        let operations: Vec<_> = tasks
            .iter()
            .map(|task| json!({ "action": "report", "task_id": self.ids[*task], "report": report }))
            .collect();
        client.request(Method::POST, "/api/tasks/batch").json(&json!({ "operations": operations }))
    }
}

/// Reports tasks as done until all are. Nobody knows whether a report without an answer was written, so it is repeated.
async fn report(reports: Arc<Reports>, mut hub: Lives) {
    let mut done = reports.done.subscribe();
    while *done.borrow_and_update() < reports.ids.len() {
        let tasks = reports.next();
        if tasks.is_empty() {
            done.changed().await.expect("it is there");
            continue;
        }
        let (status, body) = hub.ask_unchecked(|client| reports.request(client, &tasks)).await;
        assert_eq!(status, StatusCode::OK);
        if tasks.len() > 1 {
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            let results = answer["results"].as_array().expect("results");
            assert!(results.len() == tasks.len() && results.iter().all(|it| it["status"] == 200), "{answer}");
        }
        reports.finish(&tasks);
    }
}
