//! Agents and programs work together while the hub is killed under them: every task is done once, in a legal order.
//!
//! Two workers by MCP and two by HTTP take 500 tasks that wait for each other. Those by MCP are killed now and then while they
//! claim, and one of them for good. `check.rs` reads nothing but the log.

mod check;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::claims::{LEASE, text};
use crate::harness::{Client, DEADLINE, HubProcess};
use crate::lives::Lives;

use super::Agent;
use super::agent::Outcome;

const TASKS: usize = 500;
const KILLS: usize = 3;
/// Of the worker that never comes back. Shorter than the schema tells models, so that the test does not wait for long.
const GHOST_SECONDS: u32 = 5;
/// After so many milliseconds a client is killed that claims. The last are long enough for an answer.
const KILLED_AFTER_MS: [u64; 5] = [0, 1, 3, 10, 300];
/// All together, kills included.
const TIME_MAX: Duration = Duration::from_secs(240);

/// What all workers share.
#[derive(Default)]
struct Score {
    done: watch::Sender<usize>,
    /// Claims after the death of their client that got back what it had been given.
    regained: AtomicUsize,
}

struct Worker {
    name: &'static str,
    hub: Lives,
    score: Arc<Score>,
}

impl Worker {
    fn is_over(&self) -> bool {
        *self.score.done.borrow() >= TASKS
    }

    fn count_done(&self) {
        self.score.done.send_modify(|count| *count += 1);
    }

    async fn work_by_http(mut self) {
        while !self.is_over() {
            let wish = json!({ "worker": self.name, "wait_seconds": 1 });
            let (status, task) =
                self.hub.ask(|it| it.request(Method::POST, "/api/tasks/claim").json(&wish)).await;
            if status == StatusCode::NO_CONTENT {
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{task}");
            let path = format!("/api/tasks/status/{}", text(&task, "/id"));
            let (lease, report) = (text(&task, "/lease/id"), json!({ "new_status": "done" }));
            let request = |it: &Client| it.request(Method::PUT, &path).header(LEASE, lease).json(&report);
            let (status, body) = self.hub.ask(request).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            self.count_done();
        }
    }

    async fn work_by_mcp(mut self, agent: Agent) {
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let expected = if number % 5 == 0 { self.die_claiming(&agent, number / 5).await } else { None };
            let wish = json!({ "worker": self.name, "wait_seconds": 1 });
            let claimed = self.call(&agent, "claim_task", &wish).await;
            if let Some(expected) = expected {
                assert_eq!(claimed["key"], expected, "what the worker has been given already");
                self.score.regained.fetch_add(1, Relaxed);
            }
            if claimed == json!({}) {
                continue;
            }
            let beat = json!({ "lease": claimed["lease"], "progress": "at work" });
            assert_eq!(self.call(&agent, "heartbeat", &beat).await["stop"], false);
            let report = json!({ "lease": claimed["lease"], "summary": "Done", "proof": "Counted" });
            assert_eq!(self.call(&agent, "complete_task", &report).await["status"], "done");
            self.count_done();
        }
    }

    /// Calls in this life of the hub or a later one.
    async fn call(&mut self, agent: &Agent, tool: &str, arguments: &Value) -> Value {
        let (status, body) = self.hub.ask(|it| agent.at(it).call_request(tool, arguments.clone())).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        match agent.outcome(tool, &body) {
            Outcome::Data(data) => data,
            other => panic!("{tool}: {other:?}"),
        }
    }

    /// The client is killed while it claims. What it has been given all the same is the answer.
    async fn die_claiming(&mut self, agent: &Agent, number: usize) -> Option<Value> {
        let agent = agent.at(&self.hub.client().await);
        let request = agent.call_request("claim_task", json!({ "worker": self.name }));
        let patience = Duration::from_millis(KILLED_AFTER_MS[number % KILLED_AFTER_MS.len()]);
        let _ = tokio::time::timeout(patience, agent.client.try_send(request)).await;
        let path = format!("/api/tasks?assignee={}&status=inprogress", self.name);
        let (_, held) = self.hub.ask(|it| it.request(Method::GET, &path)).await;
        let held = held.as_array().expect("tasks");
        assert!(held.len() < 2, "one at a time: {held:?}");
        held.first().map(|task| task["key"].clone())
    }
}

/// Tasks that wait for some of those before them, in plans of a hundred.
async fn create(agent: &Agent) {
    let mut keys: Vec<String> = Vec::new();
    for first in (0..TASKS).step_by(100) {
        let name = |number: usize| match keys.get(number) {
            Some(key) => key.clone(),
            None => format!("task {number}"),
        };
        let draft = |number: usize| {
            let mut blockers = Vec::new();
            if !number.is_multiple_of(3) {
                blockers.extend([7, 13].into_iter().filter_map(|back| number.checked_sub(back)).map(name));
            }
            json!({ "name": format!("task {number}"), "title": number.to_string(), "blocked_by": blockers })
        };
        // The last come first, so that the hub has to put them in order.
        let tasks: Vec<_> = (first..first + 100).rev().map(draft).collect();
        let created = agent.data("create_tasks", json!({ "tasks": tasks })).await;
        let rows = created["tasks"].as_array().expect("tasks").iter().rev();
        keys.extend(rows.map(|row| row["key"].as_str().expect("a key").to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_by_mcp_and_two_by_http_do_each_task_once_through_kill_9() {
    tokio::time::timeout(TIME_MAX, play()).await.expect("in time");
}

async fn play() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let agent = Agent::of(&hub.client).await;
    create(&agent).await;
    // It is killed before it hears of its task.
    agent.data("claim_task", json!({ "worker": "ghost", "lease_seconds": GHOST_SECONDS })).await;

    let lives = watch::Sender::new(Some(hub.client.clone()));
    let score = Arc::new(Score::default());
    let (started, mut workers) = (Instant::now(), JoinSet::new());
    let worker = |name| Worker { name, hub: Lives::of(&lives), score: score.clone() };
    workers.spawn(worker("ada").work_by_mcp(agent.clone()));
    workers.spawn(worker("bob").work_by_mcp(agent.clone()));
    workers.spawn(worker("cy").work_by_http());
    workers.spawn(worker("dan").work_by_http());
    let mut done = score.done.subscribe();
    for kill in 1..=KILLS {
        let goal = TASKS * kill / (KILLS + 1);
        let reached = tokio::time::timeout(DEADLINE * 2, done.wait_for(|done| *done >= goal)).await;
        reached.expect("the work goes on").expect("somebody works");
        lives.send_replace(None);
        hub.kill();
        hub = HubProcess::start(directory.path(), &[]).await;
        lives.send_replace(Some(hub.client.clone()));
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("no panic");
    }
    let took = started.elapsed();

    let counted = check::check(&hub.client, TASKS).await;
    let regained = score.regained.load(Relaxed);
    println!("{TASKS} tasks, {KILLS} kills, {counted:?}, {regained} tasks regained, {took:.1?}");
    assert_eq!(counted.expired, ["ghost"], "others got what it left behind");
    assert!(regained > 0, "no client was killed between the grant and its answer");
    assert_eq!(hub.terminate().await, Some(0));
}
