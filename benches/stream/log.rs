//! A long log, made through the store itself: through the API it would take as long as what is measured.

use std::path::Path;

use anyhow::{Context, anyhow};
use clap::Parser;
use rig::interrupt;
use taskhub::config::StoreConfig;
use taskhub::domain::clock::Timestamp;
use taskhub::domain::event::{EventId, NewEvent};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::{Status, Task, TaskDraft, TaskField};
use taskhub::store::{Opened, Store, StoreError};

/// One event in so many is about a task of [`RARE`].
pub const RARE_EVERY: u64 = 1000;
/// The assignee of the rare events.
pub const RARE: &str = "rare";
/// Events in a commit.
const COMMIT: u64 = 5000;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    store: StoreConfig,
}

/// Fills an empty directory with a log of `count` updates of tasks, and answers the place before the first.
pub fn prepare(directory: &Path, count: u64) -> anyhow::Result<EventId> {
    let config = Arguments::parse_from(["taskhub"]).store;
    let Opened { store, writer, epoch, .. } = Store::open(directory, &config)?;
    let writer = writer.start(|_, _| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let filled = runtime.block_on(fill(&store, count));
    runtime.block_on(store.close());
    writer.join().map_err(|_| anyhow!("the store's writer has panicked"))?;
    filled.map(|()| EventId::new(epoch, 0))
}

async fn fill(store: &Store, count: u64) -> anyhow::Result<()> {
    let (common, rare) = (update("common")?, update(RARE)?);
    for first in (1..=count).step_by(COMMIT as usize) {
        interrupt::check()?;
        let (common, rare) = (common.clone(), rare.clone());
        let append = move |tx: &mut taskhub::store::Tx<'_>| {
            for seq in first..(first + COMMIT).min(count + 1) {
                tx.append(if seq.is_multiple_of(RARE_EVERY) { &rare } else { &common })?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(append).await.context("the log cannot be filled")?;
    }
    Ok(())
}

/// What most events are: a task that changes its status.
fn update(assignee: &str) -> anyhow::Result<NewEvent> {
    let new: TaskDraft = serde_json::from_value(serde_json::json!({
        "title": "Measure how long a log takes to read", "assignee": assignee, "tags": ["bench", "stream"],
    }))?;
    let before = Task::create(TaskId::generate(), 1, new, Timestamp::now())?;
    let after = Task { status: Status::InProgress, version: before.version + 1, ..before.clone() };
    Ok(NewEvent::task_updated(&before, &after, vec![TaskField::Status], None))
}
