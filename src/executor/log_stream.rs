//! Following a log: a cursor that walks the file at its client's pace, and ends with the execution.
//!
//! ```text
//! loop: something after the cursor  -> a piece of it
//!       no such place in this log   -> reset, and on from its beginning
//!       nothing, and it has ended   -> the outcome, and the end of the stream
//!       nothing yet                 -> wait for the tailer, the keepalive tick, or the hub's end
//! ```
//!
//! Ids are offsets with the number of their execution, and a log only ever grows: a client that comes back with the id of the
//! last message gets the log of that execution, has missed nothing and gets nothing twice, from this hub or the
//! next, even if its task has been executed again meanwhile. That holds for a log at its limit, too. The shim
//! never changes what it has written: a watcher sees the beginning of a flood and the mark, then nothing
//! while the flood goes on, and at the end the second mark and the last bytes (`shim/output.rs`).
//!
//! A watcher holds one piece, at most 32 KiB encoded; one that does not read asks for nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::data_dir::DataDir;
use crate::domain::execution::Execution;
use crate::domain::id::ExecutionId;
use crate::domain::log::{LogCursor, LogEndData, LogOutputData, LogResetData};
use crate::domain::token::Caller;
use crate::events::Events;
use crate::events::frame::{Format, RETRY_MS};
use crate::quota;
use crate::service::Service;

use super::blocking::blocking;
use super::log_piece::{Content, Piece, WINDOW_BYTES, first_piece};
use super::logs::{self, From};
use super::tailer::{LogState, Tailers};

/// An `EventSource` that nobody closes comes back after the end, and is told again: rarely.
const END_RETRY_MS: u64 = 3_600_000;
/// How far from its end a log is looked through for lines.
const TAIL_BYTES_MAX: usize = 1 << 20;

/// Where a client wants to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStart {
    /// With the byte after what it has seen: the id of its last message. `None`: it sent one that is none, or one of
    /// another log.
    After(Option<LogCursor>),
    /// So many bytes from the start.
    Offset(u64),
    /// So many lines before the end.
    Tail(usize),
}

/// How a client was let in.
#[derive(Debug)]
pub struct Admission {
    /// Cancelled when it is no longer let in: its stream ends then.
    pub gone: CancellationToken,
    /// Held for as long as the stream is there: its own, and that of the log's file.
    pub permits: [quota::Permit<Caller>; 2],
}

/// All logs that are followed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogStreams {
    tailers: Tailers,
    data_dir: DataDir,
    events: Events,
    draining: CancellationToken,
    watchers: Arc<AtomicU64>,
}

/// How many follow logs, and how many logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogTotals {
    pub watchers: u64,
    pub tailers: u64,
}

impl LogStreams {
    /// Its tailers run on `tasks`. All its streams end when those of `events` do.
    pub fn new(service: Service, data_dir: DataDir, events: &Events, tasks: TaskTracker) -> Self {
        let draining = events.draining().clone();
        Self {
            tailers: Tailers::new(service, data_dir.clone(), draining.clone(), tasks),
            data_dir,
            events: events.clone(),
            draining,
            watchers: Arc::default(),
        }
    }

    /// Follows the log of `execution`; its client is told that the stream lives every so many seconds.
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub async fn open(
        &self,
        execution: Execution,
        start: LogStart,
        format: Format,
        keepalive_seconds: Option<u64>,
        admission: Admission,
    ) -> io::Result<LogStream> {
        let cursor = match start {
            LogStart::Offset(offset) => offset,
            LogStart::After(Some(LogCursor { number, offset }))
                if number.is_none_or(|number| number == execution.number) =>
            {
                offset
            }
            // Beyond every log: its client is told so, and starts over.
            LogStart::After(_) => u64::MAX,
            LogStart::Tail(lines) => {
                let path = self.data_dir.join(&execution.log_file);
                logs::read_page(&path, From::Tail(lines), TAIL_BYTES_MAX, false).await?.offset
            }
        };
        let (execution_id, number) = (execution.id, execution.number);
        let state = self.tailers.watch(execution).await?;
        let ticks = self.events.ticks(keepalive_seconds);
        self.watchers.fetch_add(1, Relaxed);
        Ok(LogStream {
            execution_id,
            number,
            format,
            state,
            ticks,
            draining: self.draining.clone(),
            admission,
            cursor,
            has_begun: false,
            has_ended: false,
            _watching: Watching(self.watchers.clone()),
        })
    }

    pub fn totals(&self) -> LogTotals {
        LogTotals { watchers: self.watchers.load(Relaxed), tailers: self.tailers.count() as u64 }
    }
}

