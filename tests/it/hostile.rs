//! Clients that mean no good, or have gone to sleep: each is let go in time, all of them at once, while everybody else
//! goes on.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Client, DEADLINE, Hub};
use crate::http2::Connection;
use crate::slow::Stalled;
use crate::sse::Stream;
use crate::tls::shake;
use crate::wire::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEAD: &[u8] = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const STREAMS: usize = 1000;
/// What the hubs of these tests give a client; the default is 15.
const SECONDS: u64 = 3;

/// Says something, and then waits until the hub hangs up.
async fn say_and_wait(mut socket: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
    let _ = socket.write_all(words).await;
    wait(&mut socket).await;
}

async fn wait(socket: &mut (impl AsyncRead + Unpin)) {
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
}

/// Says a byte from time to time, for as long as the hub listens.
async fn dribble(mut socket: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
    let mut words = words.iter().copied().chain(std::iter::repeat(b'a'));
    let mut answer = [0; 1024];
    loop {
        let byte = words.next().expect("without an end");
        if socket.write_all(&[byte]).await.is_err() {
            return;
        }
        let reading = tokio::time::timeout(Duration::from_millis(200), socket.read(&mut answer));
        if let Ok(Ok(0) | Err(_)) = reading.await {
            return;
        }
    }
}

type Misdeed = (&'static str, Pin<Box<dyn Future<Output = ()> + Send>>);

fn misdeed(name: &'static str, deed: impl Future<Output = ()> + Send + 'static) -> Misdeed {
    (name, Box::pin(deed))
}

async fn socket(client: &Client) -> TcpStream {
    TcpStream::connect(client.address).await.expect("it connects")
}

async fn on_plain(client: &Client) -> Vec<Misdeed> {
    let body = [HEAD, b"Content-Length: 20\r\n\r\n{\"tit"].concat();
    let chunks = [HEAD, b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tit\r\n"].concat();
    let slow_body = [HEAD, b"Content-Length: 100000\r\n\r\n{\"title\": \""].concat();
    let h2 = [PREFACE, SETTINGS].concat();
    // The head of a HEADERS frame that promises more than comes.
    let half_a_request = [PREFACE, SETTINGS, &[0, 0, 200, 1, 4, 0, 0, 0, 1, 0x82]].concat();
    let [a, b, c, d, e, f, g, h, i, j] = [
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
        socket(client).await,
    ];
    vec![
        misdeed("says nothing", say_and_wait(a, b"")),
        misdeed("half a head", say_and_wait(b, HEAD)),
        misdeed("a head byte by byte", dribble(c, HEAD)),
        misdeed("half a body", async move { say_and_wait(d, &body).await }),
        misdeed("half a body in chunks", async move { say_and_wait(e, &chunks).await }),
        misdeed("a body byte by byte", async move {
            let mut socket = f;
            socket.write_all(&slow_body).await.expect("it is sent");
            dribble(socket, b"").await;
        }),
        misdeed("half a preface", say_and_wait(g, &PREFACE[..10])),
        misdeed("HTTP/2 and nothing else", async move { say_and_wait(h, &h2).await }),
        misdeed("a preface alone", say_and_wait(i, PREFACE)),
        misdeed("half a request of HTTP/2", async move { say_and_wait(j, &half_a_request).await }),
    ]
}

async fn on_tls(client: &Client) -> Vec<Misdeed> {
    // The head of a record, and the beginning of a ClientHello.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let [a, b, c] = [socket(client).await, socket(client).await, socket(client).await];
    let http1 = shake(client, &["http/1.1"]).await.expect("a handshake");
    let head = shake(client, &["http/1.1"]).await.expect("a handshake");
    let silent_h2 = shake(client, &["h2"]).await.expect("a handshake");
    let idle_h2 = shake(client, &["h2"]).await.expect("a handshake");
    vec![
        misdeed("no handshake", say_and_wait(a, b"")),
        misdeed("half a handshake", async move { say_and_wait(b, &hello).await }),
        misdeed("a handshake byte by byte", async move { dribble(c, &hello).await }),
        misdeed("TLS and nothing else", say_and_wait(http1, b"")),
        misdeed("half a head over TLS", say_and_wait(head, HEAD)),
        misdeed("HTTP/2 over TLS without a word", say_and_wait(silent_h2, b"")),
        misdeed("HTTP/2 over TLS and nothing else", async move {
            say_and_wait(idle_h2, &[PREFACE, SETTINGS].concat()).await;
        }),
    ]
}

/// Has all of it done, and says how long each could go on.
async fn commit(misdeeds: Vec<Misdeed>) -> Vec<(&'static str, Duration)> {
    let mut doing = JoinSet::new();
    for (name, deed) in misdeeds {
        doing.spawn(async move {
            let started = Instant::now();
            tokio::time::timeout(DEADLINE * 2, deed).await.unwrap_or_else(|_| panic!("{name} is let go on"));
            (name, started.elapsed())
        });
    }
    doing.join_all().await
}

/// Announces while it goes on; answers how many events there were.
async fn announce_until(client: &Client, done: tokio::sync::oneshot::Receiver<()>) -> u64 {
    let mut count = 0;
    let mut done = std::pin::pin!(done);
    loop {
        let body = json!({ "level": "info", "message": format!("{count}") });
        assert_eq!(client.post("/api/events/announcements", body).await.status, StatusCode::CREATED);
        count += 1;
        if tokio::time::timeout(Duration::from_millis(100), done.as_mut()).await.is_ok() {
            return count;
        }
    }
}

/// Has the misdeeds done while events are sent, and shows what they came to.
async fn while_events_are_sent(hub: &Hub, misdeeds: Vec<Misdeed>) -> u64 {
    let (ended, done) = tokio::sync::oneshot::channel();
    let committing = async {
        let times = commit(misdeeds).await;
        let _ = ended.send(());
        times
    };
    let (times, events) = tokio::join!(committing, announce_until(&hub.client, done));
    for (name, time) in times {
        println!("{name}: {:.1} s", time.as_secs_f64());
        let least = Duration::from_secs(SECONDS) - Duration::from_millis(500);
        assert!(time > least && time < DEADLINE, "{name}: {time:?}");
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_let_go_in_time_while_a_thousand_streams_miss_nothing() {
    taskhub::open_files::raise();
    let hub = Hub::with(&["--request-seconds-max", &SECONDS.to_string()]).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(Stalled::open(&hub.client, "/api/events/stream?events=announcement").await);
    }
    let mut idle = Connection::open(&hub).await;
    idle.get(&hub, "/health").await;
    let mut misdeeds = on_plain(&hub.client).await;
    misdeeds.push(misdeed("one request of HTTP/2, and nothing else", async move {
        let _kept = idle.sender;
        idle.ended.await.expect("no panic").expect("sent away in order");
    }));
    let events = while_events_are_sent(&hub, misdeeds).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await["event"], "connected");
        for number in 0..events {
            assert_eq!(stream.next().await["data"]["message"], number.to_string());
        }
    }
    assert_eq!(hub.client.get("/api/events/status").await.body["connected_clients"], STREAMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_let_go_in_time_on_tls_as_well() {
    let hub = Wire::Tls2.hub(&["--request-seconds-max", &SECONDS.to_string()]).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS / 100 {
        let client = Client::over(Wire::Tls2, hub.client.address);
        for _ in 0..100 {
            streams.push(Stream::open(&client, "?events=announcement").await);
        }
    }
    let events = while_events_are_sent(&hub, on_tls(&hub.client).await).await;
    for stream in &mut streams {
        for number in 0..events {
            assert_eq!(stream.next().await["data"]["message"], number.to_string());
        }
    }
    assert_eq!(hub.client.get("/api/events/status").await.body["connected_clients"], STREAMS);
}
