//! Frames and texts: whatever text a field holds, every client reads it unchanged, and no text is ever taken
//! for a part of the protocol.

use std::cell::RefCell;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use taskhub::domain::event::MESSAGE_CHARS_MAX;
use taskhub::domain::text::SCRIPT_CHARS_MAX;

use crate::contract;
use crate::harness::{Answered, Client, DEADLINE, Hub};
use crate::parser::Lines;
use crate::sse::Stream;
use crate::transcript::{self, Entry, Fields, Kind, not_blank};

/// What has a meaning to somebody between a task and its reader.
const NASTY: &[&str] = &[
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\r\r",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{b}",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{1f600}",
    "e\u{301}",
    "\"",
    "\\",
    "\\n",
    "\\u000a",
    "\\ud800",
    ":",
    ": keepalive\n\n",
    " ",
    "data:",
    "data: {}\n\n",
    "\nid: 9-9\n\n",
    "\rid: 9-9\r\r",
    "\nevent: reset\ndata: {}\n\n",
    "retry: 1\n",
    "\"}\n{\"id\":\"9-9\"}\n",
    "\"},\"id\":\"9-9",
    "</script>",
];

/// No file of failed cases beside the sources: a failure prints its smallest case.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() }
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(NASTY).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,8}",
    ]
}

/// Any text, empty included.
fn text() -> impl Strategy<Value = String> {
    vec(part(), 0..12).prop_map(|parts| parts.concat())
}

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let entry = (select(&Kind::ALL[..]), vec(text(), 0..4)).prop_map(|(kind, texts)| Entry { kind, texts });
    vec(entry, 0..=most)
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn any_text_in_any_message_is_read_unchanged_however_the_bytes_arrive(
        entries in entries(8),
        sizes in vec(1..100usize, 1..8),
    ) {
        transcript::check(&entries, &sizes);
    }
}

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn a_text_of_a_megabyte_is_read_unchanged(
        mut entries in entries(2),
        sizes in vec(1..100_000usize, 1..8),
    ) {
        // Here, not in the strategy: a failure prints what it is made of.
        for text in entries.iter_mut().flat_map(|it| &mut it.texts) {
            *text = text.repeat((1 << 20) / text.len().max(1));
        }
        transcript::check(&entries, &sizes);
    }
}

/// A hub, and a client of each format that listens to it.
struct Listeners {
    hub: Hub,
    events: Stream,
    lines: Lines,
    response: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
}

impl Listeners {
    async fn start() -> Self {
        let hub = Hub::start().await;
        let events = Stream::open(&hub.client, "").await;
        let client = crate::wire::Wire::Plain.builder().build().expect("a client");
        let request = client.get(hub.client.url("/api/events/stream"));
        let answer = request.header(ACCEPT, "application/x-ndjson").answered().await;
        let response = answer.bytes_stream().boxed();
        let mut listeners = Self { hub, events, lines: Lines::default(), response };
        assert_eq!(listeners.next_line().await["event"], "connected");
        listeners
    }

    fn client(&self) -> &Client {
        &self.hub.client
    }

    async fn next_line(&mut self) -> Value {
        loop {
            if let Some(line) = self.lines.lines.pop_front() {
                contract::assert_fits("Event", line.as_bytes(), "the stream");
                return serde_json::from_str(&line).expect("JSON");
            }
            let chunk = tokio::time::timeout(DEADLINE, self.response.next()).await.expect("in time");
            self.lines.feed(&chunk.expect("the stream goes on").expect("bytes"));
        }
    }

    /// The next event, which is the same for everybody: who listens, in each format, and who asks.
    async fn next(&mut self) -> Value {
        let event = self.events.next_event().await;
        assert_eq!(self.next_line().await, event, "NDJSON");
        let (epoch, seq) = event["id"].as_str().and_then(|id| id.split_once('-')).expect("an id");
        let before = seq.parse::<u64>().expect("a number") - 1;
        let path = format!("/api/events?since={epoch}-{before}&limit=1");
        assert_eq!(self.client().get(&path).await.body, json!([event]), "the list");
        event
    }
}

