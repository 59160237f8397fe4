//! Snapshots: the tasks as they stood at one cursor, as messages of the stream.
//!
//! A snapshot is one state, so it is read in one transaction; and no transaction may wait for a network. So its
//! messages are written down first, in memory while they are few and otherwise in a file that has no name and
//! goes with its last reader, and are sent from there at the client's pace.

use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile_in};
use thiserror::Error;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

use crate::domain::event::EventId;
use crate::domain::task::Task;
use crate::store::{Reader, StoreError};

use super::control::SnapshotData;
use super::frame::Format;
use super::ring::Shape;
use super::segment::PAGE_BYTES;

/// Snapshots read from the store at once. Each is one long query, and replays want its connections, too.
const READING_MAX: usize = 2;

/// Why a snapshot could not be taken or sent.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no room to write it down")]
    Spool(#[from] io::Error),
}

/// Takes snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    reader: Reader,
    /// Where those that are too large for memory are written.
    directory: PathBuf,
    turns: Arc<Semaphore>,
}

/// A snapshot on its way to one client.
#[derive(Debug)]
pub struct Snapshot {
    /// The last event that it reflects: the stream goes on after it.
    pub cursor: u64,
    messages: Messages,
}

#[derive(Debug)]
enum Messages {
    Memory(Bytes),
    Disk(File),
}

impl Snapshots {
    pub fn new(reader: Reader, directory: PathBuf) -> Self {
        Self { reader, directory, turns: Arc::new(Semaphore::new(READING_MAX)) }
    }

    /// The tasks that pass the filter of `shape`, as they stand now.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub async fn take(&self, shape: &Arc<Shape>) -> Result<Snapshot, SnapshotError> {
        let _turn = self.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        let (shape, directory) = (shape.clone(), self.directory.clone());
        let (cursor, spool) = self
            .reader
            .read(move |view| -> Result<_, SnapshotError> {
                let cursor = view.head()?;
                let spool = spooled_tempfile_in(PAGE_BYTES, directory);
                let mut writer =
                    Writer { format: shape.format, cursor, spool, parts: 0, tasks: vec![], bytes: 0 };
                let filter = &shape.filter;
                view.visit_tasks(&filter.task_ids, &filter.facets, |task| writer.push(task))?;
                Ok((cursor.seq, writer.finish()?))
            })
            .await?;
        let messages = match spool.into_inner() {
            SpooledData::InMemory(bytes) => Messages::Memory(bytes.into_inner().into()),
            SpooledData::OnDisk(file) => Messages::Disk(File::from_std(file)),
        };
        Ok(Snapshot { cursor, messages })
    }
}

impl Snapshot {
    /// The next bytes, cut anywhere; `None` when all of them have been read.
    ///
    /// # Errors
    /// [`SnapshotError`]
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SnapshotError> {
        let bytes = match &mut self.messages {
            Messages::Memory(bytes) => std::mem::take(bytes),
            Messages::Disk(file) => {
                let mut bytes = BytesMut::with_capacity(PAGE_BYTES);
                file.read_buf(&mut bytes).await?;
                bytes.freeze()
            }
        };
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// Writes tasks as messages of about a page each.
struct Writer {
    format: Format,
    cursor: EventId,
    spool: SpooledTempFile,
    parts: u64,
    tasks: Vec<Task>,
    /// About what `tasks` will take.
    bytes: usize,
}

impl Writer {
    fn push(&mut self, task: Task) -> Result<(), SnapshotError> {
        self.bytes += task.weight();
        self.tasks.push(task);
        match self.bytes < PAGE_BYTES {
            true => Ok(()),
            false => self.write_part(),
        }
    }

    fn write_part(&mut self) -> Result<(), SnapshotError> {
        self.parts += 1;
        self.bytes = 0;
        let data =
            SnapshotData { part: self.parts, cursor: self.cursor, tasks: std::mem::take(&mut self.tasks) };
        // Not the cursor: whoever has seen only a part has seen nothing yet.
        let id = EventId::new(self.cursor.epoch, 0);
        Ok(self.spool.write_all(&self.format.control(id, "snapshot", data))?)
    }

    /// What was written, to be read from its beginning. A snapshot without tasks is one empty part.
    fn finish(mut self) -> Result<SpooledTempFile, SnapshotError> {
        if self.parts == 0 || !self.tasks.is_empty() {
            self.write_part()?;
        }
        self.spool.rewind()?;
        Ok(self.spool)
    }
}
