//! Follows a log. Each stream has a cursor, reads at its client's pace, and ends with the
//! execution.
//!
//! ```text
//! loop: bytes after the cursor      -> a piece of them
//!       the log ends before it      -> reset, then from the beginning
//!       no bytes, execution ended   -> the outcome, and the end of the stream
//!       no bytes yet                -> wait for the tailer, the keepalive tick, or the hub's end
//! ```
//!
//! The id of a message is an offset and the execution's number, and a log only grows. A client that
//! reconnects with its last id gets the log of that execution. It misses nothing and gets nothing
//! twice, from this hub or the next one, even if the task has been executed again meanwhile. This
//! also holds for a log at its limit, because the shim never changes what it has written. A watcher
//! sees the beginning of the output and the first mark, then nothing while the output goes on. At
//! the end it sees the second mark and the last bytes (`shim/output.rs`).
//!
//! A stream holds one piece of at most 32 KiB encoded. A client that does not read causes no reads
//! of the log.

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

/// An `EventSource` reconnects after the end unless the page closes it, and gets the end again.
/// This interval makes that rare.
const END_RETRY_MS: u64 = 3_600_000;
/// How many bytes from the end of a log the hub searches for line breaks.
const TAIL_BYTES_MAX: usize = 1 << 20;

/// Where a client wants to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStart {
    /// After the last byte that it has seen, by the id of its last message. `None`: the client sent
    /// an id that is invalid or belongs to another log.
    After(Option<LogCursor>),
    /// This many bytes after the start.
    Offset(u64),
    /// This many lines before the end.
    Tail(usize),
}

/// Proves that a client is authorized and within its quotas.
#[derive(Debug)]
pub struct Admission {
    /// Cancelled when the client loses its authorization. The stream then ends.
    pub gone: CancellationToken,
    /// Two permits, for the stream and for the log's file. Held as long as the stream exists.
    pub permits: [quota::Permit<Caller>; 2],
}

/// All streams of logs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogStreams {
    tailers: Tailers,
    data_dir: DataDir,
    events: Events,
    draining: CancellationToken,
    watchers: Arc<AtomicU64>,
}

/// The number of streams, and of tailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogTotals {
    pub watchers: u64,
    pub tailers: u64,
}

impl LogStreams {
    /// The tailers run on `tasks`. All streams end when those of `events` end.
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

    /// Follows the log of `execution`. The client gets a keepalive every `keepalive_seconds`.
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
            // Beyond the end of every log, so that the client gets a reset and starts over.
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

/// Counts a stream as long as the stream exists.
#[derive(Debug)]
struct Watching(Arc<AtomicU64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The body of one stream. Call [`LogStream::next`] until it returns `None`.
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

/// What the log has at a cursor.
enum Look {
    /// A piece, or nothing that the stream can send yet.
    Here { piece: Option<Piece>, size: u64 },
    /// The cursor is after the end of the log.
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
                // No goodbye: that would ask the client to reconnect.
                self.has_ended = true;
                break;
            }
            if self.draining.is_cancelled() {
                self.has_ended = true;
                return Some(self.format.goodbye(self.id()));
            }
            // Armed before the read: anything written from here on ends the wait below.
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

    /// Waits for a change; returns a keepalive when that takes long.
    async fn wait(&mut self) -> Option<Bytes> {
        // All branches only observe, so they are cancel safe.
        tokio::select! {
            changed = self.state.changed() => {
                // A tailer that stops without an end, while the hub is not draining, has failed.
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

    /// The id for a client that has everything before the cursor.
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
