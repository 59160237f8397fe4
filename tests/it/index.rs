//! The index in memory beside the store: a page from the one is the page from the other, in the same transaction, while
//! others write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use taskhub::config::{ExecutorConfig, StoreConfig};
use taskhub::domain::allowed_projects::AllowedProjects;
use taskhub::domain::comment::CommentDraft;
use taskhub::domain::filter::FacetFilter;
use taskhub::domain::id::TaskId;
use taskhub::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use taskhub::domain::task::{Status, StatusUpdate, TaskPatch};
use taskhub::domain::token::Actor;
use taskhub::index::{Picked, TaskIndex};
use taskhub::service::{Precondition, Service, ServiceError, Signals};
use taskhub::store::{Opened, Store, StoreError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::harness::{DEADLINE, Hub};
use crate::tasks::ids;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    executor: ExecutorConfig,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn text(&mut self) -> String {
        let words = ["fix", "Fixed", "the", "StoreError", "größe", "登录问题", "web-1", "a_b", "100%"];
        (0..1 + self.below(3)).map(|_| self.of(&words)).collect::<Vec<_>>().join(" ")
    }

    fn fields(&mut self) -> Value {
        let tags = ["red", "blue", "old"].into_iter().filter(|_| self.below(3) == 0).collect::<Vec<_>>();
        json!({
            "title": self.text(), "description": self.text(), "tags": tags,
            "status": self.of(&["todo", "inprogress", "review", "done"]),
            "priority": self.of(&[json!("low"), json!("medium"), json!("high"), Value::Null]),
            "assignee": self.of(&[json!("ada"), json!("none"), Value::Null]),
        })
    }

    fn query(&mut self) -> TaskQuery {
        let mut filter = FacetFilter::default();
        if self.below(3) == 0 {
            filter.statuses = from(json!([self.of(&["todo", "done"]), "review"]));
        }
        match self.below(8) {
            0 => filter.assignees = from(json!([self.of(&["ada", "none", "nobody"])])),
            1 => filter.tags = from(json!(["red", self.of(&["old", "absent"])])),
            2 => filter.priorities = from(json!([self.of(&["none", "high"])])),
            3 => filter.ready = Some(self.below(2) == 0),
            4 => filter.projects = from(json!([self.of(&["web", "default", "absent"])])),
            5 => filter.allowed = AllowedProjects::only(from(json!(["web"]))),
            _ => {}
        }
        let searches = ["fix", "error", "GROSSE", "登录", "web-1", "default-2", "a_b", "100", "%", "the fix"];
        let text = (self.below(3) == 0).then(|| self.of(&searches).to_owned());
        let (sort, order) = (self.of(TaskSort::ALL), self.of(SortOrder::ALL));
        TaskQuery { filter, text, sort, order, after: None, limit: 1 + self.below(20) }
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it fits")
}

/// A service over a store, with an index that is fed and not yet filled.
struct Running {
    service: Service,
    store: Store,
    index: TaskIndex,
    writer: JoinHandle<()>,
}

impl Running {
    fn open(directory: &TempDir) -> Self {
        let Arguments { store: config, executor } = Arguments::parse_from(["taskhub"]);
        let Opened { store, writer, end, .. } = Store::open(directory.path(), &config).expect("it opens");
        let index = TaskIndex::new(end.head);
        let fed = index.clone();
        let writer = writer.start(move |events, _| fed.committed(&events)).expect("a thread");
        let (service, _background) =
            Service::new(store.clone(), index.clone(), &executor, Signals::default());
        Self { service, store, index, writer }
    }

    async fn close(self) {
        self.store.close().await;
        self.writer.join().expect("no panic");
    }

    /// Reads the same page from both in one transaction. Answers where the next page starts. `None` when the index had gone
    /// beyond the transaction.
    async fn compare(&self, query: &TaskQuery, exclusive: bool) -> Option<Option<PageKey>> {
        let (index, query) = (self.index.clone(), query.clone());
        let read = self.store.read(move |view| {
            let pinned = index.pin(exclusive);
            let head = view.head()?;
            let picked = pinned.pick(head.seq, &query, view.allowed());
            let (tasks, next) = view.tasks(&query)?;
            let Picked::Ids(found) = picked else {
                assert_eq!(picked, Picked::Ahead, "the index is filled");
                assert!(!exclusive, "nobody else can have moved the index");
                return Ok(None);
            };
            let expected: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
            assert_eq!(
                found.iter().take(query.limit).copied().collect::<Vec<_>>(),
                expected,
                "{query:?} at {head}"
            );
            assert_eq!(found.len() > query.limit, next.is_some(), "{query:?} at {head}");
            let page = view.tasks_of(&query, &found)?;
            assert_eq!(page, Some((tasks, next.clone())));
            Ok::<_, StoreError>(Some(next))
        });
        read.await.expect("it reads")
    }

    /// Makes one random change.
    async fn change(&self, random: &mut Random, known: &mut Vec<TaskId>) {
        let service = &self.service;
        let any = Precondition::default();
        let Some(id) = (!known.is_empty()).then(|| random.of(known)) else {
            return known.push(self.create(random).await);
        };
        let done = match random.below(8) {
            0 | 1 => return known.push(self.create(random).await),
            2 => {
                known.retain(|other| *other != id);
                service.delete_task(id, any, None, true).await.map(drop)
            }
            3 => {
                let draft: CommentDraft = from(json!({ "text": random.text() }));
                service.comment(id, draft, None, None).await.map(drop)
            }
            4 | 5 => {
                let status = random.of(&["todo", "inprogress", "review", "done"]);
                let report: StatusUpdate = from(json!({ "new_status": status }));
                service.update_task_status(id, report, any, None).await.map(drop)
            }
            _ => {
                let patch: TaskPatch = from(random.fields());
                service.update_task(id, patch, any, None).await.map(drop)
            }
        };
        // Another writer may have deleted it.
        assert!(matches!(done, Ok(()) | Err(ServiceError::NoTask(_))), "{done:?}");
    }

    async fn create(&self, random: &mut Random) -> TaskId {
        let mut fields = random.fields();
        fields["project"] = random.of(&["web", "default"]).into();
        self.service.create_task(from(fields), None).await.expect("created").value.task.id
    }

    async fn filled(&self) {
        let filled = async {
            while !self.index.is_ready() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(DEADLINE, filled).await.expect("the index is filled in time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_index_is_the_page_of_the_store_while_others_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Arc::new(Running::open(&directory));
    running.service.create_project(from(json!({ "project": "web", "title": "t" }))).await.expect("created");
    let (mut random, mut known) = (Random(5), Vec::new());
    for _ in 0..300 {
        running.change(&mut random, &mut known).await;
    }
    let (ended, ahead, compared) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let shared = Arc::new((ended, ahead, compared));
    let stop = CancellationToken::new();
    // The table is read while it changes.
    let follower = tokio::spawn(running.service.clone().follow_index(stop.clone()));
    let writers = (0..4).map(|number| {
        let (running, shared, mut known) = (running.clone(), shared.clone(), known.clone());
        tokio::spawn(async move {
            let mut random = Random(100 + number);
            while !shared.0.load(Relaxed) {
                running.change(&mut random, &mut known).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    running.filled().await;
    let readers = (0..3).map(|number| {
        let (running, shared) = (running.clone(), shared.clone());
        tokio::spawn(async move {
            let mut random = Random(200 + number);
            for _ in 0..250 {
                let mut query = random.query();
                for _ in 0..3 {
                    let next = match running.compare(&query, false).await {
                        Some(next) => next,
                        None => {
                            shared.1.fetch_add(1, Relaxed);
                            running.compare(&query, true).await.expect("it is exact")
                        }
                    };
                    shared.2.fetch_add(1, Relaxed);
                    match next {
                        Some(after) => query.after = Some(after),
                        None => break,
                    }
                }
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.expect("the pages are equal");
    }
    shared.0.store(true, Relaxed);
    for writer in writers {
        writer.await.expect("no panic");
    }
    stop.cancel();
    follower.await.expect("no panic");
    assert!(shared.2.load(Relaxed) > 700);
    Arc::into_inner(running).expect("nobody else").close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_has_gone_beyond_a_transaction_does_not_answer_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Running::open(&directory);
    let stop = CancellationToken::new();
    let follower = tokio::spawn(running.service.clone().follow_index(stop.clone()));
    running.filled().await;
    let (index, service, runtime) =
        (running.index.clone(), running.service.clone(), tokio::runtime::Handle::current());
    let picked = running.store.read(move |view| {
        // The transaction begins before the index is pinned.
        let head = view.head()?.seq;
        let task = from(json!({ "title": "later" }));
        runtime.block_on(service.create_task(task, None)).expect("created");
        index.follow();
        let query = TaskQuery { filter: FacetFilter::default(), text: None, ..Random(1).query() };
        let pick = |exclusive| index.pin(exclusive).pick(head, &query, view.allowed());
        Ok::<_, StoreError>([pick(false), pick(true)])
    });
    assert_eq!(picked.await.expect("it reads"), [Picked::Ahead, Picked::Ahead]);
    stop.cancel();
    follower.await.expect("no panic");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_the_next_list_and_lists_are_answered_by_the_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Running::open(&directory);
    let stop = CancellationToken::new();
    let follower = tokio::spawn(running.service.clone().follow_index(stop.clone()));
    running.filled().await;
    let mut expected = BTreeSet::new();
    for number in 0..200 {
        let task = from(json!({ "title": format!("number {number}"), "assignee": "ada" }));
        let created = running.service.create_task(task, None).await.expect("created");
        expected.insert(created.value.task.id);
        let query = TaskQuery {
            filter: FacetFilter { assignees: from(json!(["ada"])), ..FacetFilter::default() },
            text: Some("number".to_owned()),
            sort: TaskSort::UpdatedAt,
            order: SortOrder::Descending,
            after: None,
            limit: 500,
        };
        let listed = running.service.tasks(query, Some(created.cursor)).await.expect("listed");
        assert!(listed.cursor.seq >= created.cursor.seq);
        assert_eq!(listed.value.tasks.iter().map(|task| task.id).collect::<BTreeSet<_>>(), expected);
        assert!(running.index.is_ready(), "it was not given up");
    }
    stop.cancel();
    follower.await.expect("no panic");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_caller_gets_its_own_projects_from_the_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Running::open(&directory);
    let service = &running.service;
    service.create_project(from(json!({ "project": "web", "title": "t" }))).await.expect("created");
    let mut own = BTreeSet::new();
    for project in ["web", "default", "web"] {
        let task = from(json!({ "title": "shared", "project": project }));
        let created = service.create_task(task, None).await.expect("created").value.task;
        if project == "web" {
            own.insert(created.id);
        }
    }
    let stop = CancellationToken::new();
    let follower = tokio::spawn(service.clone().follow_index(stop.clone()));
    running.filled().await;
    let bound =
        service.by(Actor { projects: AllowedProjects::only(from(json!(["web"]))), ..Actor::default() });
    for (text, expected) in [(None, &own), (Some("shared"), &own), (Some("default-1"), &BTreeSet::new())] {
        let query = TaskQuery { text: text.map(str::to_owned), limit: 50, ..Random(1).query() };
        let query = TaskQuery {
            filter: FacetFilter { statuses: vec![Status::Todo].into(), ..FacetFilter::default() },
            ..query
        };
        let found = bound.tasks(query, None).await.expect("listed").value.tasks;
        assert_eq!(found.iter().map(|task| task.id).collect::<BTreeSet<_>>(), *expected, "{text:?}");
    }
    stop.cancel();
    follower.await.expect("no panic");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_lists_what_it_listed_before_its_restart() {
    let hub = Hub::start().await;
    let mut all = BTreeSet::new();
    for number in 0..30 {
        let body = json!({ "title": format!("Größe {number}"), "tags": [format!("t{}", number % 3)] });
        all.insert(hub.client.create(body).await);
    }
    let one = all.first().expect("a task").clone();
    hub.client.post(&format!("/api/tasks/{one}/comments"), json!({ "text": "Überall" })).await;
    let hub = hub.restart().await;
    for _ in 0..50 {
        let found = hub.client.get("/api/tasks?q=grosse&sort=updated_at&order=desc&limit=500").await;
        assert_eq!(ids(found.body.as_array().expect("a list")), all);
        let found = hub.client.get("/api/tasks?q=uberall").await;
        assert_eq!(ids(found.body.as_array().expect("a list")), [one.clone()].into());
    }
}
