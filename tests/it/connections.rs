//! Places for connections: so many of one address, so many in all, and a hub that still says how it stands when all are
//! taken.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Answer, Answered, Client, DEADLINE, Hub, HubProcess};
use crate::slow::Stalled;
use crate::sse::Stream;
use crate::wire::Wire;

/// A client that keeps no connection.
fn fleeting(wire: Wire, address: SocketAddr) -> Client {
    let http = wire.builder().timeout(DEADLINE).pool_max_idle_per_host(0).build().expect("a client");
    Client { http, ..Client::over(wire, address) }
}

/// A connection from another address of this machine.
async fn connect_from(address: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(address).await.expect("it connects")
}

/// What is answered on a connection before it is closed, or is kept open.
async fn ask(socket: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // It may be closed already.
    let _ = socket.write_all(request.as_bytes()).await;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    let reading = async {
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if answer.ends_with(b"}") {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("in time");
    String::from_utf8(answer).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_others_have_theirs() {
    let flags = ["--connections-per-address-max", "3", "--trusted-proxy", "127.0.0.9"];
    let hub = Hub::with(&flags).await;
    let address = hub.client.address;
    let mut own = Vec::new();
    for _ in 0..3 {
        let mut socket = connect_from(address, [127, 0, 0, 2]).await;
        assert!(ask(&mut socket, "/ready").await.starts_with("HTTP/1.1 200"));
        own.push(socket);
    }
    let mut beyond = connect_from(address, [127, 0, 0, 2]).await;
    let refused = ask(&mut beyond, "/api/tasks").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\"unavailable\""), "{refused}");
    // By hyper, in lower case.
    assert!(refused.contains("retry-after: 5") && refused.contains("connection: close"), "{refused}");
    let mut other = connect_from(address, [127, 0, 0, 3]).await;
    assert!(ask(&mut other, "/api/tasks").await.starts_with("HTTP/1.1 200"));
    let mut clients_of_a_proxy = Vec::new();
    for _ in 0..10 {
        let mut socket = connect_from(address, [127, 0, 0, 9]).await;
        assert!(ask(&mut socket, "/ready").await.starts_with("HTTP/1.1 200"));
        clients_of_a_proxy.push(socket);
    }
    drop(own.pop());
    let free_again = async {
        let mut socket = connect_from(address, [127, 0, 0, 2]).await;
        while !ask(&mut socket, "/api/tasks").await.starts_with("HTTP/1.1 200") {
            socket = connect_from(address, [127, 0, 0, 2]).await;
        }
    };
    tokio::time::timeout(DEADLINE, free_again).await.expect("what is given up can be had again");
}

/// The answer to a GET of one of many clients. One that comes so soon after another may find the reserve taken as well, and be cut
/// off without a word.
async fn at_last(client: impl Fn() -> Client, path: &str) -> Answer {
    let asking = async {
        loop {
            let client = client();
            if let Ok(answer) = client.try_send(client.request(reqwest::Method::GET, path)).await {
                return answer;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_places_are_all_taken_says_how_it_stands_and_nothing_else() {
    for wire in [Wire::Plain, Wire::H2c, Wire::Tls1, Wire::Tls2] {
        let hub = wire.hub(&["--connections-max", "4"]).await;
        hub.client.create(json!({ "title": "t" })).await;
        // Kept apart, as browsers of several people are.
        let apart = |_| Client::over(wire, hub.client.address);
        let clients: Vec<_> = (0..3).map(apart).collect();
        let mut streams = Vec::new();
        for client in &clients {
            streams.push(Stream::open(client, "").await);
        }
        // Anew for each request: of HTTP/2 a client would send the next one on a connection that is about to go.
        let late = || fleeting(wire, hub.client.address);
        for path in ["/health", "/ready", "/api/events/status", "/metrics"] {
            assert_eq!(at_last(late, path).await.status, 200, "{wire:?} {path}");
        }
        let refused = at_last(late, "/api/tasks").await;
        assert_eq!((refused.status.as_u16(), refused.body["code"].as_str()), (503, Some("unavailable")));
        assert_eq!(refused.header("retry-after"), "5");
        assert!(refused.body["detail"].as_str().expect("words").contains("places"));
        // A browser that is refused a stream gives it up for ever.
        let mut stream = Stream::connect(&late(), "", None).await;
        assert!(stream.rest().await.is_empty());
        assert_eq!(stream.parser.retry_ms, Some(5000));
        let lines = late().request(reqwest::Method::GET, "/api/events/stream");
        let lines = lines.header("accept", "application/x-ndjson").answered().await;
        assert_eq!(lines.status(), 503, "{wire:?}: others are told in words");
        // By the connection that was there before.
        hub.client.create(json!({ "title": "for those who are there" })).await;
        for stream in &mut streams {
            assert_eq!(stream.next().await["data"]["title"], "for those who are there");
        }
        drop((streams, clients));
        let free_again = async { while at_last(late, "/api/tasks").await.status != 200 {} };
        tokio::time::timeout(DEADLINE, free_again).await.expect("places are free again");
    }
}

/// The status of an answer, and the connection on which the rest of it comes.
async fn begin(address: SocketAddr, from: [u8; 4], path: &str) -> (u16, TcpStream) {
    let mut socket = connect_from(address, from).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("it is sent");
    let mut line = [0; "HTTP/1.1 200".len()];
    socket.read_exact(&mut line).await.expect("an answer");
    let status = str::from_utf8(&line).expect("ASCII").rsplit(' ').next().expect("a status");
    (status.parse().expect("a number"), socket)
}

/// CPU time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks = fields.split(' ').skip(11).take(2).map(|it| it.parse::<u64>().expect("a number"));
    // Linux counts in hundredths of a second.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_to_a_hub_with_few_files_cost_nobody_anything() {
    const STREAMS: usize = 20;
    taskhub::open_files::raise();
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::with_open_files_max(256, directory.path(), &[]).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = Stalled::open(&hub.client, "/api/events/stream").await;
        assert_eq!(stream.next().await["event"], "connected");
        streams.push(stream);
    }
    let late = fleeting(Wire::Plain, hub.client.address);
    // Kept, as its place is, by what it says from time to time.
    hub.client.get("/ready").await;
    let (before, started) = (cpu(hub.child.id()), Instant::now());
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(TcpStream::connect(hub.client.address).await.expect("the kernel takes it"));
    }
    // The connection of this client was there before.
    hub.client.create(json!({ "title": "meanwhile" })).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await["data"]["title"], "meanwhile");
    }
    let mut slowest = Duration::ZERO;
    while started.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        assert_eq!(late.get("/api/events/status").await.body["connected_clients"], STREAMS);
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let used = cpu(hub.child.id()) - before;
    let time = started.elapsed();
    println!("{used:?} of CPU in {time:?}; the slowest answer took {slowest:?}");
    assert!(used < time / 2, "{used:?} of CPU in {time:?}");
    let files = fs::read_dir(format!("/proc/{}/fd", hub.child.id())).expect("it runs").count();
    assert!(files < 240, "{files} files are open: too little is left for the work");

    drop(clients);
    let recovered = async { while late.get("/api/tasks").await.status != 200 {} };
    tokio::time::timeout(DEADLINE, recovered).await.expect("it recovers");
    late.create(json!({ "title": "afterwards" })).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await["data"]["title"], "afterwards");
    }
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_logs_leave_files_to_the_rest_of_the_hub() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::with_open_files_max(256, directory.path(), &[]).await;
    let execute = async |script: &str| {
        let task = hub.client.create(json!({ "title": "much to read", "script": script })).await;
        assert_eq!(hub.client.post(&format!("/api/exec/{task}"), json!({})).await.status, 200);
        hub.client.wait_for(&format!("/api/exec/{task}"), |it| it["status"] == "completed").await;
        format!("/api/exec/{task}/logs")
    };
    let log = execute("head -c 8000000 /dev/zero").await;
    let raw = format!("{log}/raw");
    // A quarter of the room is for logs, and three quarters of that for one client.
    let (mut readers, mut statuses) = (Vec::new(), Vec::new());
    for _ in 0..26 {
        let (status, socket) = begin(hub.client.address, [127, 0, 0, 1], &raw).await;
        statuses.push(status);
        readers.push(socket);
    }
    assert_eq!(statuses, [[200; 24].as_slice(), &[503; 2]].concat());
    let refused = hub.client.get(&raw).await;
    assert_eq!((refused.body["code"].as_str(), refused.header("retry-after")), (Some("unavailable"), "5"));
    let mut stream = Stream::at(&hub.client, &format!("{log}/stream"), "LogEvent", None).await;
    assert!(stream.rest().await.is_empty());
    assert_eq!(stream.parser.retry_ms, Some(5000), "a browser is asked to come back");

    // Others read theirs, and the work goes on.
    assert_eq!(begin(hub.client.address, [127, 0, 0, 2], &raw).await.0, 200);
    execute("true").await;

    drop(readers);
    let free_again = async { while begin(hub.client.address, [127, 0, 0, 1], &raw).await.0 != 200 {} };
    tokio::time::timeout(DEADLINE, free_again).await.expect("places are free again");
    assert_eq!(hub.terminate().await, Some(0));
}
