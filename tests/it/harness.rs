//! Hubs to test with: the same `App` that `main` starts, and the binary itself where a process has to die.
//!
//! Every hub has its own temporary directory and a port of the system's choosing. Waiting always has a
//! deadline and something to wait for.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use taskhub::app::App;
use taskhub::config::Config;
use tempfile::TempDir;

use crate::contract::{self, Head};
use crate::wire::Wire;

/// How long anything may take that is expected to happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub const BINARY: &str = env!("CARGO_BIN_EXE_taskhub");

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// A configuration as the command line would give it.
pub fn config(data_dir: &Path, flags: &[&str]) -> Config {
    let fixed = ["taskhub", "--listen", "127.0.0.1:0", "--shim-program", BINARY, "--data-dir"];
    let data_dir = data_dir.to_str().expect("a UTF-8 path");
    Arguments::parse_from(fixed.iter().copied().chain([data_dir]).chain(flags.iter().copied())).config
}

/// A hub in this process.
pub struct Hub {
    pub client: Client,
    app: App,
    pub directory: TempDir,
    flags: Vec<String>,
}

impl Hub {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(flags: &[&str]) -> Self {
        Self::tuned(flags, |_| {}).await
    }

    /// With what no flag sets.
    pub async fn tuned(flags: &[&str], tune: impl Fn(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::on(directory, flags, tune).await
    }

    async fn on(directory: TempDir, flags: &[&str], tune: impl Fn(&mut Config)) -> Self {
        let mut config = config(directory.path(), flags);
        tune(&mut config);
        let app = App::start(config).await.expect("the hub starts");
        Self {
            client: Client::new(app.addresses()[0]),
            app,
            directory,
            flags: flags.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    /// Ends the hub in order and starts another on the same data.
    pub async fn restart(self) -> Self {
        self.app.stop().await;
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        Self::on(self.directory, &flags, |_| {}).await
    }

    /// Has the hub believe that a part of it has ended by a fault.
    pub fn fail(&self, part: &'static str) {
        drop(self.app.vitals().hold(part));
    }

    pub async fn stop(self) -> TempDir {
        self.app.stop().await;
        self.directory
    }
}

/// The binary, running.
pub struct HubProcess {
    pub client: Client,
    pub child: Child,
}

impl HubProcess {
    pub async fn start(data_dir: &Path, flags: &[&str]) -> Self {
        let mut command = Self::command(data_dir, "127.0.0.1:0");
        command.args(flags);
        Self::spawn(command).await
    }

    /// The command line of a hub, to be completed and given to [`HubProcess::spawn`].
    pub fn command(data_dir: &Path, listen: &str) -> Command {
        let mut command = Command::new("sh");
        // Few open files, as many a shell has it: the hub is to help itself.
        command.args(["-c", "ulimit -Sn 256; exec \"$0\" \"$@\"", BINARY]);
        command.args(["serve", "--listen", listen, "--log-format", "json", "--data-dir"]).arg(data_dir);
        command
    }

    /// Starts a hub that may have no more than so many files open.
    pub async fn with_open_files_max(count: u32, data_dir: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\""), BINARY]);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
            .arg(data_dir);
        command.args(flags);
        Self::spawn(command).await
    }

    /// Starts a hub and waits until it is ready.
    pub async fn spawn(command: Command) -> Self {
        Self::spawn_noting(command, |_| {}).await
    }

    /// The same, with a log that nobody reads from then on: its pipe is closed.
    pub async fn spawn_unheard(command: Command) -> Self {
        Self::spawn_reading(command, |_| {}, false).await
    }

    /// The same, with its whole log in a file.
    pub async fn spawn_with_log(command: Command, log: &Path) -> Self {
        let mut log = std::fs::File::create(log).expect("a file");
        Self::spawn_noting(command, move |line| writeln!(log, "{line}").expect("written")).await
    }

    async fn spawn_noting(command: Command, note: impl FnMut(&str) + Send + 'static) -> Self {
        Self::spawn_reading(command, note, true).await
    }

