//! Sockets that change hands: what HTTP leaves behind, and what the other ways out of the hub share.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Client, DEADLINE, Hub};
use crate::http1::Response;
use crate::parser::Parser;
use crate::slow::Stalled;
use crate::sse::{Stream, seq};

/// Everything that one connection is answered, until it is over.
async fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::time::timeout(DEADLINE, socket.read_to_end(&mut bytes)).await.expect("in time").expect("no error");
    bytes
}

async fn announce(client: &Client, message: &str) {
    client.post("/api/events/announcements", json!({ "level": "info", "message": message })).await;
}

/// The messages of a stream, at whatever level they came.
fn messages(bytes: &[u8]) -> Vec<Value> {
    let mut parser = Parser::default();
    parser.feed(bytes);
    parser.messages.drain(..).map(|message| message.json()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_after_its_request_is_ignored() {
    for threads in ["0", "1"] {
        let hub = Hub::with(&["--fanout-threads", threads]).await;
        let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
        // Another request in the same breath, which a stream without an end leaves no room to answer.
        let request = "GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n\
                       GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        socket.write_all(request.as_bytes()).await.expect("it is sent");
        hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 1).await;
        let (mut reading, mut writing) = socket.into_split();
        let chatter = tokio::spawn(async move {
            // More than is read at once, and more than a socket holds.
            for _ in 0..64 {
                writing.write_all(&[b'x'; 16 << 10]).await?;
            }
            std::io::Result::Ok(writing)
        });
        let mut response = Response::default();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        announce(&hub.client, "hello").await;
        while messages(&seen).len() < 2 {
            let count = tokio::time::timeout(DEADLINE, reading.read(&mut buffer)).await.expect("in time");
            let count = count.expect("the stream is open");
            assert!(count > 0, "the stream goes on, with {threads} threads");
            seen.extend(response.feed(&buffer[..count]));
        }
        assert_eq!(messages(&seen)[1]["data"]["message"], "hello");
        if threads == "1" {
            // HTTP reads no further than it must while it answers; a fan-out thread takes all of it.
            tokio::time::timeout(DEADLINE, chatter).await.expect("in time").expect("no panic").expect("sent");
        } else {
            chatter.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_client_gets_a_body_without_chunks() {
    let hub = Hub::start().await;
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    let request = "GET /api/events/stream HTTP/1.0\r\nHost: localhost\r\n\r\n";
    socket.write_all(request.as_bytes()).await.expect("it is sent");
    hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 1).await;
    announce(&hub.client, "hello").await;
    hub.client.wait_for("/api/events/status", |status| status["total_events_sent"] == 1).await;
    hub.stop().await;
    let answer = String::from_utf8(read_to_end(&mut socket).await).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.0 200") && !head.contains("chunked"), "{head}");
    let words: Vec<_> = messages(body.as_bytes()).iter().map(|it| it["event"].clone()).collect();
    assert_eq!(words, ["connected", "announcement", "goodbye"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_opens_no_stream() {
    let hub = Hub::start().await;
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    let head = "HEAD /api/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(format!("{head}{last}").as_bytes()).await.expect("it is sent");
    let answers = String::from_utf8(read_to_end(&mut socket).await).expect("UTF-8");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(hub.client.get("/api/events/status").await.body["total_connections"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_follow_other_requests_on_its_connection() {
    let hub = Hub::start().await;
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    for _ in 0..3 {
        socket.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            answer.push(socket.read_u8().await.expect("an answer"));
        }
    }
    let request = "GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.expect("it is sent");
    hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 1).await;
    announce(&hub.client, "hello").await;
    hub.client.wait_for("/api/events/status", |status| status["total_events_sent"] == 1).await;
    hub.stop().await;
    let answer = read_to_end(&mut socket).await;
    let mut response = Response::default();
    let body = response.feed(&answer);
    assert!(response.is_over(), "the answer ends in order");
    let words: Vec<_> = messages(&body).iter().map(|it| it["event"].clone()).collect();
    assert_eq!(words, ["connected", "announcement", "goodbye"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_at_any_byte_go_on_there_from_memory_and_from_the_store() {
    // So few events in memory that a client that stops for a moment has to be read for from the store.
    let hub = Hub::with(&["--fanout-threads", "1", "--ring-events-max", "3"]).await;
    let queries = ["", "?named=true", "?status=todo", "?since=earliest"];
    let mut clients = Vec::new();
    for query in queries.iter().cycle().take(12) {
        clients.push(Stalled::open(&hub.client, &format!("/api/events/stream{query}")).await);
    }
    let id = hub.client.create(json!({ "title": "0" })).await;
    for round in 1..=60 {
        // Of other lengths each time, so that buffers are full at other bytes.
        let body = json!({ "title": round.to_string(), "artifacts": ["y".repeat(round * 61 % 4000), "z".repeat(4000)] });
        hub.client.with_body(reqwest::Method::PATCH, &format!("/api/tasks/{id}"), body).await;
    }
    for client in &mut clients {
        let mut expected = 1;
        while expected <= 61 {
            let message = client.next().await;
            if message["event"] != "connected" {
                assert_eq!(seq(&message["id"]), expected);
                assert_eq!(message["data"]["title"], (expected - 1).to_string());
                expected += 1;
            }
        }
    }
    let all_there = |status: &Value| {
        status["clients"].as_array().expect("a list").iter().all(|client| client["lag_events"] == 0)
    };
    hub.client.wait_for("/api/events/status?clients=true", all_there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_one_filter_share_a_group_and_each_gets_its_own_part() {
    let hub = Hub::with(&["--fanout-threads", "2", "--keepalive-seconds", "1"]).await;
    let mut streams = Vec::new();
    for number in 0..40 {
        streams.push(Stream::open(&hub.client, &format!("?assignee=a{},nobody", number % 20)).await);
    }
    let mut other = Stream::open(&hub.client, "?events=announcement").await;
    for number in 0..20 {
        hub.client.create(json!({ "title": "t", "assignee": format!("a{number}") })).await;
    }
    announce(&hub.client, "done").await;
    for (number, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.next_event().await["data"]["assignee"], format!("a{}", number % 20));
        // And of the rest only how far it has come.
        let checkpoint = loop {
            let message = stream.next().await;
            assert_eq!(message["event"], "checkpoint");
            if seq(&message["id"]) == 21 {
                break message;
            }
        };
        assert_eq!(seq(&checkpoint["data"]["head"]), 21);
    }
    assert_eq!(other.next_event().await["data"]["message"], "done");
    let left = tokio::time::timeout(Duration::from_millis(1500), other.next()).await;
    assert!(left.is_err(), "nothing but keepalives follows: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_all_go_at_once_take_nobody_along() {
    let hub = Hub::with(&["--fanout-threads", "1"]).await;
    let mut other = Stream::open(&hub.client, "?events=announcement").await;
    for round in 0..30 {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(Stalled::open(&hub.client, "/api/events/stream").await);
        }
        hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 21).await;
        // Each is reset at some moment of what is sent to all of them meanwhile.
        let sending = {
            let client = hub.client.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    announce(&client, "all of you").await;
                }
            })
        };
        for client in clients {
            client.socket.set_zero_linger().expect("it takes the option");
        }
        sending.await.expect("no panic");
        hub.client.wait_for("/api/events/status", |status| status["connected_clients"] == 1).await;
        let last = format!("round {round}");
        announce(&hub.client, &last).await;
        while other.next_event().await["data"]["message"] != json!(last) {}
    }
}
