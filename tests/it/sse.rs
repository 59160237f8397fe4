//! A client of streams with a parser of its own, after WHATWG HTML, section 9.2.6: what the hub writes is not
//! read by what the hub writes with.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::contract;
use crate::harness::{Client, DEADLINE};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The type: `message` without an `event:` line.
    pub kind: String,
    pub last_event_id: String,
    pub data: String,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("the data is JSON")
    }
}

/// The line parser. Feed it bytes as they come.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    data: String,
    kind: String,
    last_event_id: String,
    pub retry_ms: Option<u64>,
    pub comments: Vec<String>,
    pub messages: VecDeque<Message>,
}

impl Parser {
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).expect("UTF-8");
                    self.end_of_line(&line);
                }
                _ => self.line.push(byte),
            }
        }
    }

    fn end_of_line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match field {
            "" => self.comments.push(value.to_owned()),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => self.kind = value.to_owned(),
            "id" if !value.contains('\0') => self.last_event_id = value.to_owned(),
            "retry" => self.retry_ms = value.parse().ok(),
            other => panic!("unknown field {other:?}: something was injected"),
        }
    }

    fn dispatch(&mut self) {
        let (data, kind) = (std::mem::take(&mut self.data), std::mem::take(&mut self.kind));
        if data.is_empty() {
            return;
        }
        self.messages.push_back(Message {
            kind: if kind.is_empty() { "message".to_owned() } else { kind },
            last_event_id: self.last_event_id.clone(),
            data: data.strip_suffix('\n').unwrap_or(&data).to_owned(),
        });
    }
}

/// An open stream.
pub struct Stream {
    response: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    pub parser: Parser,
    /// The id of the last message taken.
    pub last_id: String,
}

impl Stream {
    /// Opens `/api/events/stream{query}` and takes `connected`.
    pub async fn open(client: &Client, query: &str) -> Self {
        let mut stream = Self::connect(client, query, None).await;
        let connected = stream.next().await;
        assert_eq!(connected["event"], "connected");
        stream
    }

    /// Opens the stream as a browser would reopen it.
    pub async fn resume(client: &Client, last_event_id: &str) -> Self {
        Self::connect(client, "", Some(last_event_id)).await
    }

    pub async fn connect(client: &Client, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(client.url(&format!("/api/events/stream{query}")));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.expect("the stream opens");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self {
            response: response.bytes_stream().boxed(),
            parser: Parser::default(),
            last_id: last_event_id.unwrap_or_default().to_owned(),
        }
    }

    /// The next message; `None` when the stream has ended or broken off.
    pub async fn try_next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.parser.messages.pop_front() {
                contract::assert_fits("Event", message.data.as_bytes(), "the stream");
                assert_eq!(message.json()["id"], message.last_event_id.as_str(), "one id for both");
                self.last_id = message.last_event_id.clone();
                return Some(message);
            }
            self.parser.feed(&self.response.next().await?.ok()?);
        }
    }

    /// The next message's envelope.
    pub async fn next(&mut self) -> Value {
        let next = tokio::time::timeout(DEADLINE, self.try_next()).await.expect("a message in time");
        next.expect("the stream goes on").json()
    }

    /// The next message that is not a control message.
    pub async fn next_event(&mut self) -> Value {
        loop {
            let message = self.next().await;
            let word = message["event"].as_str().expect("a word");
            if !["connected", "checkpoint", "reset", "goodbye", "snapshot"].contains(&word) {
                return message;
            }
        }
    }

    /// Asserts that nothing comes for a while.
    pub async fn assert_silent(&mut self, time: Duration) {
        if let Ok(message) = tokio::time::timeout(time, self.try_next()).await {
            panic!("unexpected: {message:?}");
        }
    }

    /// Everything up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        let reading = async {
            while let Some(message) = self.try_next().await {
                messages.push(message.json());
            }
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("the stream ends");
        messages
    }
}

/// The position in the log that an id names.
pub fn seq(id: &Value) -> u64 {
    let (_, seq) = id.as_str().expect("a string").split_once('-').expect("an event id");
    seq.parse().expect("a number")
}
