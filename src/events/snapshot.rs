//! Snapshots: all tasks at one cursor, as messages of the stream.
//!
//! A snapshot shows one state, and no transaction may be long or wait for a network. So the hub first copies the tasks in
//! slices, with corrections of what changed meanwhile (`store::TaskCopy`, `snapshot_copy.rs`). Then it writes the messages
//! into memory or, if they are many, into an unnamed file. From there it sends them at the client's pace. The file
//! disappears with its reader.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile_in};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::data_dir::DataDir;
use crate::domain::event::EventId;
use crate::domain::filter::EventFilter;
use crate::domain::task::Task;
use crate::store::{OfStore, Reader, StoreError, TaskCopy, at_low_priority};

use super::control::{OmittedFields, SnapshotData};
use super::fit;
use super::frame::Format;
use super::options::StreamOptions;
use super::segment::PAGE_BYTES;
use super::snapshot_copy::SnapshotCopy;

/// How many snapshots are read from the store at once. Each is one long query, and replays need the
/// store's connections, too.
const READING_MAX: usize = 2;
/// How many snapshots may be on the disk at once: each may be as large as all tasks together. A
/// snapshot that is being taken counts, too.
const FILES_MAX: usize = 64;
/// Most bytes of a line of a snapshot without its tasks and its list of omitted fields.
const PART_BYTES: usize = 512;
/// Most bytes of an entry in the list of omitted fields.
const OMITTED_BYTES: usize = 128;

/// Why a snapshot could not be taken or sent.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a snapshot cannot be written down or read back: {0}")]
    Spool(#[from] io::Error),
    #[error("nobody waits for it any more")]
    Abandoned,
}

impl OfStore for SnapshotError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Takes snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    reader: Reader,
    /// Where snapshots that are too large for memory are written.
    directory: DataDir,
    turns: Arc<Semaphore>,
    files: Arc<Semaphore>,
}

/// A snapshot on its way to one client.
#[derive(Debug)]
pub struct Snapshot {
    /// The last event that the snapshot includes. The stream continues after it.
    pub cursor: u64,
    messages: Messages,
    /// Where each message that is not wholly sent ends.
    ends: VecDeque<u64>,
    /// Bytes sent.
    offset: u64,
    message_start: u64,
}

#[derive(Debug)]
enum Messages {
    Memory(Bytes),
    Disk(Arc<File>, #[expect(dead_code, reason = "held as long as the file is")] OwnedSemaphorePermit),
}

impl Snapshots {
    pub fn new(reader: Reader, directory: DataDir) -> Self {
        let (turns, files) = (Arc::new(Semaphore::new(READING_MAX)), Arc::new(Semaphore::new(FILES_MAX)));
        Self { reader, directory, turns, files }
    }

    /// Takes a snapshot of the tasks that pass the filter of `options`.
    ///
    /// # Errors
    /// [`SnapshotError`]
    ///
    /// # Cancel safety
    /// Dropping the future gives up its permit. If the query has begun, it ends soon.
    pub async fn take(self, options: Arc<StreamOptions>) -> Result<Snapshot, SnapshotError> {
        let file = self.files.acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let turn = self.turns.acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let interest = Arc::new(());
        let waiting = Arc::downgrade(&interest);
        let directory = self.directory;
        let EventFilter { task_ids, facets, .. } = options.filter.clone();
        let mut tasks = TaskCopy::new(task_ids.into(), facets);
        let mut copy = Some(SnapshotCopy::new(directory.clone()));
        let read = self.reader.read_in_slices(None, move |view, slice| -> Result<_, SnapshotError> {
            let Some(copied) = &mut copy else {
                return Err(SnapshotError::Abandoned);
            };
            let cursor = tasks.go_on(view, slice, |step| Ok::<_, SnapshotError>(copied.take(step)?))?;
            Ok(cursor.and_then(|cursor| Some((cursor, copy.take()?))))
        });
        let (cursor, copy) = read.await?;
        let is_small = copy.is_small();
        let write = move || {
            // The work holds the permit, not the future: abandoned work goes on until it notices.
            let _turn = turn;
            let mut writer = Writer::new(&options, cursor, spooled_tempfile_in(PAGE_BYTES, &*directory));
            copy.merge(|task| match waiting.strong_count() {
                0 => Err(SnapshotError::Abandoned),
                _ => writer.push(task),
            })?;
            writer.finish()
        };
        let written: Result<_, SnapshotError> = match is_small {
            true => tokio::task::spawn_blocking(write).await.map_err(io::Error::from)?,
            false => at_low_priority(write).await?,
        };
        let (spool, ends) = written?;
        drop(interest);
        let messages = match spool.into_inner() {
            SpooledData::InMemory(bytes) => Messages::Memory(bytes.into_inner().into()),
            SpooledData::OnDisk(spool) => Messages::Disk(Arc::new(spool), file),
        };
        Ok(Snapshot { cursor: cursor.seq, messages, ends, offset: 0, message_start: 0 })
    }
}

impl Snapshot {
    /// Whether only whole messages were sent so far.
    pub fn is_between_messages(&self) -> bool {
        self.offset == self.message_start
    }