/// Creates a task with these texts, changes it to those, and finds them wherever they are shown.
async fn tell(listeners: &mut Listeners, before: &[String], after: &[String]) {
    let body = |texts: &[String], status: &str| {
        let fields = Fields::of(texts);
        json!({
            "title": fields.title, "status": status, "assignee": fields.assignee, "tags": fields.tags,
            "artifacts": fields.artifacts, "description": texts.concat(),
            "script": not_blank(&fields.title.replace('\0', ""), SCRIPT_CHARS_MAX),
        })
    };
    let assert_holds = |whole: &Value, part: &Value| {
        for (field, value) in part.as_object().expect("an object") {
            assert!(whole[field] == *value, "{field}: {:.2000}", value.to_string());
        }
    };
    let (mut before, mut after) = (body(before, "todo"), body(after, "review"));
    let id = json!(listeners.client().create(before.clone()).await);
    let path = format!("/api/tasks/{}", id.as_str().expect("an id"));
    assert_holds(&listeners.client().get(&path).await.body, &before);
    let answer = listeners.client().with_body(Method::PATCH, &path, after.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_holds(&answer.body, &after);
    assert_holds(&listeners.client().get(&path).await.body, &after);

    for (kind, told) in [("task_created", &mut before), ("task_updated", &mut after)] {
        told.as_object_mut()
            .expect("an object")
            .retain(|it, _| !["description", "script"].contains(&it.as_str()));
        let event = listeners.next().await;
        assert_eq!((&event["event"], &event["data"]["task_id"]), (&json!(kind), &id));
        assert_holds(&event["data"], told);
    }

    let message = not_blank(after["title"].as_str().expect("a text"), MESSAGE_CHARS_MAX);
    let mut announcement = json!({ "level": "info", "message": message });
    let answer = listeners.client().post("/api/events/announcements", announcement.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let event = listeners.next().await;
    announcement["actor"] = json!(null);
    assert_eq!((&event["event"], &event["data"]), (&json!("announcement"), &announcement));
}

/// Runs cases one after the other against one hub, and another after a failure: what a case has left unread is
/// no fault of the next.
fn against_a_hub<S: Strategy>(cases: u32, strategy: S, case: impl AsyncFn(&mut Listeners, S::Value)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let idle = RefCell::new(None);
    let outcome = TestRunner::new(config(cases)).run(&strategy, |value| {
        let taken = idle.take();
        idle.replace(Some(runtime.block_on(async {
            let mut listeners = match taken {
                Some(listeners) => listeners,
                None => Listeners::start().await,
            };
            case(&mut listeners, value).await;
            listeners
        })));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_accepted_text_is_read_back_from_every_stream_and_list() {
    let texts = || vec(text(), 0..4);
    against_a_hub(64, (texts(), texts()), async |listeners, (before, after)| {
        tell(listeners, &before, &after).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_of_a_megabyte_is_read_back() {
    let text = ["data: é\r\n\u{2028}: x\0 ".repeat((1 << 20) / 20)];
    tell(&mut Listeners::start().await, &text, &text).await;
}

#[test]
fn a_refused_text_is_told_to_nobody() {
    let broken =
        select(&["\\ud800", "\\udfff", "\\udc00\\ud800", "\\ud83d\\u0041", "\\ud8", "\\x", "\n", "\0"]);
    let fields = select(&["title", "description", "assignee", "tags", "artifacts", "script"]);
    let not_json = (fields, broken, text(), text()).prop_map(|(field, broken, before, after)| {
        let quoted = |text: String| {
            let quoted = json!(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let text = format!("\"{}{broken}{}\"", quoted(before), quoted(after));
        let value = if ["tags", "artifacts"].contains(&field) { format!("[{text}]") } else { text };
        format!("{{\"title\":\"refused\",\"{field}\":{value}}}")
    });
    let unprintable = select(&["\r", "\n", "\0", "\u{85}", "\u{7f}", "\u{9f}", "\u{2028}", ","]);
    let no_name = (any::<bool>(), unprintable, text(), text()).prop_map(|(tag, bad, before, after)| {
        let name = format!("{before}{bad}{after}");
        let field = if tag { json!({ "tags": [name] }) } else { json!({ "assignee": name }) };
        let mut body = json!({ "title": "refused" });
        body.as_object_mut().expect("an object").extend(field.as_object().expect("an object").clone());
        body.to_string()
    });
    against_a_hub(64, prop_oneof![not_json, no_name], async |listeners, body| {
        let request = listeners.client().request(Method::POST, "/api/tasks");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = listeners.client().send(request).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "{answer:?}");
        listeners.client().create(json!({ "title": "accepted" })).await;
        assert_eq!(listeners.next().await["data"]["title"], "accepted", "the refused one is not told");
    });
}
