//! Clients that do not read, and clients that are gone: they cost little, lose nothing, and are noticed.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::contract;
use crate::harness::{Client, DEADLINE, Hub, HubProcess};
use crate::http1::Response;
use crate::parser::Parser;
use crate::sse::{Stream, seq};
use crate::wire::Wire;

/// What the kernel takes for a client that does not read: the smallest it allows.
const RECEIVE_BUFFER_BYTES: u32 = 4096;

/// A stream on a bare socket that reads only when it is told to.
pub struct Stalled {
    pub socket: TcpStream,
    pub parser: Parser,
    pub response: Response,
}

impl Stalled {
    pub async fn open(client: &Client, path: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("it takes the option");
        let mut socket = socket.connect(client.address).await.expect("it connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("it is sent");
        let mut response = Response::default();
        while !response.is_in_body() {
            response.feed(&[socket.read_u8().await.expect("a head")]);
        }
        Self { socket, parser: Parser::default(), response }
    }

    /// The next message's envelope; `None` when the stream has ended.
    pub async fn try_next(&mut self) -> Option<Value> {
        let mut bytes = [0; 16 << 10];
        loop {
            if let Some(message) = self.parser.messages.pop_front() {
                contract::assert_fits("Event", message.data.as_bytes(), "the stream");
                return Some(message.json());
            }
            if self.response.is_over() {
                return None;
            }
            match tokio::time::timeout(DEADLINE, self.socket.read(&mut bytes)).await.expect("in time") {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.parser.feed(&self.response.feed(&bytes[..count])),
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        self.try_next().await.expect("the stream goes on")
    }
}

/// Artifacts of about 60 KB, different each time.
fn bulk(round: usize) -> Value {
    (0..15).map(|n| format!("{round}-{n}-{}", "x".repeat(4000))).collect()
}

/// Makes `count` events of about 60 KB.
async fn write_bulk(client: &Client, count: usize) {
    let id = client.create(json!({ "title": "bulk" })).await;
    for round in 0..count {
        let body = json!({ "artifacts": bulk(round) });
        client.with_body(Method::PATCH, &format!("/api/tasks/{id}"), body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_holds_up_nobody_and_goes_on_in_place() {
    let hub = Hub::with(&["--ring-events-max", "8"]).await;
    let mut stalled = Stalled::open(&hub.client, "/api/events/stream").await;
    let mut filtered = Stalled::open(&hub.client, "/api/events/stream?status=todo&named=true").await;
    let mut reading = Stream::open(&hub.client, "").await;
    write_bulk(&hub.client, 100).await;
    for expected in 1..=101 {
        assert_eq!(seq(&reading.next().await["id"]), expected);
    }
    let lagging = |status: &Value| {
        let clients = status["clients"].as_array().expect("a list");
        let behind = |at: usize| clients[at]["lag_events"].as_u64() > Some(20);
        behind(0) && behind(1) && clients[2]["lag_events"] == 0
    };
    let status = hub.client.wait_for("/api/events/status?clients=true", lagging).await;
    let (slow, fast) = (&status["clients"][0], &status["clients"][2]);
    let events = slow["lag_events"].as_u64().expect("a number");
    let bytes = slow["lag_bytes"].as_u64().expect("a number");
    assert!(bytes > events * 60_000 && bytes < events * 70_000, "{slow}");
    assert!(slow["lag_ms"].as_i64() > Some(0) && slow["lag_ms"].as_i64() < Some(20_000), "{slow}");
    assert_eq!((&fast["lag_bytes"], &fast["lag_ms"]), (&json!(0), &json!(0)));
    assert_eq!(status["clients"][1]["filter"]["status"], json!(["todo"]));

    for stalled in [&mut stalled, &mut filtered] {
        assert_eq!(stalled.next().await["event"], "connected");
        for expected in 1..=101 {
            let event = stalled.next().await;
            assert_eq!(seq(&event["id"]), expected);
            if expected > 1 {
                assert_eq!(event["data"]["artifacts"], bulk(expected as usize - 2));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_a_page_arrives_whole_from_memory_and_from_the_store() {
    let hub = Hub::with(&["--ring-events-max", "2"]).await;
    // Six bytes each once they are escaped.
    let artifacts: Vec<_> = (0..16).map(|n| format!("{n:02}{}", "\u{1}".repeat(4094))).collect();
    hub.client.create(json!({ "title": "large", "artifacts": artifacts })).await;
    for title in ["small", "smaller"] {
        let queries = ["?since=earliest", "?since=earliest&named=true", "?since=earliest&status=todo"];
        for query in queries {
            let mut stream = Stream::open(&hub.client, query).await;
            let large = stream.next().await;
            assert_eq!((seq(&large["id"]), &large["data"]["artifacts"]), (1, &json!(artifacts)), "{query}");
        }
        hub.client.create(json!({ "title": title })).await;
        hub.client.create(json!({ "title": title })).await;
    }
}

/// Bytes of memory that a process has to itself.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux says");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
}

/// What a client that does not read may hold: on a fan-out thread its place in the log, and as the body of an
/// answer two pages and what HTTP needs.
fn held_bytes_max() -> u64 {
    match std::env::var("TASKHUB_FANOUT_THREADS").as_deref() {
        Ok("0") => (64 << 10) + (32 << 10),
        // With what all of them together need once.
        _ => 16 << 10,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_have_stopped_hold_little_memory_even_in_the_middle_of_a_replay() {
    const CLIENTS: u64 = 200;
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &["--ring-events-max", "2"]).await;
    write_bulk(&hub.client, 60).await;
    let mut stalled = Vec::new();
    // The first ones warm up what belongs to nobody in particular: connections of the store, threads.
    let mut before = 0;
    for number in 0..CLIENTS + 20 {
        if number == 20 {
            before = memory(hub.child.id());
        }
        stalled.push(Stalled::open(&hub.client, "/api/events/stream?since=earliest").await);
    }
    let all_stuck = |status: &Value| {
        let clients = status["clients"].as_array().expect("a list");
        clients.iter().all(|client| client["bytes_sent"].as_u64() > Some(5_000))
    };
    hub.client.wait_for("/api/events/status?clients=true", all_stuck).await;
    let each = memory(hub.child.id()).saturating_sub(before) / CLIENTS;
    println!("{each} bytes a client that stalled in a replay");
    assert!(each < held_bytes_max(), "{each} bytes a client");
    for client in &mut stalled[..3] {
        for expected in 0..=60 {
            let message = client.next().await;
            assert_eq!(seq(&message["id"]), expected, "{}", message["event"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_one_after_the_other_do_not_keep_the_past_in_memory() {
    const CLIENTS: u64 = 100;
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &["--ring-events-max", "4"]).await;
    write_bulk(&hub.client, 20).await;
    let mut stalled = Vec::new();
    // The first ones warm up what belongs to nobody in particular. Each is there for other events, so what one holds on to
    // is held for nobody else.
    let mut before = 0;
    for number in 0..CLIENTS + 20 {
        if number == 20 {
            before = memory(hub.child.id());
        }
        stalled.push(Stalled::open(&hub.client, "/api/events/stream").await);
        write_bulk(&hub.client, 3).await;
    }
    let each = memory(hub.child.id()).saturating_sub(before) / CLIENTS;
    println!("{each} bytes a client that stalled live");
    assert!(each < held_bytes_max(), "{each} bytes a client");
}

/// Waits until the only client has gone, within a minute, and answers after how long.
async fn gone(hub: &Hub) -> Duration {
    let since = Instant::now();
    let gone = async {
        while hub.client.get("/api/events/status").await.body["connected_clients"] != 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("within a minute");
    let status = hub.client.get("/api/events/status?clients=true").await.body;
    assert_eq!(status["recent_disconnects"][0]["reason"], "timed_out");
    assert_eq!(status["disconnects"]["timed_out"], 1);
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_is_gone_within_a_minute() {
    let hub = Hub::start().await;
    write_bulk(&hub.client, 100).await;
    let _stalled = Stalled::open(&hub.client, "/api/events/stream?since=earliest").await;
    let time = gone(&hub).await;
    println!("gone after {time:?}");
    assert!(time > Duration::from_secs(40), "a stall is given time to pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_given_time_although_little_waits_for_it() {
    let hub = Hub::start().await;
    let _stalled = Stalled::open(&hub.client, "/api/events/stream").await;
    write_bulk(&hub.client, 2).await;
    let time = gone(&hub).await;
    println!("gone after {time:?}");
    assert!(time > Duration::from_secs(40), "a stall is given time to pass");
}

/// Connections to `port` of this machine that the kernel holds open for whoever listens there.
fn sockets(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux says");
    let open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().expect("an address");
        // 01: established.
        local.ends_with(&format!(":{port:04X}")) && fields.nth(1) == Some("01")
    };
    table.lines().skip(1).filter(open).count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_that_of_the_kernels_sockets_however_clients_leave() {
    let hub = Hub::start().await;
    let mut streams = Vec::new();
    for _ in 0..40 {
        let mut stream = Stalled::open(&hub.client, "/api/events/stream").await;
        // A socket that is closed with something unread is reset by the kernel.
        stream.next().await;
        streams.push(stream);
    }
    for stream in streams.drain(..10) {
        drop(stream);
    }
    for stream in streams.drain(..10) {
        stream.socket.set_zero_linger().expect("it takes the option");
    }
    for stream in &mut streams[..5] {
        stream.socket.shutdown().await.expect("half of it closes");
    }
    // One request of its own each time, so that no other connection is counted.
    let http = Wire::Plain.builder().pool_max_idle_per_host(0).build().expect("a client");
    let client = Client { http, ..hub.client.clone() };
    let status = client.wait_for("/api/events/status?clients=true", |status| {
        status["connected_clients"] == 15 && sockets(client.address.port()) == 15
    });
    let status = status.await;
    assert_eq!(status["clients"].as_array().expect("a list").len(), 15);
    assert_eq!((&status["disconnects"]["closed"], &status["disconnects"]["reset"]), (&json!(15), &json!(10)));
    let gone = &status["recent_disconnects"];
    assert_eq!(gone.as_array().expect("a list").len(), 25);
    assert!(gone[0]["disconnected_at"].as_str() >= gone[0]["connected_at"].as_str(), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_publication_to_the_connection_is_measured() {
    let hub = Hub::start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Stream::open(&hub.client, "").await);
    }
    hub.client.create(json!({ "title": "t" })).await;
    for stream in &mut streams {
        stream.next_event().await;
    }
    let counted = |text: &str| text.lines().any(|line| line == "taskhub_stream_latency_seconds_count 5");
    hub.client.wait_for_text("/metrics", counted).await;
    // What is replayed is no measure of how fast it is served.
    Stream::open(&hub.client, "?since=earliest").await.next_event().await;
    hub.client.wait_for_text("/metrics", counted).await;
    streams.clear();
    let gone = |text: &str| text.contains("taskhub_stream_disconnects_total{reason=\"closed\"} 6");
    hub.client.wait_for_text("/metrics", gone).await;
}
