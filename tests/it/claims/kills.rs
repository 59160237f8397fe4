//! Claims through kill -9: every task is done once, by one owner at a time, and a lease that was lost changes nothing.
//!
//! 64 workers take 10,000 tasks while the hub is killed twenty times under them. Most do what they have got. Some give it
//! back, some have it taken away by a person, some let it expire, and each of these reports all the same, under a lease that
//! it has lost. An answer that never came is asked for again. Every report names its lease in `artifacts`, so the log alone
//! shows under which lease each write was made, and `check.rs` reads nothing but the log.
//!
//! `TASKHUB_CLAIMS_TASKS` is another number of tasks.

mod check;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::{Client, DEADLINE, HubProcess};
use crate::lives::Lives;

use super::{LEASE, text};

const WORKERS: usize = 64;
const KILLS: usize = 20;
/// Unless the environment says otherwise.
const TASKS: usize = 10_000;
/// The shortest, so that what is left behind expires while the others work.
const LEASE_SECONDS: u32 = 5;
/// So many in each thousand claims lose their lease, for each of the three ways to lose one.
const LOST_PER_MILLE: usize = 10;
/// All together, kills included.
const TIME_MAX: Duration = Duration::from_secs(300);

/// What all workers share.
#[derive(Default)]
struct Score {
    claims: AtomicUsize,
    done: watch::Sender<usize>,
    refused: AtomicUsize,
}

/// What a worker does with a task.
#[derive(Clone, Copy)]
enum Deed {
    Do,
    GiveBack,
    LoseToSomebody,
    LetExpire,
}

impl Deed {
    fn of(number: usize) -> Self {
        match number % 1000 / LOST_PER_MILLE {
            0 => Self::GiveBack,
            1 => Self::LoseToSomebody,
            2 => Self::LetExpire,
            _ => Self::Do,
        }
    }
}

/// A task that was claimed.
struct Held {
    task: String,
    lease: String,
}

struct Worker {
    name: String,
    hub: Lives,
    score: Arc<Score>,
    tasks: usize,
    /// What it has left behind.
    left: Vec<Held>,
    /// How long each claim took that was answered in one life of the hub.
    times: Vec<Duration>,
}

impl Worker {
    /// Works until all is done.
    async fn work(mut self) -> Vec<Duration> {
        while *self.score.done.borrow() < self.tasks {
            let Some(held) = self.claim().await else { continue };
            let number = self.score.claims.fetch_add(1, Relaxed);
            match Deed::of(number) {
                Deed::Do => {
                    let (status, body) = self.report(&held, "done").await;
                    if status == StatusCode::OK {
                        assert_eq!(text(&body, "/artifacts/0"), held.lease);
                        self.score.done.send_modify(|count| *count += 1);
                    } else {
                        // A lease may expire under a worker that had to wait for the hub.
                        assert_lost(status, &body);
                    }
                }
                Deed::GiveBack => {
                    let path = format!("/api/leases/{}", held.lease);
                    let (status, _) = self.hub.ask(|it| it.request(Method::DELETE, &path)).await;
                    // Refused when it was given back before, and the answer was lost.
                    assert!(matches!(status, StatusCode::NO_CONTENT | StatusCode::CONFLICT), "{status}");
                    self.report_in_vain(&held).await;
                }
                Deed::LoseToSomebody => {
                    let (path, body) =
                        (format!("/api/tasks/status/{}", held.task), json!({ "new_status": "todo" }));
                    let (status, _) = self.hub.ask(|it| it.request(Method::PUT, &path).json(&body)).await;
                    assert_eq!(status, StatusCode::OK);
                    self.report_in_vain(&held).await;
                }
                Deed::LetExpire => self.left.push(held),
            }
        }
        // All tasks are done, so these leases have ended.
        for held in std::mem::take(&mut self.left) {
            self.report_in_vain(&held).await;
        }
        self.times
    }

