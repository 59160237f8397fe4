//! A writer: one wish after another, each with what became of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::harness::Client;

use super::batch::{Batch, Sent};
use super::imagination::{Imagination, Known, KnownQuestion};
use super::moment::{Moment, Moments, Phase};
use super::schedule::WriterPlan;
use super::wish::{Wish, WishKind};

/// What became of a wish.
#[derive(Debug)]
pub enum Outcome {
    /// With the body of the answer.
    Acknowledged(Value),
    Refused,
    /// The answer never came: done once, or not at all.
    Unknown,
}

/// What one writer did.
#[derive(Debug, Default)]
pub struct Log {
    pub wishes: Vec<(Wish, Outcome)>,
    pub probes: Vec<Probe>,
    pub late_answers: Vec<LateAnswer>,
    pub batches: Vec<Sent>,
}

/// What was said to somebody whose answer came after the end of the question.
#[derive(Debug)]
pub struct LateAnswer {
    pub question: String,
    /// For people.
    pub detail: String,
    /// The question, which could be read right after; null when it could not.
    pub found: Value,
}

/// What could be read right after a version of a task was acknowledged.
#[derive(Debug)]
pub struct Probe {
    pub task: String,
    pub version: i64,
    /// The version that was there; none when there was no task.
    pub found: Option<i64>,
}

/// How many in a hundred acknowledged changes are followed by a look.
const PROBE_PERCENT: u64 = 10;

/// How many in a hundred requests are batches.
const BATCH_PERCENT: u64 = 8;
/// How many of a task's questions a writer may answer.
const QUESTIONS_MAX: usize = 3;

/// The tasks that writers know of, as they were seen last.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<Vec<Known>>);

impl Tasks {
    pub fn ids(&self) -> Vec<String> {
        self.list(|tasks| tasks.iter().map(|known| known.task.clone()).collect())
    }

    fn list<T>(&self, look: impl FnOnce(&mut Vec<Known>) -> T) -> T {
        look(&mut self.0.lock().expect("no panic inside"))
    }

    fn saw(&self, body: &Value) {
        let id = body["id"].as_str().expect("an id");
        let version = body["version"].as_i64().expect("a version");
        let lease = body["lease"]["id"].as_str().map(str::to_owned);
        self.list(|tasks| match tasks.iter_mut().find(|known| known.task == id) {
            Some(known) => {
                known.version = known.version.max(version);
                // One that has ended is kept, to be tried again in vain.
                known.lease = lease.or(known.lease.take());
            }
            None => tasks.push(Known { task: id.to_owned(), version, lease, questions: Vec::new() }),
        });
    }

    fn heard(&self, question: &Value) {
        let options = question["options"].as_array().expect("a list").iter().filter_map(Value::as_str);
        let question_known = KnownQuestion {
            id: question["id"].as_str().expect("an id").to_owned(),
            options: options.map(str::to_owned).collect(),
        };
        self.list(|tasks| {
            if let Some(known) = tasks.iter_mut().find(|known| question["task_id"] == known.task.as_str()) {
                known.questions.insert(0, question_known);
                known.questions.truncate(QUESTIONS_MAX);
            }
        });
    }

    fn lost(&self, id: &str) {
        self.list(|tasks| tasks.retain(|known| known.task != id));
    }
}

pub struct Writer {
    pub name: usize,
    pub plan: WriterPlan,
    pub tasks: Arc<Tasks>,
    pub moments: Moments,
    pub http: reqwest::Client,
    /// Counts what is acknowledged to all writers.
    pub acknowledged: watch::Sender<u64>,
    pub enough: CancellationToken,
}

impl Writer {
    /// Writes until it is enough, through all lives of the hub.
    pub async fn write(mut self) -> Log {
        let mut log = Log::default();
        let mut imagination = Imagination {
            random: self.plan.random.fork(),
            writer: self.name,
            count: 0,
            heavy_percent: self.plan.heavy_percent,
        };
        while !self.enough.is_cancelled() {
            // Both are cancel safe.
            let moment = tokio::select! {
                () = self.enough.cancelled() => break,
                moment = self.moments.up() => match moment {
                    Some(moment) => moment,
                    None => break,
                },
            };
            let known = self.tasks.list(|tasks| tasks.clone());
            let is_full = known.len() >= self.plan.tasks_max;
            let asked = match self.plan.random.chance(BATCH_PERCENT) {
                true => {
                    let batch = imagination.batch(&known, is_full);
                    let outcomes = self.send(&moment, &batch).await;
                    let wishes = log.wishes.len()..log.wishes.len() + batch.wishes.len();
                    log.batches.push(Sent { atomic: batch.atomic, wishes });
                    batch.wishes.into_iter().zip(outcomes).collect()
                }
                false => {
                    let wish = imagination.wish(&known, is_full);
                    let outcome = self.ask(&moment, &wish, &mut log).await;
                    vec![(wish, outcome)]
                }
            };
            match asked.last() {
                Some((_, Outcome::Unknown)) => self.wait_for_the_end_of(&moment).await,
                Some((_, Outcome::Acknowledged(body))) if self.plan.random.chance(PROBE_PERCENT) => {
                    log.probes.extend(self.probe(&moment, body).await);
                }
                _ => {}
            }
            log.wishes.extend(asked);
            if self.plan.random.chance(self.plan.pause_percent) {
                tokio::time::sleep(Duration::from_micros(self.plan.random.between(100..=8000))).await;
            }
        }
        log
    }

