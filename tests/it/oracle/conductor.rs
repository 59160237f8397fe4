//! Plays one schedule: starts and ends the hub's lives while writers write and observers observe, and brings
//! it to an end at which everybody has seen everything.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Map, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{Client, DEADLINE, all_pages};

use super::history::History;
use super::message::Shelf;
use super::moment::{Moment, Moments, Phase};
use super::observer::{self, Observer};
use super::rest::rest;
use super::schedule::Schedule;
use super::wish::{Wish, WishKind};
use super::world::World;
use super::writer::{self, Outcome, Tasks, Writer};

struct Conductor {
    world: World,
    moments: watch::Sender<Option<Moment>>,
    acknowledged: watch::Sender<u64>,
    http: reqwest::Client,
}

/// # Panics
/// When the hub answers something that it should never answer.
pub async fn play(schedule: Schedule) -> History {
    let mut conductor = Conductor {
        world: World::new(schedule.place, &schedule.hub),
        moments: watch::Sender::new(None),
        acknowledged: watch::Sender::new(0),
        http: crate::wire::Wire::Plain.builder().timeout(DEADLINE).build().expect("a client"),
    };
    let tasks = Arc::new(Tasks::default());
    let enough = CancellationToken::new();
    let mut observers = conductor.observers(&schedule, &tasks);
    let mut writers = conductor.writers(&schedule, &tasks, &enough);

    let moment = conductor.through_the_lives(&schedule).await;
    enough.cancel();
    let mut logs = joined(&mut writers).await;
    let client = Client::sharing(moment.address, conductor.http.clone());
    logs.push(rest(&client).await);
    let (last_words, head) = last_words(&client).await;
    logs.push(last_words);
    conductor.announce(moment.in_phase(Phase::Finishing(head)));
    let observers = joined(&mut observers).await;
    let lists = lists(&client, &observers).await;
    let questions = all_pages(&client, "/api/questions?limit=7".into()).await;
    let executions = all_pages(&client, "/api/executions?limit=4".into()).await;
    conductor.world.stop().await;
    conductor.world.clear_away().await;
    History { schedule, observers, writers: logs, head, lists, questions, executions }
}

impl Conductor {
    fn observers(&self, schedule: &Schedule, tasks: &Arc<Tasks>) -> JoinSet<observer::Log> {
        let shelf = Arc::new(Shelf::default());
        let mut observers = JoinSet::new();
        for (number, plan) in schedule.observers.iter().enumerate() {
            let moments = Moments(self.moments.subscribe());
            let (tasks, http, shelf) = (tasks.clone(), self.http.clone(), shelf.clone());
            let observer = Observer::new(plan.clone(), tasks, moments, http, shelf);
            observers.spawn(observer.observe(number));
        }
        observers
    }

    fn writers(
        &self,
        schedule: &Schedule,
        tasks: &Arc<Tasks>,
        enough: &CancellationToken,
    ) -> JoinSet<writer::Log> {
        let mut writers = JoinSet::new();
        for (name, plan) in schedule.writers.iter().enumerate() {
            let writer = Writer {
                name,
                plan: plan.clone(),
                tasks: tasks.clone(),
                moments: Moments(self.moments.subscribe()),
                http: self.http.clone(),
                acknowledged: self.acknowledged.clone(),
                enough: enough.clone(),
            };
            writers.spawn(writer.write());
        }
        writers
    }

    /// Through all lives but the end of the last one, which goes on.
    async fn through_the_lives(&mut self, schedule: &Schedule) -> Moment {
        let mut life = 0;
        loop {
            let plan = schedule.lives[life];
            life += 1;
            let moment = Moment::new(life as u32, self.world.start().await);
            self.announce(moment.clone());
            self.wait_for_changes(plan.changes).await;
            if life == schedule.lives.len() {
                return moment;
            }
            // Not to wait for anything: it chooses the moment.
            tokio::time::sleep(Duration::from_micros(plan.delay_us)).await;
            let ending = moment.in_phase(Phase::Ending);
            if plan.crashes {
                self.world.crash(&moment).await;
                self.announce(ending);
            } else {
                self.announce(ending);
                self.world.stop().await;
            }
        }
    }

    fn announce(&self, moment: Moment) {
        self.moments.send_replace(Some(moment));
    }

    async fn wait_for_changes(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        let goal = *acknowledged.borrow() + count;
        let is_reached = |now: &u64| {
            self.world.set_time(*now);
            *now >= goal
        };
        let reached = tokio::time::timeout(DEADLINE, acknowledged.wait_for(is_reached)).await;
        assert!(reached.is_ok(), "the hub does not take {count} changes in time");
    }
}

/// A change of each kind after everything else, so that there is an end to wait for.
async fn last_words(client: &Client) -> (writer::Log, u64) {
    let mark = "[[the end]]";
    let words = |pairs: &[(&str, &str)]| -> Map<String, serde_json::Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    };
    let wishes = [
        WishKind::Create(words(&[("title", mark), ("assignee", "ada"), ("priority", "high")])),
        WishKind::Announce(words(&[("level", "info"), ("message", mark)])),
    ];
    let (mut log, mut head) = (writer::Log::default(), 0);
    for kind in wishes {
        let wish = Wish { mark: mark.to_owned(), kind };
        let answer = client.send(wish.request(client)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        if let WishKind::Announce(_) = wish.kind {
            head = crate::sse::seq(&answer.body["id"]);
        }
        log.wishes.push((wish, Outcome::Acknowledged(answer.body)));
    }
    (log, head)
}

/// The tasks, by every filter that an observer had.
async fn lists(client: &Client, observers: &[observer::Log]) -> Vec<(String, Vec<serde_json::Value>)> {
    let mut lists: Vec<(String, Vec<serde_json::Value>)> = Vec::new();
    for observer in observers.iter().filter(|it| it.filter.shows_whole_tasks()) {
        let query = observer.filter.query_on_tasks();
        if lists.iter().all(|(known, _)| *known != query) {
            let tasks = all_pages(client, format!("/api/tasks?limit=3{query}")).await;
            lists.push((query, tasks));
        }
    }
    lists
}

/// What all of them answer, in any order.
async fn joined<T: Send + 'static>(tasks: &mut JoinSet<T>) -> Vec<T> {
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
