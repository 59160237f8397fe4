//! HTTP/2 with prior knowledge on a plain port, beside HTTP/1.1: what the hub lets a connection do, and how it ends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::{Request, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{DEADLINE, Hub};
use crate::parser::Parser;
use crate::wire::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// The kind and the payload of each frame. RFC 9113, section 4.1.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        Some((head[3], payload))
    })
}

/// A connection of HTTP/2, spoken by hand. What its streams have received counts as taken only when it is released.
pub struct Connection {
    pub sender: SendRequest<Bytes>,
    pub ended: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    pub async fn open(hub: &Hub) -> Self {
        let socket = TcpStream::connect(hub.client.address).await.expect("it connects");
        let mut builder = h2::client::Builder::new();
        // What one stream does not take shall not be in the way of the others.
        let connecting = builder.initial_connection_window_size(1 << 24).handshake(socket);
        let (sender, connection) = connecting.await.expect("a handshake");
        Self { sender, ended: tokio::spawn(connection) }
    }

    /// Sends a request without a body, and answers the head of the answer.
    pub async fn send(&mut self, request: Request<()>) -> Result<hyper::Response<h2::RecvStream>, h2::Error> {
        let sender = self.sender.clone().ready().await?;
        self.sender = sender;
        let (response, _) = self.sender.send_request(request, true)?;
        tokio::time::timeout(DEADLINE, response).await.expect("an answer in time")
    }

    pub async fn get(&mut self, hub: &Hub, path: &str) -> hyper::Response<h2::RecvStream> {
        let request =
            Request::get(format!("http://{}{path}", hub.client.address)).body(()).expect("a request");
        self.send(request).await.expect("an answer")
    }
}

/// The body of a stream, and what has been read of it.
pub struct Events {
    body: h2::RecvStream,
    parser: Parser,
}

impl Events {
    pub fn new(answer: hyper::Response<h2::RecvStream>) -> Self {
        assert_eq!(answer.status(), StatusCode::OK);
        Self { body: answer.into_body(), parser: Parser::default() }
    }