    async fn spawn_reading(
        mut command: Command,
        mut note: impl FnMut(&str) + Send + 'static,
        reads_on: bool,
    ) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let ready = tokio::task::spawn_blocking(move || {
            let ready = lines.by_ref().find_map(|line| {
                let line = line.ok()?;
                note(&line);
                let line: Value = serde_json::from_str(&line).ok()?;
                (line["message"] == "TaskHub is ready").then_some(line)
            });
            if reads_on {
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| note(&line)));
            }
            ready.expect("the hub says that it is ready")
        });
        let ready = tokio::time::timeout(DEADLINE, ready).await.expect("in time").expect("no panic");
        let address = ready["listening"].as_str().expect("an address").parse().expect("an address");
        Self { client: Client::new(address), child }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    /// SIGTERM, and the exit code.
    pub async fn terminate(self) -> Option<i32> {
        self.end_by(Signal::TERM).await
    }

    /// A signal that ends it, and the exit code.
    pub async fn end_by(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).expect("it can be signalled");
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is a child") {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("it ends in time")
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // A test that failed must not leave a hub behind; one that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that checks every answer against the specification.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub http: reqwest::Client,
    pub wire: Wire,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub bytes: bytes::Bytes,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().expect("ASCII")
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().expect("an id").to_owned()
    }
}

/// For what reads a body by itself, as of a stream or a page: everything before the body is checked.
pub trait Answered {
    fn answered(self) -> impl Future<Output = Response> + Send;
}

impl Answered for RequestBuilder {
    async fn answered(self) -> Response {
        let (http, request) = self.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = http.execute(request).await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers());
        contract::check_head(Head { method: &method, path: &path, status, headers });
        answer
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self::over(Wire::Plain, address)
    }

    /// One of several that share their connections.
    pub fn sharing(address: SocketAddr, http: reqwest::Client) -> Self {
        Self { address, http, wire: Wire::Plain }
    }

    /// A client that speaks in another way.
    pub fn over(wire: Wire, address: SocketAddr) -> Self {
        Self { address, http: wire.builder().timeout(DEADLINE).build().expect("a client"), wire }
    }

    /// The same client with a token.
    pub fn with_token(&self, token: &str) -> Self {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let http = self.wire.builder().timeout(DEADLINE).default_headers(headers);
        Self { http: http.build().expect("a client"), ..self.clone() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.wire.scheme(), self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = self.http.execute(request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await?;
        contract::check(Head { method: &method, path: &path, status, headers: &headers }, &bytes);
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, bytes, body })
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn with_body(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(self.request(method, path).json(&body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.with_body(Method::POST, path, body).await
    }

    /// A new task's id.
    pub async fn create(&self, body: Value) -> String {
        let answer = self.post("/api/tasks", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.id()
    }

    pub async fn set_status(&self, id: &str, status: &str) -> Answer {
        let body = json!({ "new_status": status });
        self.with_body(Method::PUT, &format!("/api/tasks/status/{id}"), body).await
    }

    /// Asks for a text until `done` says so.
    pub async fn wait_for_text(&self, path: &str, done: impl Fn(&str) -> bool) {
        let asking = async {
            loop {
                let answer = self.request(Method::GET, path).answered().await;
                if done(&answer.text().await.expect("text")) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{path} never got there"));
    }

    /// Asks until `done` says so.
    pub async fn wait_for(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if done(&answer.body) {
                    return answer.body;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{path} never got there"))
    }
}

/// The target of `Link: <…>; rel="next"`, which has to be the page that `Taskhub-Next-Page` names.
pub fn next_page(answer: &Answer) -> Option<String> {
    let cursor = answer.headers.get("taskhub-next-page").map(|it| it.to_str().expect("ASCII"));
    assert_eq!(answer.headers.contains_key("link"), cursor.is_some());
    let link = answer.headers.get("link")?.to_str().expect("ASCII");
    let target = link.strip_prefix('<').and_then(|it| it.strip_suffix(">; rel=\"next\""));
    let target = target.unwrap_or_else(|| panic!("{link}"));
    let query = target.split_once('?').map(|(_, query)| query).expect("a query");
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).expect("pairs");
    assert_eq!(pairs.last(), Some(&("cursor".to_owned(), cursor?.to_owned())), "{link}");
    Some(target.to_owned())
}

/// Every page from `first` on.
pub async fn all_pages(client: &Client, first: String) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), Some(first));
    while let Some(page) = next {
        let answer = client.get(&page).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        found.extend(answer.body.as_array().expect("a bare array").iter().cloned());
        next = next_page(&answer);
    }
    found
}
