//! Follows a log to its end, even across restarts of the hub. Continues by offset, so that it
//! prints nothing twice and leaves nothing out.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::time::{Instant, sleep};

use crate::domain::id::{ExecutionId, TaskId};
use crate::domain::log::LogCursor;
use crate::telemetry::say;

use super::error::ClientError;
use super::hub::{Hub, HubError};
use super::outcome::End;

/// The pause between two attempts to reach a hub that is gone.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// After this time the hub is not just restarting. A caller that waits for the exit code must learn
/// it.
const ABSENCE_MAX: Duration = Duration::from_secs(300);
/// Ten times the longest message of a hub.
const LINE_BYTES_MAX: usize = 512 << 10;

/// Standard output, written at once and unchanged. tokio writes on its own threads, because the
/// reader may be slow.
#[derive(Debug)]
pub(super) struct Output(Stdout);

impl Output {
    pub fn new() -> Self {
        Self(tokio::io::stdout())
    }

    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when the reader is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }
}

#[derive(Debug, Deserialize)]
struct Message {
    id: LogCursor,
    event: String,
    data: Value,
}

#[derive(Debug, Deserialize)]
struct Piece {
    text: Option<String>,
    base64: Option<String>,
}

/// How one stream ended.
enum Step {
    End(End),
    /// The hub asked the client to reconnect after this time.
    Goodbye(Duration),
    /// The connection broke off.
    Lost(HubError),
}

pub(super) struct Follower {
    hub: Hub,
    task: TaskId,
    execution: ExecutionId,
    offset: u64,
    output: Output,
    /// When the last data came from the hub.
    heard: Instant,
}

impl Follower {
    /// The hub has just named the execution.
    pub fn new(hub: Hub, task: TaskId, execution: ExecutionId) -> Self {
        Self { hub, task, execution, offset: 0, output: Output::new(), heard: Instant::now() }
    }

    /// Prints the log to its end, and returns how the execution ended.
    ///
    /// # Errors
    /// [`ClientError`]. A hub that is gone is no error at first: this function waits for it.
    pub async fn run(mut self) -> Result<End, ClientError> {
        let (mut pause, mut heard, mut has_told) = (PAUSE_MIN, self.heard, false);
        loop {
            let lost = match self.stream().await? {
                Step::End(end) => return Ok(end),
                Step::Goodbye(time) => {
                    say(&"the hub is ending; the log goes on when it is back");
                    (pause, has_told) = (PAUSE_MIN, true);
                    sleep(time).await;
                    continue;
                }
                Step::Lost(error) => error,
            };
            if self.heard != heard {
                (heard, pause, has_told) = (self.heard, PAUSE_MIN, false);
            }
            if heard.elapsed() > ABSENCE_MAX {
                return Err(lost.into());
            }
            if !has_told {
                say(&"the hub has gone; the log goes on when it is back");
                has_told = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Reads one stream, from where the last one ended.
    async fn stream(&mut self) -> Result<Step, ClientError> {
        let path = format!(
            "/api/exec/{}/logs/stream?execution_id={}&offset={}",
            self.task, self.execution, self.offset
        );
        let mut answer = match self.hub.open(&path, "application/x-ndjson").await {
            Ok(answer) => answer,
            Err(error) => return waited_for(error),
        };
        let mut buffer = BytesMut::new();
        loop {
            match answer.next().await {
                Ok(Some(bytes)) => buffer.extend_from_slice(&bytes),
                Ok(None) => {
                    return Ok(Step::Lost(HubError::Unavailable("it has ended the stream".to_owned())));
                }
                Err(error) => return waited_for(error),
            }
            self.heard = Instant::now();
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1);
                // A blank line is a keepalive.
                if !line.trim_ascii().is_empty()
                    && let Some(step) = self.take(&line).await?
                {
                    return Ok(step);
                }
            }
            if buffer.len() > LINE_BYTES_MAX {
                return Err(self.hub.foreign("its messages do not end").into());
            }
        }
    }

    /// Handles one message. Returns a step when it is the last one.
    async fn take(&mut self, line: &[u8]) -> Result<Option<Step>, ClientError> {
        let Message { id: LogCursor { offset, .. }, event, data } =
            self.parsed(serde_json::from_slice(line))?;
        match event.as_str() {
            "log" => {
                let piece: Piece = self.parsed(serde_json::from_value(data))?;
                let bytes = match piece.base64 {
                    Some(base64) => self.parsed(STANDARD.decode(base64))?,
                    None => piece.text.unwrap_or_default().into_bytes(),
                };
                self.output.write(&bytes).await.map_err(ClientError::Output)?;
            }
            "reset" => say(&"the log has begun anew"),
            "goodbye" => {
                let time = Duration::from_millis(data["retry_ms"].as_u64().unwrap_or(1000));
                return Ok(Some(Step::Goodbye(time.min(PAUSE_MAX))));
            }
            "end" => return Ok(Some(Step::End(self.parsed(serde_json::from_value(data))?))),
            // A newer hub may send other messages.
            _ => {}
        }
        self.offset = offset;
        Ok(None)
    }

    fn parsed<T, E: std::fmt::Display>(&self, parsed: Result<T, E>) -> Result<T, ClientError> {
        parsed.map_err(|error| self.hub.foreign(error).into())
    }
}

/// Decides which errors to wait out: an unreachable or failing hub, but not a refusal.
fn waited_for(error: HubError) -> Result<Step, ClientError> {
    match error.may_pass() {
        true => Ok(Step::Lost(error)),
        false => Err(error.into()),
    }
}
