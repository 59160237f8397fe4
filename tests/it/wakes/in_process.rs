//! The use cases over a store in this process, which crashes now and then.

use std::thread::JoinHandle;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::Status;
use taskhub::service::{Precondition, Service, Signals};
use taskhub::store::{Store, StoreError, View};
use tempfile::TempDir;

use crate::harness::config;
use crate::oracle::{Random, image};

use super::graph::{Graph, WAVE};
use super::model::{self, Counted};

const TASKS: usize = 1000;
const CRASHES: usize = 3;
/// Tasks that are being finished at once.
const AT_ONCE: usize = 64;

/// One life of the store and what works on it.
struct Life {
    service: Service,
    store: Store,
    writer: JoinHandle<()>,
    directory: TempDir,
}

impl Life {
    fn begin(directory: TempDir) -> Self {
        let mut config = config(directory.path(), &[]);
        config.store.may_be_copied = true;
        let opened = Store::open(directory.path(), &config.store).expect("the store opens");
        let writer = opened.writer.start(|_, _| {}).expect("a thread");
        let (service, _) = Service::new(opened.store.clone(), &config.executor, Signals::default());
        Self { service, store: opened.store, writer, directory }
    }

    /// Nobody listens any more to what it does.
    async fn end(self) {
        self.store.close().await;
        tokio::task::spawn_blocking(|| self.writer.join()).await.expect("no panic").expect("no panic");
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.read(query).await.expect("it reads")
    }

    async fn finish(&self, task: usize, id: TaskId) -> usize {
        let report = from_json(json!({ "new_status": "done" }));
        let done = self.service.update_task_status(id, report, Precondition::default(), None).await;
        assert_eq!(done.expect("it is finished").value.status, Status::Done);
        task
    }
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it fits")
}

/// What is left to be finished, as one knows who finishes it.
struct Work<'a> {
    graph: &'a Graph,
    ids: &'a [TaskId],
    random: Random,
    /// How many in a hundred are finished although they wait for something.
    early_percent: u64,
    /// Finished, or about to be.
    begun: Vec<bool>,
    done: Vec<bool>,
    /// Those that wait for nothing.
    ready: Vec<usize>,
}

impl<'a> Work<'a> {
    fn new(graph: &'a Graph, ids: &'a [TaskId], random: Random, early_percent: u64, done: Vec<bool>) -> Self {
        let mut work =
            Self { graph, ids, random, early_percent, begun: done.clone(), done, ready: Vec::new() };
        work.ready = (0..graph.len()).filter(|task| work.is_open(*task)).collect();
        work
    }

    fn is_open(&self, task: usize) -> bool {
        !self.begun[task] && self.graph.blockers(task).all(|blocker| self.done[blocker])
    }

    fn next(&mut self) -> Option<usize> {
        let any = self.random.between(0..=self.begun.len() as u64 - 1) as usize;
        if self.random.chance(self.early_percent) && !std::mem::replace(&mut self.begun[any], true) {
            return Some(any);
        }
        while !self.ready.is_empty() {
            let at = self.random.between(0..=self.ready.len() as u64 - 1) as usize;
            let task = self.ready.swap_remove(at);
            if !std::mem::replace(&mut self.begun[task], true) {
                return Some(task);
            }
        }
        None
    }

    fn finished(&mut self, task: usize, waiting: &[Vec<usize>]) {
        self.done[task] = true;
        let released: Vec<_> = waiting[task].iter().copied().filter(|it| self.is_open(*it)).collect();
        self.ready.extend(released);
    }
}

