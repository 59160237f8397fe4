//! The store's conformance suite, written against the seam alone: any database that is to stand behind it has
//! to pass. Only the forger of a future schema speaks SQL.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use futures_util::future::join_all;
use serde_json::{Value, json};
use taskhub::config::StoreConfig;
use taskhub::domain::clock::{Clock, Timestamp};
use taskhub::domain::event::{Epoch, Facets, LogEnd, NewEvent, StoredEvent};
use taskhub::domain::execution::{End, Execution, ExecutionRequest, ExecutionStatus, Outcome};
use taskhub::domain::filter::FacetFilter;
use taskhub::domain::id::{ExecutionId, TaskId};
use taskhub::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use taskhub::domain::task::{Priority, Status, Task};
use taskhub::domain::text::DESCRIPTION_CHARS_MAX;
use taskhub::store::{
    Age, ExecutionQuery, OfStore, OpenError, Opened, Repetition, Store, StoreError, Tx, View,
};
use tempfile::TempDir;

use crate::harness::config;

mod conversations;
mod executions;
mod log;
mod opening;
mod slices;
mod tasks;

const DATABASE: &str = "taskhub.db";

/// What the operations of these tests fail with.
#[derive(Debug)]
enum Failure {
    Refused,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl OfStore for Failure {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Refused => None,
            Self::Store(error) => Some(error),
        }
    }
}

/// An open store and what its sink was handed.
struct Running {
    store: Store,
    epoch: Epoch,
    end: LogEnd,
    sunk: Arc<Mutex<Vec<StoredEvent>>>,
    writer: JoinHandle<()>,
}

impl Running {
    fn open(directory: &TempDir) -> Self {
        Self::configured(directory, &config(directory.path(), &[]).store)
    }

    fn configured(directory: &TempDir, config: &StoreConfig) -> Self {
        let opened = Store::open(directory.path(), config);
        let Opened { store, writer, epoch, end, directory: _ } = opened.expect("the store opens");
        let sunk = Arc::new(Mutex::new(Vec::new()));
        let sink = sunk.clone();
        let writer = writer.start(move |events, _| sink.lock().expect("no panic inside").extend(events));
        Self { store, epoch, end, sunk, writer: writer.expect("a thread") }
    }

    async fn close(self) {
        self.store.close().await;
        tokio::task::spawn_blocking(|| self.writer.join()).await.expect("no panic").expect("no panic");
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.store.write(operation).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.read(query).await.expect("it reads")
    }

    /// The seq of a new announcement.
    async fn announce(&self) -> u64 {
        self.write(|tx| Ok(tx.append(&announcement())?.seq)).await.expect("written")
    }

    async fn insert(&self, task: &Task) {
        let task = task.clone();
        self.write(move |tx| Ok(tx.insert_task(&task)?)).await.expect("written");
    }

    async fn log(&self) -> Vec<StoredEvent> {
        self.read(|view| view.events_after(0, usize::MAX >> 1, usize::MAX)).await
    }

    fn sunk_seqs(&self) -> Vec<u64> {
        self.sunk.lock().expect("no panic inside").iter().map(|event| event.seq).collect()
    }
}

fn open(path: &Path) -> Result<Opened, OpenError> {
    Store::open(path, &config(path, &[]).store)
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn announcement() -> NewEvent {
    NewEvent::announcement(from_json(json!({ "level": "info", "message": "hear" })))
}

fn task(fields: Value, at_ms: i64) -> Task {
    // No key is given twice.
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    let number = NUMBER.fetch_add(1, Relaxed);
    let now = Timestamp::from_ms(at_ms);
    Task::create(TaskId::generate(), number, from_json(fields), now).expect("a valid task")
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it fits")
}

fn query() -> TaskQuery {
    TaskQuery {
        filter: FacetFilter::default(),
        text: None,
        sort: TaskSort::CreatedAt,
        order: SortOrder::Ascending,
        after: None,
        limit: 1000,
    }
}

fn beginning() -> Timestamp {
    Timestamp::from_ms(0)
}

/// In the year 2286.
fn end_of_time() -> Timestamp {
    Timestamp::from_ms(9_999_999_999_999)
}

/// Returns when the clock shows another millisecond.
async fn tick() {
    let start = Timestamp::now();
    while Timestamp::now() == start {
        tokio::task::yield_now().await;
    }
}