    /// The next message; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<serde_json::Value> {
        loop {
            if let Some(message) = self.parser.messages.pop_front() {
                return Some(message.json());
            }
            let bytes = tokio::time::timeout(DEADLINE, self.body.data()).await.expect("in time")?.ok()?;
            self.body.flow_control().release_capacity(bytes.len()).expect("it was received");
            self.parser.feed(&bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_may_come_in_pieces_and_what_only_begins_like_it_is_http_1() {
    let hub = Hub::start().await;
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    for byte in PREFACE {
        socket.write_all(&[*byte]).await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Empty settings.
    socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("it is sent");
    let mut head = [0; 9];
    tokio::time::timeout(DEADLINE, socket.read_exact(&mut head)).await.expect("in time").expect("an answer");
    assert_eq!(head[3], 4, "the hub's settings: {head:?}");

    for (first, rest) in [
        ("P", "OST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"),
        ("PR", "X / HTTP/1.1\r\nHost: a\r\n"),
    ] {
        let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
        socket.write_all(first.as_bytes()).await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
        socket.write_all(format!("{rest}Connection: close\r\n\r\n").as_bytes()).await.expect("it is sent");
        let mut answer = String::new();
        let reading = socket.read_to_string(&mut answer);
        tokio::time::timeout(DEADLINE, reading).await.expect("in time").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // Half closed in the middle of one, it is answered or closed at once.
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    socket.write_all(b"PRI * HT").await.expect("it is sent");
    socket.shutdown().await.expect("half of it closes");
    let (started, mut answer) = (Instant::now(), Vec::new());
    let _ = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("in time");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_held_to_what_the_host_header_is() {
    let hub = Hub::start().await;
    let mut connection = Connection::open(&hub).await;
    let address = hub.client.address.to_string();
    let cases: [(&str, Option<&str>, u16); 8] = [
        (&address, None, 200),
        ("localhost", None, 200),
        (&address, Some(&address), 200),
        ("evil.example", None, 421),
        ("evil.example", Some(&address), 400),
        (&address, Some("evil.example"), 400),
        ("evil.example", Some("evil.example"), 421),
        ("me@localhost", None, 400),
    ];
    for (authority, host, status) in cases {
        let mut request = Request::get(format!("http://{authority}/health"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = connection.send(request.body(()).expect("a request")).await;
        match answer {
            Ok(answer) => assert_eq!(answer.status().as_u16(), status, "{authority} {host:?}"),
            // Refused as no HTTP/2 at all.
            Err(error) => assert!(status == 400 && error.is_reset(), "{authority} {host:?}: {error}"),
        }
    }
    // A page of another site, by the name of this hub.
    let request =
        Request::post(format!("http://{address}/api/tasks")).header("origin", "http://evil.example");
    let answer = connection.send(request.body(()).expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_request_is_sent_away_and_one_with_a_stream_stays() {
    let hub = Hub::with(&["--request-seconds-max", "1"]).await;
    let mut idle = Connection::open(&hub).await;
    idle.get(&hub, "/health").await;
    let mut busy = Connection::open(&hub).await;
    let mut events = Events::new(busy.get(&hub, "/api/events/stream").await);
    assert_eq!(events.next().await.expect("a message")["event"], "connected");
    let ended = tokio::time::timeout(DEADLINE, idle.ended).await.expect("it is closed").expect("no panic");
    assert!(ended.is_ok(), "in order: {ended:?}");
    // Longer than it may be idle, and than it takes to be sent away.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let id = hub.client.create(json!({ "title": "still there" })).await;
    assert_eq!(events.next().await.expect("a message")["data"]["task_id"], id.as_str());
    drop(events);
    tokio::time::timeout(DEADLINE, busy.ended)
        .await
        .expect("it is closed")
        .expect("no panic")
        .expect("in order");
    let status =
        hub.client.wait_for("/api/events/status?clients=true", |it| it["connected_clients"] == 0).await;
    assert_eq!(status["disconnects"]["closed"], 1, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_keeps_nobody_waiting() {
    // Room for one of the largest, which each of these announces.
    let hub = Wire::H2c.hub(&["--bodies-bytes-max", "1572864"]).await;
    let mut connection = Connection::open(&hub).await;
    let mut slow = Vec::new();
    for title in ["first", "second"] {
        let request = Request::post(format!("http://{}/api/tasks", hub.client.address));
        let request = request.header("content-type", "application/json").body(()).expect("a request");
        let mut sender = connection.sender.clone().ready().await.expect("a connection");
        let (answer, mut body) = sender.send_request(request, false).expect("it is sent");
        let begin = Bytes::from(format!("{{\"title\": \"{title}"));
        body.send_data(begin, false).expect("it is sent");
        slow.push((answer, body));
    }
    let reading = |text: &str| text.contains("taskhub_http_requests_in_flight 3");
    hub.client.wait_for_text("/metrics", reading).await;
    let started = Instant::now();
    // Something that takes no body does not wait for one that is announced.
    let health = Request::get(format!("http://{}/health", hub.client.address)).body(()).expect("a request");
    let mut sender = connection.sender.clone().ready().await.expect("a connection");
    let (answer, _body) = sender.send_request(health, false).expect("it is sent");
    let answer = tokio::time::timeout(DEADLINE, answer).await.expect("in time").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(connection.get(&hub, "/api/tasks").await.status(), StatusCode::OK);
    hub.client.create(serde_json::json!({"title": "A small one"})).await;
    assert!(started.elapsed() < Duration::from_secs(5), "nobody is queued behind a body");
    for (answer, mut body) in slow {
        body.send_data(Bytes::from_static(b" one\"}"), true).expect("it is sent");
        let answer = tokio::time::timeout(DEADLINE, answer).await.expect("in time").expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_requests_at_once_and_ends_when_it_floods() {
    let hub = Hub::start().await;
    let mut connection = Connection::open(&hub).await;
    let mut streams = Vec::new();
    for _ in 0..128 {
        streams.push(connection.get(&hub, "/api/events/stream").await);
    }
    assert_eq!(hub.client.get("/api/events/status").await.body["connected_clients"], 128);
    let mut more = connection.sender.clone();
    let one_more =
        tokio::time::timeout(Duration::from_millis(200), std::future::poll_fn(|cx| more.poll_ready(cx)));
    let request = Request::get(format!("http://{}/health", hub.client.address)).body(()).expect("a request");
    if one_more.await.is_ok()
        && let Ok((answer, _)) = more.send_request(request, true)
    {
        let waiting = tokio::time::timeout(Duration::from_millis(200), answer).await;
        assert!(waiting.is_err(), "one more waits or is refused: {waiting:?}");
    }
    drop((streams, more, connection));
    hub.client.wait_for("/api/events/status", |it| it["connected_clients"] == 0).await;

    // Requests that are given up at once, by hand: a library would send nothing.
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    socket.write_all(PREFACE).await.expect("it is sent");
    socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("it is sent");
    let mut flood = Vec::new();
    for number in 0..20_000_u32 {
        let id = (2 * number + 1).to_be_bytes();
        // GET, http, /, and `localhost` as :authority, in HPACK.
        let block = [&[0x82, 0x86, 0x84, 0x41, 9][..], b"localhost"].concat();
        flood.extend([0, 0, block.len() as u8, 1, 5]);
        flood.extend(id);
        flood.extend(block);
        flood.extend([0, 0, 4, 3, 0]);
        flood.extend(id);
        flood.extend(8_u32.to_be_bytes());
    }
    let (mut reading, mut writing) = socket.into_split();
    let writing = tokio::spawn(async move { writing.write_all(&flood).await });
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, reading.read_to_end(&mut answer)).await.expect("it is ended");
    let said = frames(&answer).find(|(kind, _)| *kind == GOAWAY).map(|(_, payload)| payload[4..8].to_vec());
    // Or it was reset under what the hub had said last.
    assert!(ended.is_err() || said.is_some_and(|code| code == ENHANCE_YOUR_CALM), "{ended:?}, {answer:?}");
    drop(writing);
    assert_eq!(hub.client.get("/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_end_their_connection_in_time() {
    let hub = Hub::start().await;
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let update_of_window: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let priority: &[u8] = &[0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7];
    let unknown: &[u8] = &[0, 0, 2, 0xbb, 0, 0, 0, 0, 0, 1, 2];
    for frame in [update_of_window, priority, unknown] {
        for (count, ends) in [(5_000, false), (30_000, true)] {
            let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
            socket.write_all(&[PREFACE, settings].concat()).await.expect("it is sent");
            let (mut reading, mut writing) = socket.into_split();
            let flood = frame.repeat(count);
            let writing = tokio::spawn(async move {
                let written = writing.write_all(&flood).await;
                (writing, written)
            });
            let mut answer = Vec::new();
            // Well before the time that a connection may go without a request.
            let time = Duration::from_millis(if ends { 5_000 } else { 300 });
            let ended = tokio::time::timeout(time, reading.read_to_end(&mut answer)).await;
            assert_eq!(ended.is_ok(), ends, "{count} frames of kind {}", frame[3]);
            drop(writing.await);
        }
    }
    assert_eq!(hub.client.get("/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_refused() {
    let hub = Hub::start().await;
    let mut connection = Connection::open(&hub).await;
    let large = "x".repeat(40_000);
    let request = Request::get(format!("http://{}/health", hub.client.address)).header("a", &large);
    let answer = connection.send(request.body(()).expect("a request")).await;
    assert!(answer.as_ref().is_err() || answer.as_ref().is_ok_and(|it| it.status() == 431), "{answer:?}");
    assert_eq!(hub.client.get("/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_hub_is_the_end_of_a_connection() {
    let hub = Wire::H2c.hub(&[]).await;
    let mut connection = Connection::open(&hub).await;
    let mut events = Events::new(connection.get(&hub, "/api/events/stream").await);
    assert_eq!(events.next().await.expect("a message")["event"], "connected");
    let started = Instant::now();
    let stopping = tokio::spawn(hub.stop());
    assert_eq!(events.next().await.expect("a message")["event"], "goodbye");
    assert!(events.next().await.is_none());
    drop(events);
    drop(connection.sender);
    connection.ended.await.expect("no panic").expect("a connection that ends in order");
    stopping.await.expect("no panic");
    assert!(started.elapsed() < Duration::from_secs(5), "nobody is cut off");
}
