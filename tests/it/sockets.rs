//! Odd and slow clients on a bare socket: an answer or a close, and the hub lives on.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Client, DEADLINE};
use crate::problems::Bench;

/// What comes back for `bytes` until the hub closes.
async fn raw(client: &Client, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(client.address).await.expect("it connects");
    // The hub may answer and close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(DEADLINE, reading).await.expect("the hub closes");
    String::from_utf8(answer).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_cut_off_and_a_slow_body_told_so() {
    let bench = Bench::new().await;
    let before = bench.standing().await;
    let head = "POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let cut = |answer: &str| assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    cut(&raw(bench.client(), head.as_bytes()).await);
    cut(&raw(bench.client(), b"").await);

    // Byte by byte it is no faster.
    let mut socket = TcpStream::connect(bench.client().address).await.expect("it connects");
    let (started, mut answer) = (Instant::now(), Vec::new());
    while started.elapsed() < DEADLINE {
        let _ = socket.write_all(b"A").await;
        let reading = socket.read_to_end(&mut answer);
        if tokio::time::timeout(Duration::from_millis(100), reading).await.is_ok() {
            break;
        }
    }
    assert!(started.elapsed() < DEADLINE, "a slow head is waited for");
    cut(&String::from_utf8(answer).expect("UTF-8"));

    for rest in ["Content-Length: 20\r\n\r\n{\"title\":", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tit\r\n"]
    {
        let answer = raw(bench.client(), format!("{head}{rest}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("request_timeout"),
            "{answer}"
        );
    }
    assert_eq!(bench.standing().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_http_gets_an_answer_or_a_close_and_the_hub_lives_on() {
    let bench = Bench::new().await;
    let before = bench.standing().await;
    let address = bench.client().address;
    let close = "Connection: close\r\n\r\n";
    let pipelined = format!(
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n\
         GET /ready HTTP/1.1\r\nHost: localhost\r\n{close}"
    );
    let answer = raw(bench.client(), pipelined.as_bytes()).await;
    let statuses: Vec<_> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200"], "{answer}");

    let post = "POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let (large, many) = (format!("A: {}\r\n", "x".repeat(100_000)), "A: x\r\n".repeat(20_000));
    let exchanges = [
        ("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), "200"),
        // As older balancers check.
        ("GET /health HTTP/1.0\r\n\r\n".to_owned(), "200"),
        ("GET /api/tasks HTTP/1.0\r\n\r\n".to_owned(), "400"),
        (format!("GET http://{address}/health HTTP/1.1\r\nHost: {address}\r\n{close}"), "200"),
        (format!("GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n{close}"), "421"),
        // The target counts, whatever the header says.
        (format!("GET http://evil.example/health HTTP/1.1\r\nHost: {address}\r\n{close}"), "421"),
        (format!("GET http://{address}/health HTTP/1.1\r\nHost: evil.example\r\n{close}"), "200"),
        (format!("GET http://x@{address}/health HTTP/1.1\r\nHost: {address}\r\n{close}"), "400"),
        (format!("GET /health HTTP/1.1\r\n{close}"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n{close}"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost:\r\n{close}"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: local host\r\n{close}"), "4"),
        (format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{large}{close}"), ""),
        (format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{many}{close}"), ""),
        (format!("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n{close}"), "4"),
        (format!("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n{close}"), "4"),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n{close}", "x".repeat(70_000)), "4"),
        ("\u{0}\u{1}\r\n\r\n".to_owned(), "4"),
        ("GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n".to_owned(), "4"),
        (format!("{post}Content-Length: x\r\n\r\n{{}}"), "4"),
        (format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), "4"),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n{{}}"), "4"),
        (format!("{post}Transfer-Encoding: chunked\r\n{close}zz\r\n{{}}"), "4"),
        (format!("{post}Content-Length: 99999999999999999999\r\n{close}{{}}"), "4"),
        (format!("{post}Content-Length: 9999999999999\r\n{close}{{}}"), "4"),
    ];
    for (request, status) in exchanges {
        let answer = raw(bench.client(), request.as_bytes()).await;
        let told = &request[..request.len().min(120)];
        let expected = format!("HTTP/1.1 {status}")
            .replace("1.1", if told.contains("HTTP/1.0") { "1.0" } else { "1.1" });
        assert!(
            (status.is_empty() && answer.is_empty()) || answer.starts_with(&expected),
            "{told:?}: {answer}"
        );
        let fault = answer.get(9..10) == Some("5");
        assert!(!fault, "{told:?}: {answer}");
    }
    assert_eq!(bench.standing().await, before);
}