/// # Panics
/// When the log is not as the model says.
pub async fn play(seed: u64) -> Counted {
    let mut random = Random::new(seed);
    let graph = Graph::new(&mut random, TASKS);
    let waiting = graph.waiting();
    let early_percent = if random.chance(33) { random.between(1..=30) } else { 0 };
    let mut life = Life::begin(tempfile::tempdir().expect("a directory"));
    let ids = create(&life.service, &graph).await;

    let mut crashes: Vec<usize> =
        (0..CRASHES).map(|_| random.between(1..=TASKS as u64 - 1) as usize).collect();
    crashes.sort_unstable();
    let (mut done, mut past) = (vec![false; graph.len()], Vec::new());
    for crash_after in crashes.into_iter().map(Some).chain([None]) {
        let mut work = Work::new(&graph, &ids, random.fork(), early_percent, done);
        let crashed = finish(&life, &mut work, &waiting, crash_after).await;
        done = work.done;
        let Some((image, acknowledged)) = crashed else { continue };
        past.push(tokio::spawn(std::mem::replace(&mut life, Life::begin(image)).end()));
        // What was acknowledged is there, and perhaps more.
        done = are_done(&life, &ids).await;
        let lost: Vec<_> = (0..graph.len()).filter(|task| acknowledged[*task] && !done[*task]).collect();
        assert!(lost.is_empty(), "acknowledged as done: {lost:?}");
    }
    let events = life.read(|view| view.events_after(0, usize::MAX >> 1, usize::MAX)).await;
    let events = events.into_iter().map(|event| serde_json::from_slice(&event.body).expect("JSON"));
    let counted = Counted { crashes: past.len() as u64, ..model::check(&graph, events) };
    past.push(tokio::spawn(life.end()));
    for ended in join_all(past).await {
        ended.expect("no panic");
    }
    counted
}

/// Finishes tasks, many at once, until all are done, or until a crash: then the answer is the image and what was
/// acknowledged before it.
async fn finish(
    life: &Life,
    work: &mut Work<'_>,
    waiting: &[Vec<usize>],
    crash_after: Option<usize>,
) -> Option<(TempDir, Vec<bool>)> {
    let mut running = FuturesUnordered::new();
    let mut done = work.done.iter().filter(|done| **done).count();
    let mut crash: Option<(tokio::task::JoinHandle<TempDir>, Vec<bool>)> = None;
    loop {
        if crash.is_none() && crash_after.is_some_and(|after| done >= after) {
            let of = life.directory.path().to_owned();
            crash = Some((tokio::task::spawn_blocking(move || image(&of)), work.done.clone()));
        }
        while running.len() < AT_ONCE
            && let Some(task) = work.next()
        {
            running.push(life.finish(task, work.ids[task]));
        }
        if running.is_empty() && crash.is_none() {
            return None;
        }
        let imaged = async {
            match &mut crash {
                Some((image, _)) => image.await.expect("no panic"),
                None => std::future::pending().await,
            }
        };
        // Both are cancel safe.
        tokio::select! {
            Some(task) = running.next() => {
                work.finished(task, waiting);
                done += 1;
            }
            image = imaged => return crash.map(|(_, acknowledged)| (image, acknowledged)),
        }
    }
}

async fn create(service: &Service, graph: &Graph) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = Vec::new();
    for wave in 0..graph.len().div_ceil(WAVE) {
        let creating = (wave * WAVE..graph.len().min((wave + 1) * WAVE)).map(|task| {
            let blockers: Vec<_> = graph.first[task].iter().map(|it| ids[*it]).collect();
            let draft = from_json(json!({ "title": task.to_string(), "blocked_by": blockers }));
            async move { service.create_task(draft, None).await.expect("created").value.task.id }
        });
        let created = join_all(creating).await;
        ids.extend(created);
    }
    let patching = (0..graph.len()).filter(|task| !graph.late[*task].is_empty()).map(|task| {
        let (id, blockers) = (ids[task], graph.blockers(task).map(|it| ids[it]).collect::<Vec<_>>());
        let patch = from_json(json!({ "blocked_by": blockers }));
        async move { service.update_task(id, patch, Precondition::default(), None).await.expect("patched") }
    });
    join_all(patching).await;
    ids
}

async fn are_done(life: &Life, ids: &[TaskId]) -> Vec<bool> {
    let ids = ids.to_vec();
    let look = move |view: &View<'_>| {
        ids.iter().map(|id| Ok(view.task(*id)?.is_some_and(|task| task.is_done()))).collect()
    };
    life.read(look).await
}
