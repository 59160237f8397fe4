//! One message of the client as one POST, and the hub's answer to it as lines for the client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::client::hub::{Answer, Hub};
use crate::telemetry::say;

use super::event_stream::EventStream;
use super::failure::Failure;
use super::message::Message;

/// How long a hub may take to begin its answer. It ends every wait by 45 seconds, and a restart of it breaks the connection.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

#[derive(Debug, Clone)]
pub struct Exchange {
    hub: Hub,
    lines: mpsc::Sender<Bytes>,
    /// The revision of the protocol that the answer to `initialize` has named.
    agreed: Arc<Mutex<Option<String>>>,
}

impl Exchange {
    pub fn new(hub: Hub, lines: mpsc::Sender<Bytes>) -> Self {
        Self { hub, lines, agreed: Arc::default() }
    }

    /// Sends a message and writes what comes back.
    pub async fn carry(self, message: Message) {
        if let Err(failure) = self.answer(&message).await {
            self.fail(&message, failure).await;
        }
    }

    /// Reports a line that was no message.
    pub async fn refuse(self, reason: impl std::fmt::Display) {
        self.write(Failure::of_line(reason).answer(None).to_string().as_bytes()).await;
    }

    async fn answer(&self, message: &Message) -> Result<(), Failure> {
        let mut headers = message.headers(self.agreed().as_deref());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let (head, answer) =
            self.hub.post_as_is("/mcp", headers, message.body.clone(), ANSWER_TIME_MAX).await?;
        if head.status.is_success() && is(&head.headers, "text/event-stream") {
            return self.stream(message, answer).await;
        }
        let body = answer.whole().await.map_err(Failure::cut_off)?;
        if head.status.is_success() && message.id.is_none() && body.is_empty() {
            return Ok(());
        }
        // The type of a message and of a problem differ; the body tells them apart as well.
        match read(&body).filter(|_| is(&head.headers, "application/json")) {
            Some(answer) => {
                self.take(message, &body, answer).await;
                Ok(())
            }
            None => Err(Failure::of_status(&self.hub, head.status, &body)),
        }
    }

    /// Writes each message of a stream as it comes.
    async fn stream(&self, message: &Message, mut answer: Answer) -> Result<(), Failure> {
        let (mut stream, mut is_answered) = (EventStream::default(), message.id.is_none());
        loop {
            let bytes = match answer.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) | Err(_) if is_answered => return Ok(()),
                Ok(None) => return Err(Failure::cut_off("the hub has ended the stream")),
                Err(error) => return Err(Failure::cut_off(error)),
            };
            stream.push(&bytes);
            while let Some(data) = stream.next() {
                let Some(answer) = read(&data) else {
                    return Err(self.hub.foreign("its stream carries something else than messages").into());
                };
                is_answered |= self.take(message, &data, answer).await;
            }
            if stream.is_too_long() {
                return Err(self.hub.foreign("its messages do not end").into());
            }
        }
    }

    /// Writes a message of the hub, byte by byte as it came. Answers whether it is the last one: the result or the error.
    async fn take(&self, message: &Message, bytes: &[u8], mut answer: Value) -> bool {
        let is_last = answer.get("method").is_none();
        if message.wants_no_answer && is_last {
            // Not even an error: the client could match it with nothing.
            say(&format_args!("the hub refuses a message: {}", answer["error"]["message"]));
            return true;
        }
        if is_last
            && message.is_initialize()
            && let Some(version) = answer["result"]["protocolVersion"].as_str()
        {
            // Before the client can send the next message.
            *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.to_owned());
        }
        match &message.id {
            Some(id) if is_last && answer["id"].is_null() => {
                // The hub could not read the id. The client waits for it.
                answer["id"] = id.clone();
                self.write(answer.to_string().as_bytes()).await;
            }
            _ => self.write(bytes).await,
        }
        is_last
    }

    async fn fail(&self, message: &Message, failure: Failure) {
        match &message.id {
            Some(id) => self.write(failure.answer(Some(id)).to_string().as_bytes()).await,
            None => say(&failure),
        }
    }

    /// Writes a message as one line.
    async fn write(&self, message: &[u8]) {
        // Between the tokens of JSON a blank means the same as the end of a line; within a string there is none.
        let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        let mut line: Vec<_> = message.iter().map(blank).collect();
        line.push(b'\n');
        // When the writer has ended, so does the bridge.
        let _ = self.lines.send(line.into()).await;
    }

    fn agreed(&self) -> Option<String> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether an answer is of this media type.
fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// A message of the hub; `None` when it is something else.
fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(|message: &Value| message["jsonrpc"] == "2.0")
}
