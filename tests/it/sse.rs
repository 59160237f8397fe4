//! A client of streams that checks each message against the specification.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::contract;
use crate::harness::{Answered, Client, DEADLINE};
use crate::parser::{Message, Parser};

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("the data is JSON")
    }
}

/// An open stream.
pub struct Stream {
    response: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    pub parser: Parser,
    /// The id of the last message taken.
    pub last_id: String,
    /// The schema that its messages fit.
    schema: &'static str,
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
        Self::at(client, &format!("/api/events/stream{query}"), "Event", last_event_id).await
    }

    /// Opens any stream, whose messages fit `schema`.
    pub async fn at(client: &Client, path: &str, schema: &'static str, last_event_id: Option<&str>) -> Self {
        let mut request = client.http.get(client.url(path)).timeout(Duration::MAX);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.answered().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self {
            response: response.bytes_stream().boxed(),
            parser: Parser::default(),
            last_id: last_event_id.unwrap_or_default().to_owned(),
            schema,
        }
    }

    /// The next message; `None` when the stream has ended or broken off.
    pub async fn try_next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.parser.messages.pop_front() {
                contract::assert_fits(self.schema, message.data.as_bytes(), "the stream");
                assert_eq!(message.json()["id"], message.last_event_id.as_str(), "one id for both");
                self.last_id = message.last_event_id.clone();
                return Some(message);
            }
            self.parser.feed(&self.response.next().await?.ok()?);
            let known = |field: &String| ["id", "event", "data", "retry"].contains(&field.as_str());
            assert!(self.parser.fields.keys().all(known), "something was injected: {:?}", self.parser.fields);
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