    async fn claim(&mut self) -> Option<Held> {
        // What it has left behind would be given to it again.
        let another = !self.left.is_empty();
        let body = json!({
            "worker": self.name, "lease_seconds": LEASE_SECONDS, "wait_seconds": 1, "another": another,
        });
        let started = Instant::now();
        let (status, body) =
            self.hub.ask(|it| it.request(Method::POST, "/api/tasks/claim").json(&body)).await;
        if status == StatusCode::NO_CONTENT {
            return None;
        }
        assert_eq!(status, StatusCode::OK, "{body}");
        self.times.push(started.elapsed());
        assert_eq!(text(&body, "/assignee"), self.name);
        Some(Held { task: text(&body, "/id").to_owned(), lease: text(&body, "/lease/id").to_owned() })
    }

    async fn report(&mut self, held: &Held, status: &str) -> (StatusCode, Value) {
        let path = format!("/api/tasks/status/{}", held.task);
        let body = json!({ "new_status": status, "artifacts": [held.lease] });
        let request = |it: &Client| it.request(Method::PUT, &path).header(LEASE, &held.lease).json(&body);
        self.hub.ask(request).await
    }

    async fn report_in_vain(&mut self, held: &Held) {
        let (status, body) = self.report(held, "done").await;
        assert_lost(status, &body);
        self.score.refused.fetch_add(1, Relaxed);
    }
}

fn assert_lost(status: StatusCode, body: &Value) {
    assert_eq!((status, text(body, "/code")), (StatusCode::CONFLICT, "lease_lost"));
}

/// All of them, in batches.
async fn create(client: &Client, tasks: usize) {
    let all: Vec<_> = (0..tasks)
        .map(|number| {
            let task = json!({ "title": number.to_string(), "attempts_max": 100 });
            json!({ "action": "create", "task": task })
        })
        .collect();
    for operations in all.chunks(1000) {
        let body = json!({ "atomic": true, "operations": operations });
        let answer = client.post("/api/tasks/batch", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_kill_9_every_claimed_task_is_done_once_and_no_lost_lease_changes_anything() {
    let tasks = crate::oracle::from_environment("TASKHUB_CLAIMS_TASKS").map_or(TASKS, |count| count as usize);
    tokio::time::timeout(TIME_MAX, play(tasks)).await.expect("in time");
}

async fn play(tasks: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    create(&hub.client, tasks).await;

    let address = watch::Sender::new(Some(hub.client.clone()));
    let score = Arc::new(Score::default());
    let mut workers = JoinSet::new();
    let (started, mut down) = (Instant::now(), Duration::ZERO);
    for number in 0..WORKERS {
        let worker = Worker {
            name: format!("worker {number}"),
            hub: Lives::of(&address),
            score: score.clone(),
            tasks,
            left: Vec::new(),
            times: Vec::new(),
        };
        workers.spawn(worker.work());
    }
    let mut done = score.done.subscribe();
    for kill in 1..=KILLS {
        let goal = tasks * kill / (KILLS + 1);
        let reached = tokio::time::timeout(DEADLINE * 3, done.wait_for(|done| *done >= goal)).await;
        reached.expect("the work goes on").expect("somebody works");
        let killed = Instant::now();
        address.send_replace(None);
        hub.kill();
        hub = HubProcess::start(directory.path(), &[]).await;
        address.send_replace(Some(hub.client.clone()));
        down += killed.elapsed();
    }
    let mut times = Vec::new();
    while let Some(of_worker) = workers.join_next().await {
        times.extend(of_worker.expect("no panic"));
    }
    let worked = started.elapsed() - down;

    let counted = check::check(&hub.client, tasks).await;
    let refused = score.refused.load(Relaxed);
    assert!(refused > 0 && counted.lost >= refused, "{refused} reports under {} lost leases", counted.lost);
    times.sort();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    println!(
        "{tasks} tasks, {KILLS} kills, {} leases, {} lost, {refused} reports refused; {:.0} claims/s while the hub was up, \
         each with its report; a claim takes {:.1?}, p99 {:.1?}",
        counted.leases,
        counted.lost,
        counted.leases as f64 / worked.as_secs_f64(),
        at(500),
        at(990),
    );
    assert_eq!(hub.terminate().await, Some(0));
}
