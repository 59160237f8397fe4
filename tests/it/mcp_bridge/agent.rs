//! An agent that has started `taskhub mcp`.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::harness::{BINARY, DEADLINE};

/// How a client speaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Begins with `initialize`.
    Initialize,
    /// Names its revision in each request.
    Stateless,
}

impl Era {
    pub const ALL: [Self; 2] = [Self::Initialize, Self::Stateless];
}

pub struct Agent {
    era: Era,
    child: Child,
    input: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    last_id: u64,
}

impl Agent {
    pub fn start(url: &str, era: Era) -> Self {
        Self::with(url, era, |_| {})
    }

    pub fn with(url: &str, era: Era, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("mcp").env("TASKHUB_URL", url).env_remove("TASKHUB_TOKEN");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        change(&mut command);
        let mut child = command.spawn().expect("the binary runs");
        let input = child.stdin.take();
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        Self { era, child, input, lines, last_id: 0 }
    }

    /// What a client of its era says first.
    pub async fn begin(&mut self) {
        let own = json!({ "name": "test", "version": "1" });
        let answer = match self.era {
            Era::Initialize => {
                let params =
                    json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": own });
                let answer = self.call("initialize", params).await;
                assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
                self.notify("notifications/initialized", json!({})).await;
                answer
            }
            Era::Stateless => self.call("server/discover", json!({})).await,
        };
        assert!(answer["result"]["instructions"].is_string(), "{answer}");
    }

    /// Sends a request, and answers its id.
    pub async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        if self.era == Era::Stateless {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
        }
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send_line(&request.to_string()).await;
        id
    }

    /// Sends a request. The next line has to answer it.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub async fn use_tool(&mut self, name: &str, arguments: Value) -> Value {
        self.call("tools/call", json!({ "name": name, "arguments": arguments })).await
    }

    pub async fn notify(&mut self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.send_line(&message.to_string()).await;
    }

    pub async fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open");
        let writing = async {
            input.write_all(line.as_bytes()).await.expect("it reads");
            input.write_all(b"\n").await.expect("it reads");
        };
        tokio::time::timeout(DEADLINE, writing).await.expect("it reads in time");
    }

    /// The next line, which has to be a message.
    pub async fn next(&mut self) -> Value {
        let line = self.lines.as_mut().expect("open").next_line();
        let line =
            tokio::time::timeout(DEADLINE, line).await.expect("in time").expect("UTF-8").expect("a line");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    pub fn end_input(&mut self) {
        self.input = None;
    }

    pub fn stop_reading(&mut self) {
        self.lines = None;
    }

    /// Closes its input, and checks that it writes nothing more. Answers the exit code and what it has logged.
    pub async fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let mut lines = self.lines.take().expect("open");
        let last = tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("it ends in time");
        assert_eq!(last.expect("UTF-8"), None);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let mut log = self.child.stderr.take().expect("piped");
        let ending = async {
            log.read_to_string(&mut said).await.expect("UTF-8");
            self.child.wait().await.expect("it has ended")
        };
        let status = tokio::time::timeout(DEADLINE, ending).await.expect("it ends in time");
        (status.code(), said)
    }
}