    /// The next bytes; from a file, of one message at most. `None` after the last byte.
    ///
    /// # Errors
    /// [`SnapshotError`]
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SnapshotError> {
        let Some(&end) = self.ends.front() else {
            return Ok(None);
        };
        match &mut self.messages {
            Messages::Memory(bytes) => {
                self.ends.clear();
                Ok(Some(std::mem::take(bytes)))
            }
            Messages::Disk(file, _) => {
                let (file, offset) = (file.clone(), self.offset);
                let mut bytes = vec![0; PAGE_BYTES.min((end - offset) as usize)];
                let read = tokio::task::spawn_blocking(move || {
                    file.read_exact_at(&mut bytes, offset).map(|()| bytes)
                });
                let bytes = read.await.map_err(io::Error::from)??;
                self.offset += bytes.len() as u64;
                if self.offset == end {
                    self.message_start = end;
                    self.ends.pop_front();
                }
                Ok(Some(bytes.into()))
            }
        }
    }
}

/// Writes tasks as messages of about a page each.
struct Writer {
    format: Format,
    cursor: EventId,
    spool: SpooledTempFile,
    /// Where each message ends.
    ends: VecDeque<u64>,
    tasks: Vec<Task>,
    omitted: Vec<OmittedFields>,
    /// About how many bytes `tasks` will take. An upper bound if `tasks_bytes_max` is set.
    bytes: usize,
    /// The limit of `bytes` for a client that does not accept long lines.
    tasks_bytes_max: Option<usize>,
}

impl Writer {
    fn new(options: &StreamOptions, cursor: EventId, spool: SpooledTempFile) -> Self {
        Self {
            format: options.format,
            cursor,
            spool,
            ends: VecDeque::new(),
            tasks: Vec::new(),
            omitted: Vec::new(),
            bytes: 0,
            tasks_bytes_max: options.line_bytes_max.map(|max| max - PART_BYTES),
        }
    }

    fn push(&mut self, mut task: Task) -> Result<(), SnapshotError> {
        let Some(max) = self.tasks_bytes_max else {
            self.bytes += task.weight();
            self.tasks.push(task);
            return self.write_full();
        };
        let (fields, length) = fit::task(&mut task, max - OMITTED_BYTES);
        let bytes = ",".len() + length + if fields.is_empty() { 0 } else { OMITTED_BYTES };
        if self.bytes > 0 && self.bytes + bytes > max {
            self.write_part()?;
        }
        if !fields.is_empty() {
            self.omitted.push(OmittedFields { task_id: task.id, fields });
        }
        self.bytes += bytes;
        self.tasks.push(task);
        self.write_full()
    }

    fn write_full(&mut self) -> Result<(), SnapshotError> {
        match self.bytes < PAGE_BYTES {
            true => Ok(()),
            false => self.write_part(),
        }
    }

    fn write_part(&mut self) -> Result<(), SnapshotError> {
        let part = self.ends.len() as u64 + 1;
        let omitted = Some(std::mem::take(&mut self.omitted)).filter(|omitted| !omitted.is_empty());
        let data =
            SnapshotData { part, cursor: self.cursor, tasks: std::mem::take(&mut self.tasks), omitted };
        self.bytes = 0;
        // Not the cursor: a client with only a part of the snapshot cannot resume.
        let id = EventId::new(self.cursor.epoch, 0);
        let message = self.format.control(id, "snapshot", data);
        self.spool.write_all(&message)?;
        self.ends.push_back(self.ends.back().copied().unwrap_or_default() + message.len() as u64);
        Ok(())
    }

    /// The written messages, ready to be read from the start, and where each ends. A snapshot
    /// without tasks is one empty part.
    fn finish(mut self) -> Result<(SpooledTempFile, VecDeque<u64>), SnapshotError> {
        if self.ends.is_empty() || !self.tasks.is_empty() {
            self.write_part()?;
        }
        self.spool.rewind()?;
        Ok((self.spool, self.ends))
    }
}
