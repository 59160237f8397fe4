//! An observer: follows the hub through its lives, by one transport and one filter, and writes down what it
//! sees. It cuts its connections, stalls, stays away, and always comes back with the last id it was given.

mod log;
mod poll;
mod stream;

pub use log::{Asked, Ended, Log, Record, Visit};

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::harness::{Answer, Client};

use super::message::{self, Shelf};
use super::moment::{Moment, Moments, Phase};
use super::schedule::{ObserverPlan, Transport};
use super::writer::Tasks;

/// How long it may take, once all is written, until an observer has seen it.
const FINISH_TIME_MAX: Duration = Duration::from_secs(10);

pub struct Observer {
    pub plan: ObserverPlan,
    pub tasks: Arc<Tasks>,
    pub moments: Moments,
    pub http: reqwest::Client,
    pub shelf: Arc<Shelf>,
    state: State,
}

/// Where it stands.
#[derive(Default)]
struct State {
    /// The last id it was given.
    position: Option<Position>,
    /// The last of what it has to see, once that is known.
    target: Option<u64>,
    /// A long poll has lost its position, and goes on with the oldest event there is.
    was_overtaken: bool,
    /// When it gives up.
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    epoch: String,
    seq: u64,
}

impl Position {
    fn of(id: &str) -> Self {
        let (epoch, seq) = message::parts(id);
        Self { epoch: epoch.to_owned(), seq }
    }

    fn id(&self) -> String {
        format!("{}-{}", self.epoch, self.seq)
    }
}

/// Until it is time to give up.
async fn give_up(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Whether an observer has seen all that it can.
enum Progress {
    Done,
    NotYet,
    /// Its position is gone, which the stream itself cannot know: it must ask anew.
    Overtaken,
}

impl Observer {
    pub fn new(
        plan: ObserverPlan,
        tasks: Arc<Tasks>,
        moments: Moments,
        http: reqwest::Client,
        shelf: Arc<Shelf>,
    ) -> Self {
        Self { plan, tasks, moments, http, shelf, state: State::default() }
    }

    /// Observes until it has seen everything.
    pub async fn observe(mut self, number: usize) -> Log {
        let mut visits: Vec<Visit> = Vec::new();
        while let Some(moment) = self.moments.up().await {
            if visits.is_empty() && self.plan.by_task {
                self.choose_tasks();
            }
            let visit = match self.plan.transport {
                Transport::LongPoll => self.poll(&moment).await,
                _ => self.follow(&moment).await,
            };
            let ended = visit.ended;
            visits.push(visit);
            if matches!(ended, Ended::Finished | Ended::Stuck) {
                break;
            }
            self.stay_away().await;
        }
        let plan = self.plan;
        let is_stuck = visits.last().is_none_or(|visit| visit.ended != Ended::Finished);
        let snapshot = if plan.snapshot { "&snapshot=true" } else { "" };
        let http = if plan.by_http2 { " by HTTP/2" } else { "" };
        let name = format!("observer {number} ({:?}{http}{}{snapshot})", plan.transport, plan.filter.query());
        Log {
            name,
            transport: plan.transport,
            filter: plan.filter,
            snapshot: plan.snapshot,
            visits,
            is_stuck,
        }
    }

    fn choose_tasks(&mut self) {
        let known = self.tasks.ids();
        if !known.is_empty() {
            self.plan.filter.tasks = self.plan.random.some(&known, 3);
        }
    }

    async fn stay_away(&mut self) {
        let is_finishing = |it: Moment| matches!(it.phase, Phase::Finishing(_));
        if self.plan.away_ms_max > 0 && !self.moments.now().is_some_and(is_finishing) {
            self.rest(self.plan.away_ms_max).await;
        } else {
            // A hub that has gone may not have been declared gone yet.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Does nothing for a while, unless something happens to the hub.
    async fn rest(&mut self, ms_max: u64) {
        let time = Duration::from_micros(self.plan.random.between(0..=ms_max * 1000));
        // Both are cancel safe.
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.moments.changed() => {}
        }
    }

    /// The phase of this life.
    fn phase(&self, moment: &Moment) -> Phase {
        match self.moments.now() {
            Some(now) if now.life == moment.life => now.phase,
            _ => Phase::Ending,
        }
    }

    /// Once all is written there is a time to give up.
    fn finish_in_time(&mut self) {
        self.state.deadline.get_or_insert_with(|| Instant::now() + FINISH_TIME_MAX);
    }

    async fn get(&self, moment: &Moment, path: &str) -> Option<Answer> {
        let client = Client::sharing(moment.address, self.http.clone());
        let answer = client.try_send(client.request(Method::GET, path)).await.ok()?;
        (!moment.has_crashed()).then_some(answer)
    }

    /// Where the log begins and ends.
    async fn standing(&self, moment: &Moment) -> Option<(Position, Position)> {
        let status = self.get(moment, "/api/events/status").await?.body;
        let position = |name: &str| Position::of(status[name].as_str().expect("an id"));
        Some((position("oldest"), position("head")))
    }

    /// Asks the store how far it goes, after an event was seen: it has to be in there.
    async fn probe(&mut self, moment: &Moment) -> Option<Record> {
        let seen = self.state.position.clone()?.seq;
        let answer = self.get(moment, "/api/tasks?limit=1").await?;
        let committed = Position::of(answer.header("taskhub-cursor")).seq;
        Some(Record::Probed { seen, committed })
    }

    /// What is left to see once all is written. The last message that will come is found by asking for it,
    /// since a filtered stream is not told how far it has been looked through.
    async fn progress(&mut self, moment: &Moment, head: u64) -> Progress {
        let position = match self.state.position.clone() {
            Some(position) if position.seq > 0 || !self.plan.snapshot => position,
            // Nothing yet, or a part of a snapshot.
            _ => return Progress::NotYet,
        };
        if self.state.target.is_none() {
            match self.last_to_come(moment, &position, head).await {
                Some(target) => self.state.target = Some(target),
                None => return Progress::Overtaken,
            }
        }
        match self.state.target {
            Some(target) if position.seq >= target => Progress::Done,
            _ => Progress::NotYet,
        }
    }

    /// The seq of the last event that will be seen. `None` when the position is gone.
    async fn last_to_come(&self, moment: &Moment, position: &Position, head: u64) -> Option<u64> {
        if self.plan.filter.is_empty() {
            return Some(head);
        }
        let (mut cursor, mut last) = (position.clone(), position.seq);
        while cursor.seq < head {
            let filter = self.plan.filter.query();
            let path = format!("/api/events?since={}&limit=1000{filter}", cursor.id());
            let answer = self.get(moment, &path).await.expect("the hub stays now");
            if answer.status == StatusCode::GONE {
                return None;
            }
            let events = answer.body.as_array().expect("a list");
            last = events.last().map_or(last, |event| crate::sse::seq(&event["id"]));
            cursor = Position::of(answer.header("taskhub-cursor"));
        }
        Some(last)
    }
}