/// Counts a watcher for as long as it is there.
#[derive(Debug)]
struct Watching(Arc<AtomicU64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The body of one stream. [`LogStream::next`] until it answers `None`.
#[derive(Debug)]
pub struct LogStream {
    execution_id: ExecutionId,
    number: i64,
    format: Format,
    state: watch::Receiver<LogState>,
    ticks: watch::Receiver<()>,
    draining: CancellationToken,
    admission: Admission,
    cursor: u64,
    has_begun: bool,
    has_ended: bool,
    _watching: Watching,
}

/// What lies at a cursor.
enum Look {
    /// A piece, or nothing that could be told yet.
    Here { piece: Option<Piece>, size: u64 },
    /// The log is shorter than that.
    Beyond { size: u64 },
}

impl LogStream {
    /// The next bytes to write, never empty. `None` at the end of the stream.
    ///
    /// # Cancel safety
    /// The cursor moves only when bytes are returned, so dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            let retry = self.format.retry(RETRY_MS);
            if !retry.is_empty() {
                return Some(retry);
            }
        }
        while !self.has_ended {
            if self.admission.gone.is_cancelled() {
                // Without a goodbye, which would ask its client back.
                self.has_ended = true;
                break;
            }
            if self.draining.is_cancelled() {
                self.has_ended = true;
                return Some(self.format.goodbye(self.id()));
            }
            // Armed before looking: what is written from here on wakes the wait below.
            let LogState { file, end, .. } = self.state.borrow_and_update().clone();
            let is_missing = file.is_none();
            match look(file, self.cursor, end.is_none()).await {
                Ok(Look::Here { piece: Some(piece), .. }) => return Some(self.hand_over(piece)),
                Ok(Look::Beyond { size }) => return Some(self.reset(size)),
                Ok(Look::Here { piece: None, size }) => match end {
                    Some(execution) => return Some(self.end(&execution, size, is_missing)),
                    None => {
                        if let Some(bytes) = self.wait().await {
                            return Some(bytes);
                        }
                    }
                },
                Err(error) => {
                    tracing::error!(execution.id = %self.execution_id, %error, "a log's stream ended: it cannot be read on");
                    self.has_ended = true;
                }
            }
        }
        None
    }

    /// Waits for something new; answers a keepalive when that takes long.
    async fn wait(&mut self) -> Option<Bytes> {
        // All are cancel safe: they only observe.
        tokio::select! {
            changed = self.state.changed() => {
                // A tailer that leaves without having told an end, and not because all end, has failed.
                self.has_ended = changed.is_err() && !self.draining.is_cancelled();
                None
            }
            () = self.draining.cancelled() => None,
            () = self.admission.gone.cancelled() => None,
            ticked = self.ticks.changed() => match ticked {
                Ok(()) => Some(self.format.keepalive()),
                Err(_) => {
                    self.has_ended = true;
                    None
                }
            }
        }
    }

    /// The id of a client that has everything before the cursor.
    fn id(&self) -> LogCursor {
        LogCursor::new(self.number, self.cursor)
    }

    fn hand_over(&mut self, Piece { length, content }: Piece) -> Bytes {
        let (text, base64) = match content {
            Content::Text(text) => (Some(text), None),
            Content::Base64(base64) => (None, Some(base64)),
        };
        let data = LogOutputData { execution_id: self.execution_id, offset: self.cursor, text, base64 };
        self.cursor += length as u64;
        self.ticks.mark_unchanged();
        self.format.control(self.id(), "log", data)
    }

    fn reset(&mut self, size: u64) -> Bytes {
        self.cursor = 0;
        let data = LogResetData { execution_id: self.execution_id, size };
        self.format.control(self.id(), "reset", data)
    }

    fn end(&mut self, execution: &Execution, size: u64, is_missing: bool) -> Bytes {
        self.has_ended = true;
        let mut bytes = BytesMut::from(self.format.retry(END_RETRY_MS));
        let data = LogEndData::of(execution, size, is_missing);
        bytes.extend_from_slice(&self.format.control(self.id(), "end", data));
        bytes.freeze()
    }
}

async fn look(file: Option<Arc<File>>, cursor: u64, running: bool) -> io::Result<Look> {
    let Some(file) = file else {
        return Ok(match cursor {
            0 => Look::Here { piece: None, size: 0 },
            _ => Look::Beyond { size: 0 },
        });
    };
    blocking(move || {
        let size = file.metadata()?.len();
        let Some(left) = size.checked_sub(cursor) else {
            return Ok(Look::Beyond { size });
        };
        let mut bytes = vec![0; WINDOW_BYTES.min(usize::try_from(left).unwrap_or(WINDOW_BYTES))];
        let mut count = 0;
        while count < bytes.len() {
            match file.read_at(&mut bytes[count..], cursor + count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let growing = running || cursor + (count as u64) < size;
        Ok(Look::Here { piece: first_piece(&bytes[..count], growing), size })
    })
    .await
}
