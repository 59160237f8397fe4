//! `subscriptions/listen`: tells a client which of the resources that it follows have changed. The log says so, from the
//! moment on at which the request arrived.
//!
//! A client hears of a resource at most once a second. What changes meanwhile is told at the end of that second: reading the
//! resource then shows all of it.

use std::collections::{BTreeSet, HashMap};

use rmcp::service::SubscriptionContext;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::domain::filter::{EventFilter, FacetFilter};
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::service::ServiceError;

use super::call::{Arrival, Call};
use super::failure::Failure;
use super::resource::Resource;

/// Most resources that one client follows.
pub const URIS_MAX: usize = 100;
/// Between two notices of one resource.
const PERIOD: Duration = Duration::from_secs(1);
/// Events that are looked through at once.
const PAGE: usize = 200;
/// Looking for events is begun anew after this time.
const LOOK_TIME: Duration = Duration::from_secs(3600);

/// What a client follows, found by what an event is about.
#[derive(Debug, Default)]
struct Followed {
    tasks: HashMap<TaskId, BTreeSet<String>>,
    logs: HashMap<TaskId, BTreeSet<String>>,
    /// By the name of the project.
    boards: HashMap<String, String>,
    /// Those of the boards and of the tasks. A task never changes its project.
    projects: BTreeSet<ProjectName>,
}

/// Runs until the client or its token has gone, or the hub ends.
///
/// # Errors
/// A [`Failure`] when the store cannot be read
pub async fn listen(call: &Call, subscription: &SubscriptionContext) -> Result<(), Failure> {
    let log = &call.context.events;
    let uris = subscription.accepted().resource_subscriptions.clone().unwrap_or_default();
    // Not the head of now: the client has been told that it is heard, and what has changed since then counts.
    let Arrival(mut cursor) = call.arrival;
    let followed = Followed::of(call, uris).await?;
    let look = !followed.is_empty();
    let filter = followed.filter(call);
    let mut told: HashMap<String, Instant> = HashMap::new();
    let mut changed: BTreeSet<String> = BTreeSet::new();
    loop {
        let due = changed.iter().map(|uri| told.get(uri).map_or_else(Instant::now, |at| *at + PERIOD)).min();
        let look_until = Instant::now() + LOOK_TIME;
        // All are cancel safe: they only look and wait.
        tokio::select! {
            () = subscription.cancelled() => return Ok(()),
            () = call.principal.gone.cancelled() => return Ok(()),
            () = log.draining().cancelled() => return Ok(()),
            () = until(due) => {
                for uri in std::mem::take(&mut changed) {
                    if told.get(&uri).is_some_and(|at| at.elapsed() < PERIOD) {
                        changed.insert(uri);
                    } else {
                        told.insert(uri.clone(), Instant::now());
                        if subscription.sink().notify_resource_updated(uri).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            history = log.history(cursor, filter.clone(), PAGE, look_until), if look => {
                match history? {
                    Some(history) => {
                        cursor = history.cursor.seq;
                        let list = [b"[", &history.events[..], b"]"].concat();
                        let events: Vec<Value> = serde_json::from_slice(&list).unwrap_or_default();
                        events.iter().for_each(|event| followed.touch(event, &mut changed));
                    }
                    // Retention has overtaken: anything may have changed.
                    None => {
                        cursor = log.head().seq;
                        changed.extend(followed.uris());
                    }
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Followed {
    /// A resource that is not there is passed over: the client learns that when it reads it.
    async fn of(call: &Call, uris: Vec<String>) -> Result<Self, Failure> {
        let mut followed = Self::default();
        for uri in uris {
            let (name, is_log) = match uri.parse() {
                Ok(Resource::Board(project)) => {
                    followed.projects.insert(project.clone());
                    followed.boards.insert(project.to_string(), uri);
                    continue;
                }
                Ok(Resource::Task(name)) => (name, false),
                Ok(Resource::Log(name)) => (name, true),
                Err(_) => continue,
            };
            let task = match name.find(&call.service).await {
                Ok(task) => task.value,
                Err(ServiceError::NoTask(_) | ServiceError::NoTaskOf(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let of_kind = if is_log { &mut followed.logs } else { &mut followed.tasks };
            of_kind.entry(task.id).or_default().insert(uri);
            followed.projects.insert(task.project);
        }
        Ok(followed)
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.logs.is_empty() && self.boards.is_empty()
    }

    /// Lets everything pass that is about what is followed, and little else.
    fn filter(&self, call: &Call) -> EventFilter {
        let allowed = call.service.actor().projects.clone();
        let mut filter = EventFilter {
            facets: FacetFilter { allowed, ..FacetFilter::default() },
            ..EventFilter::default()
        };
        if self.boards.is_empty() {
            filter.task_ids = self.tasks.keys().chain(self.logs.keys()).copied().collect();
        } else {
            // An event has to match every list, so the ids of tasks would leave out those of the boards.
            filter.facets.projects = self.projects.iter().cloned().collect();
        }
        filter
    }

    fn touch(&self, event: &Value, changed: &mut BTreeSet<String>) {
        let (kind, data) = (event["event"].as_str().unwrap_or_default(), &event["data"]);
        if let Some(id) = data["task_id"].as_str().and_then(|id| id.parse::<TaskId>().ok()) {
            changed.extend(self.tasks.get(&id).into_iter().flatten().cloned());
            if kind == "execution_event" {
                changed.extend(self.logs.get(&id).into_iter().flatten().cloned());
            }
        }
        // What a board shows of a task is in its own events, and these name the project.
        if let Some(project) = data["project"].as_str() {
            changed.extend(self.boards.get(project).cloned());
        }
    }

    fn uris(&self) -> impl Iterator<Item = String> {
        let of_tasks = self.tasks.values().chain(self.logs.values()).flatten();
        of_tasks.chain(self.boards.values()).cloned()
    }
}