    async fn ask(&self, moment: &Moment, wish: &Wish, log: &mut Log) -> Outcome {
        let client = Client::sharing(moment.address, self.http.clone());
        let answer = client.try_send(wish.request(&client)).await;
        let answer = match answer {
            // Looked at only now: an answer counts if it was here before the crash.
            Ok(answer) if !moment.has_crashed() => answer,
            _ => return Outcome::Unknown,
        };
        match answer.status {
            // Nothing was ready.
            StatusCode::NO_CONTENT if matches!(wish.kind, WishKind::Claim { .. }) => Outcome::Refused,
            status if status.is_success() => {
                self.note(wish, &answer.body);
                Outcome::Acknowledged(answer.body)
            }
            status if status.is_client_error() => {
                if let WishKind::Update { task, .. }
                | WishKind::Delete { task, .. }
                | WishKind::Comment { task, .. }
                | WishKind::Ask { task, .. } = &wish.kind
                    && status == StatusCode::NOT_FOUND
                {
                    self.tasks.lost(task);
                }
                if let WishKind::Answer { question, .. } = &wish.kind
                    && status == StatusCode::CONFLICT
                {
                    let detail = answer.body["detail"].as_str().expect("words").to_owned();
                    let found = self.question(moment, &client, question).await;
                    log.late_answers.push(LateAnswer { question: question.clone(), detail, found });
                }
                Outcome::Refused
            }
            // "The hub cannot serve the request now; nothing was changed": it is ending.
            StatusCode::SERVICE_UNAVAILABLE => Outcome::Refused,
            _ => panic!("complete: {wish:?} was answered {answer:?}"),
        }
    }

    /// Sends a batch, and answers what became of each of its wishes.
    async fn send(&self, moment: &Moment, batch: &Batch) -> Vec<Outcome> {
        let client = Client::sharing(moment.address, self.http.clone());
        let outcomes = match client.try_send(batch.request(&client)).await {
            Ok(answer) if !moment.has_crashed() => batch.outcomes(&answer),
            _ => batch.all(|| Outcome::Unknown),
        };
        for (wish, outcome) in batch.wishes.iter().zip(&outcomes) {
            if let Outcome::Acknowledged(body) = outcome {
                self.note(wish, body);
            }
        }
        outcomes
    }

    /// Reads a task whose change was just acknowledged.
    async fn probe(&self, moment: &Moment, body: &Value) -> Option<Probe> {
        let (task, version) = (body["id"].as_str()?, body["version"].as_i64()?);
        let client = Client::sharing(moment.address, self.http.clone());
        let answer =
            client.try_send(client.request(Method::GET, &format!("/api/tasks/{task}"))).await.ok()?;
        let is_answer = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
        (is_answer && !moment.has_crashed()).then(|| Probe {
            task: task.to_owned(),
            version,
            found: answer.body["version"].as_i64(),
        })
    }

    /// A question as it is; null when it cannot be read.
    async fn question(&self, moment: &Moment, client: &Client, id: &str) -> Value {
        match client.try_send(client.request(Method::GET, &format!("/api/questions/{id}"))).await {
            Ok(answer) if answer.status.is_success() && !moment.has_crashed() => answer.body,
            _ => Value::Null,
        }
    }

    /// Notes what was acknowledged.
    fn note(&self, wish: &Wish, body: &Value) {
        let is_impossible = matches!(wish.kind, WishKind::Impossible(_));
        assert!(!is_impossible, "complete: {wish:?} was granted: {body}");
        self.acknowledged.send_modify(|count| *count += 1);
        match &wish.kind {
            WishKind::Create(_) | WishKind::Update { .. } | WishKind::Claim { .. } => self.tasks.saw(body),
            WishKind::Delete { task, .. } => self.tasks.lost(task),
            WishKind::Ask { .. } => self.tasks.heard(body),
            WishKind::Announce(_)
            | WishKind::Answer { .. }
            | WishKind::Comment { .. }
            | WishKind::GiveBack { .. }
            | WishKind::Impossible(_) => {}
        }
    }

    /// A hub that does not answer is ending, or has ended before its end was announced.
    async fn wait_for_the_end_of(&mut self, moment: &Moment) {
        let over = |now: &Option<Moment>| {
            now.as_ref()
                .is_some_and(|now| now.life != moment.life || now.phase == Phase::Ending || now.has_crashed())
        };
        // Both are cancel safe. An error says that there will be no other life.
        tokio::select! {
            () = self.enough.cancelled() => {}
            _ = self.moments.0.wait_for(over) => {}
        }
    }
}
