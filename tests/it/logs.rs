//! Logs, read and followed: whatever a script writes and whenever, each watcher has the very bytes of the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answered, Client, DEADLINE, Hub, HubProcess};
use crate::sse::Stream;

/// An `EventSource` that comes back after the end waits this long.
const END_RETRY_MS: u64 = 3_600_000;

/// Starts a script as a task of its own; answers the task and the execution.
async fn run(client: &Client, script: &str) -> (String, Value) {
    let task = client.create(json!({ "title": "a test", "script": script })).await;
    let started = client.post(&format!("/api/exec/{task}"), json!({})).await;
    assert_eq!(started.status, 200, "{started:?}");
    (task, started.body)
}

/// A script that waits until [`go`] is called.
const WAIT: &str = "n=0; while [ ! -e go ] && [ $n -lt 2000 ]; do sleep 0.01; n=$((n + 1)); done;";

fn go(data_dir: &Path, execution: &Value) {
    let work = data_dir.join(format!("executions/{}/work", execution["number"]));
    std::fs::write(work.join("go"), "").expect("the script has started");
}

async fn has_ended(client: &Client, task: &str) {
    let ended = |it: &Value| it["status"] != "running" && it["status"] != "queued";
    client.wait_for(&format!("/api/exec/{task}"), ended).await;
}

fn file(data_dir: &Path, execution: &Value) -> PathBuf {
    data_dir.join(execution["log_file"].as_str().expect("a path"))
}

fn path(task: &str, query: &str) -> String {
    format!("/api/exec/{task}/logs/stream{query}")
}

/// The execution's number and the byte that the id of a message names.
fn cursor(message: &Value) -> (u64, u64) {
    let (number, offset) = message["id"].as_str().expect("an id").split_once('-').expect("two numbers");
    (number.parse().expect("a number"), offset.parse().expect("bytes"))
}

/// Follows one log, and holds what came of it.
struct Watcher {
    stream: Stream,
    bytes: Vec<u8>,
    /// Which log the ids name, once one has said so.
    number: Option<u64>,
    /// Where the next piece has to start.
    at: u64,
    resets: usize,
}

impl Watcher {
    async fn open(client: &Client, task: &str) -> Self {
        Self::from(client, task, "", 0).await
    }

    /// With a query that starts at `at`.
    async fn from(client: &Client, task: &str, query: &str, at: u64) -> Self {
        let stream = Stream::at(client, &path(task, query), "LogEvent", None).await;
        Self { stream, bytes: Vec::new(), number: None, at, resets: 0 }
    }

    /// Where it left off, as a browser reopens a stream.
    async fn resume(self, client: &Client, task: &str) -> Self {
        let stream = Stream::at(client, &path(task, ""), "LogEvent", Some(&self.id())).await;
        Self { stream, ..self }
    }

    /// The id of whoever has seen as much.
    fn id(&self) -> String {
        format!("{}-{}", self.number.expect("a message"), self.at)
    }

    /// One message, checked and taken in.
    async fn next(&mut self) -> Value {
        let message = self.stream.next().await;
        let data = &message["data"];
        let (number, offset) = cursor(&message);
        assert_eq!(*self.number.get_or_insert(number), number, "one stream, one log");
        match message["event"].as_str().expect("a word") {
            "log" => {
                let piece = match (&data["text"], &data["base64"]) {
                    (Value::String(text), Value::Null) => text.as_bytes().to_vec(),
                    (Value::Null, Value::String(base64)) => STANDARD.decode(base64).expect("base64"),
                    _ => panic!("{message}"),
                };
                assert_eq!(data["offset"], self.at, "nothing is missed and nothing comes twice");
                assert!(!piece.is_empty() && piece.len() <= 32 << 10, "{} bytes", piece.len());
                self.at += piece.len() as u64;
                self.bytes.extend(piece);
            }
            "reset" => {
                (self.at, self.resets) = (0, self.resets + 1);
                self.bytes.clear();
            }
            _ => {}
        }
        assert_eq!(offset, self.at);
        message
    }

    /// Until it holds so many bytes.
    async fn until(&mut self, bytes: usize) {
        while self.bytes.len() < bytes {
            let message = self.next().await;
            assert_eq!(message["event"], "log", "{message}");
        }
    }

    /// To the end: the last message's data.
    async fn end(&mut self) -> Value {
        loop {
            let message = self.next().await;
            if message["event"] == "end" {
                assert_eq!(self.stream.parser.retry_ms, Some(END_RETRY_MS));
                assert!(self.stream.try_next().await.is_none(), "it is the last message");
                return message["data"].clone();
            }
        }
    }
}

/// What a stream of a log that has ended sends, and how many resets, wherever it starts.
async fn watched(client: &Client, task: &str, query: &str) -> (Vec<u8>, usize) {
    let first = Watcher::from(client, task, query, 0).await.stream.next().await;
    let at = match first["data"]["offset"].as_u64() {
        Some(offset) => offset,
        None => cursor(&first).1,
    };
    let mut watcher = Watcher::from(client, task, query, at).await;
    watcher.end().await;
    (watcher.bytes, watcher.resets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_watchers_of_ten_logs_get_the_bytes_of_each() {
    const SCRIPTS: usize = 10;
    const WATCHERS: usize = 10;
    let hub = Hub::with(&["--executions-max", "10"]).await;
    let client = &hub.client;
    // Text in many small writes, binary in large ones, characters cut in two, progress bars.
    let script = r#"
        i=0
        while [ $i -lt 150 ]; do
            printf 'line %d é€😀\r\n\303' $i; printf '\251 %d%%\r' $i
            head -c $((i * 20)) /dev/urandom; printf '\0\n'
            i=$((i + 1))
        done
        head -c 200000 /dev/zero
        i=0; while [ $i -lt 3000 ]; do echo "one more line $i"; i=$((i + 1)); done
        printf 'half: \342\202'
    "#;
    let mut watchers = tokio::task::JoinSet::new();
    let mut executions = Vec::new();
    for number in 0..SCRIPTS {
        let (task, execution) = run(client, script).await;
        executions.push(execution);
        for watcher in 0..WATCHERS {
            let (client, task) = (client.clone(), task.clone());
            watchers.spawn(async move {
                let mut it = Watcher::open(&client, &task).await;
                // Some break off now and then, and resume.
                for stop in 1..=watcher % 4 {
                    it.until(stop * 7919).await;
                    it = it.resume(&client, &task).await;
                }
                let end = it.end().await;
                assert_eq!((&end["status"], it.resets), (&json!("completed"), 0));
                (number, it.bytes)
            });
        }
    }
    let started = std::time::Instant::now();
    let mut total = 0;
    let waiting = async {
        while let Some(watched) = watchers.join_next().await {
            let (number, bytes) = watched.expect("no panic");
            let log = std::fs::read(file(hub.directory.path(), &executions[number])).expect("the log");
            assert!(log.len() > 400_000, "{}", log.len());
            assert!(bytes == log, "a watcher of {number} has other bytes than the file");
            total += bytes.len();
        }
    };
    tokio::time::timeout(DEADLINE * 3, waiting).await.expect("in time");
    println!("{total} bytes to {} watchers in {:?}", SCRIPTS * WATCHERS, started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_character_waits_for_its_rest() {
    let hub = Hub::start().await;
    let script = format!("printf 'a\\342\\202'; {WAIT} printf '\\254b\\r\\342\\200\\250\\303'");
    let (task, execution) = run(&hub.client, &script).await;
    let mut watcher = Watcher::open(&hub.client, &task).await;
    let first = watcher.next().await;
    assert_eq!((&first["data"]["text"], &first["id"]), (&json!("a"), &json!("1-1")));
    watcher.stream.assert_silent(Duration::from_millis(300)).await;
    go(hub.directory.path(), &execution);
    let second = watcher.next().await;
    assert_eq!((&second["data"]["text"], &second["id"]), (&json!("€b\r\u{2028}"), &json!("1-9")));
    let third = watcher.next().await;
    // Nothing can follow any more, so it is not a character.
    assert_eq!((&third["data"]["text"], &third["data"]["base64"]), (&Value::Null, &json!("ww==")));
    assert_eq!(watcher.end().await["size"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_can_be_followed_from_any_byte() {
    let hub = Hub::start().await;
    let (task, execution) = run(&hub.client, "printf 'é€😀\\r\\n\\377\\0binary\\nlast\\n'").await;
    has_ended(&hub.client, &task).await;
    let log = std::fs::read(file(hub.directory.path(), &execution)).expect("the log");
    for offset in 0..=log.len() {
        let query = format!("?offset={offset}");
        let mut watcher = Watcher::from(&hub.client, &task, &query, offset as u64).await;
        assert_eq!(watcher.end().await["size"], log.len());
        assert_eq!((watcher.bytes.as_slice(), watcher.resets), (&log[offset..], 0), "{offset}");
    }
    // The header comes first, then `last_event_id`, then `offset`, then `tail`.
    let queries =
        ["?last_event_id=9&offset=1&tail=1", "?offset=9&tail=3", "?tail=2", "?tail=0", "?tail=10000"];
    for (query, expected) in queries.into_iter().zip([&log[9..], &log[9..], &log[11..], &[], &log[..]]) {
        assert_eq!(watched(&hub.client, &task, query).await, (expected.to_vec(), 0), "{query}");
    }
    let path = path(&task, "?last_event_id=1&offset=2");
    let mut stream = Stream::at(&hub.client, &path, "LogEvent", Some("12")).await;
    assert_eq!(stream.next().await["data"]["offset"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_nowhere_in_the_log_is_told_and_gets_all_of_it() {
    let hub = Hub::start().await;
    let (task, _) = run(&hub.client, "printf 'all of it'").await;
    has_ended(&hub.client, &task).await;
    let beyond = ["10", "1-10", "9223372036854775807", "1-9223372036854775807"];
    let elsewhere = ["2-3", "9223372036854775807-3"];
    let odd = ["18446744073709551615", "-1", "nonsense", "7c1e9a42-1042", "007", "01-3", "1-3-4"];
    for id in [&beyond[..], &elsewhere, &odd].concat() {
        let stream = Stream::at(&hub.client, &path(&task, ""), "LogEvent", Some(id)).await;
        let mut watcher = Watcher { stream, bytes: Vec::new(), number: None, at: 99, resets: 0 };
        let reset = watcher.next().await;
        assert_eq!((&reset["event"], &reset["data"]["size"]), (&json!("reset"), &json!(9)), "{id}");
        watcher.end().await;
        assert_eq!(watcher.bytes, b"all of it", "{id}");
    }
    let typo = hub.client.get(&path(&task, "?offset=x")).await;
    assert_eq!((typo.status.as_u16(), &typo.body["field"]), (400, &json!("offset")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_the_next_execution_has_begun_gets_the_rest_of_the_first() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, first) = run(client, &format!("echo first; {WAIT} echo more")).await;
    let mut watcher = Watcher::open(client, &task).await;
    watcher.until(6).await;
    let (id, offset) = (watcher.id(), watcher.at.to_string());
    let first_id = first["id"].as_str().expect("an id").to_owned();
    go(hub.directory.path(), &first);
    has_ended(client, &task).await;
    let request = json!({ "script_content": "echo the second, and longer than the first" });
    let second = client.post(&format!("/api/exec/{task}"), request).await.body;
    has_ended(client, &task).await;

    // As a browser does: the same URL, and the id of the last message.
    let mut watcher = watcher.resume(client, &task).await;
    let end = watcher.end().await;
    assert_eq!((&end["execution_id"], watcher.bytes.as_slice()), (&first["id"], &b"first\nmore\n"[..]));
    // The other ways to say the same.
    for query in [format!("?last_event_id={id}"), format!("?execution_id={first_id}&last_event_id={offset}")]
    {
        assert_eq!(watched(client, &task, &query).await, (b"more\n".to_vec(), 0), "{query}");
    }
    // A number of bytes names no log: it is one of the latest, as long as nobody says otherwise.
    let (bytes, resets) = watched(client, &task, &format!("?last_event_id={offset}")).await;
    assert_eq!((bytes.as_slice(), resets), (&b"cond, and longer than the first\n"[..], 0));
    // Who asks for one log with the id of another is told.
    let query = format!("?execution_id={}&last_event_id={id}", second["id"].as_str().expect("an id"));
    let mut stream = Stream::at(client, &path(&task, &query), "LogEvent", None).await;
    let reset = stream.next().await;
    assert_eq!((&reset["event"], &reset["id"]), (&json!("reset"), &json!("2-0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_tells_the_outcome_and_tells_it_again() {
    let hub = Hub::start().await;
    let (task, execution) = run(&hub.client, "echo out; exit 3").await;
    let mut watcher = Watcher::open(&hub.client, &task).await;
    let end = watcher.end().await;
    let settled = hub.client.get(&format!("/api/exec/{task}")).await.body;
    assert_eq!(end["execution_id"], execution["id"]);
    assert_eq!(end["task_id"], task);
    assert_eq!((&end["status"], &end["exit_code"]), (&json!("failed"), &json!(3)));
    assert_eq!((&end["reason"], &end["size"]), (&settled["reason"], &json!(4)));
    assert!(end["duration_ms"].is_i64());

    let mut again = watcher.resume(&hub.client, &task).await;
    let message = again.next().await;
    assert_eq!((&message["event"], &message["id"]), (&json!("end"), &json!("1-4")));
    assert_eq!(message["data"], end);
    assert_eq!(again.stream.parser.retry_ms, Some(END_RETRY_MS));
    assert!(again.stream.try_next().await.is_none());

    let (task, _) = run(&hub.client, "sleep 30").await;
    let mut watcher = Watcher::open(&hub.client, &task).await;
    hub.client.post(&format!("/api/exec/{task}/stop"), json!({})).await;
    let end = watcher.end().await;
    assert_eq!((&end["status"], &end["exit_code"]), (&json!("stopped"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_lines_says_the_same() {
    let hub = Hub::start().await;
    let (task, _) = run(&hub.client, "printf 'a\\nb\\r\\nc'").await;
    let request = hub.client.request(Method::GET, &path(&task, "")).header("Accept", "application/x-ndjson");
    let answer = request.answered().await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let text = answer.text().await.expect("text");
    let messages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let pieces = messages.iter().filter_map(|it| it["data"]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), "a\nb\r\nc");
    assert_eq!(messages.last().expect("a message")["event"], "end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_at_its_limit_is_followed_like_any_other() {
    let hub = Hub::with(&["--log-bytes-max", "65536"]).await;
    let script = format!("yes é | head -c 300000; {WAIT} printf 'the end\\377'");
    let (task, execution) = run(&hub.client, &script).await;
    let mut live = Watcher::open(&hub.client, &task).await;
    while !String::from_utf8_lossy(&live.bytes).contains("reached its limit") {
        live.next().await;
    }
    let seen = live.bytes.len();
    live.stream.assert_silent(Duration::from_millis(300)).await;
    go(hub.directory.path(), &execution);
    live.end().await;
    let log = std::fs::read(file(hub.directory.path(), &execution)).expect("the log");
    assert!(seen < log.len() && log.len() <= 65536);
    assert!(log.ends_with(b"the end\xff"));
    assert!(live.bytes == log);
    assert_eq!(watched(&hub.client, &task, "").await, (log, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_a_queued_execution_waits_for_its_start() {
    let hub = Hub::with(&["--executions-max", "1"]).await;
    let (_, first) = run(&hub.client, WAIT).await;
    let (task, second) = run(&hub.client, "echo mine").await;
    // What an earlier database has left under this number is not shown.
    std::fs::write(file(hub.directory.path(), &second), "somebody else's").expect("written");
    let mut watcher = Watcher::open(&hub.client, &task).await;
    watcher.stream.assert_silent(Duration::from_millis(300)).await;
    go(hub.directory.path(), &first);
    watcher.end().await;
    assert_eq!((watcher.bytes.as_slice(), watcher.resets), (&b"mine\n"[..], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_resume_exactly_where_a_restart_of_the_hub_cut_them_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = r#"
        i=0; while [ ! -e go ] && [ $i -lt 2000 ]; do yes "line $i €" | head -100; i=$((i + 1)); sleep 0.01; done
        printf 'half: \342\202'
    "#;
    let hub = HubProcess::start(directory.path(), &[]).await;
    let (task, execution) = run(&hub.client, script).await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut watcher = Watcher::open(&hub.client, &task).await;
        watcher.until(20_000).await;
        watchers.push(watcher);
    }
    // In order: each is sent away.
    let ended = tokio::spawn(hub.terminate());
    for watcher in &mut watchers {
        while watcher.next().await["event"] != "goodbye" {}
        let retry_ms = watcher.stream.parser.retry_ms.expect("a retry");
        assert!((1000..5000).contains(&retry_ms), "{retry_ms}");
        assert!(watcher.stream.try_next().await.is_none());
    }
    assert_eq!(ended.await.expect("no panic"), Some(0));
    // And by force: a half message is none.
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    watchers = resumed(watchers, &hub.client, &task).await;
    for watcher in &mut watchers {
        let more = watcher.bytes.len() + 20_000;
        watcher.until(more).await;
    }
    hub.kill();

    let hub = HubProcess::start(directory.path(), &[]).await;
    watchers = resumed(watchers, &hub.client, &task).await;
    go(directory.path(), &execution);
    for watcher in &mut watchers {
        assert_eq!(watcher.end().await["status"], "completed");
    }
    let log = std::fs::read(file(directory.path(), &execution)).expect("the log");
    assert!(watchers.iter().all(|it| it.bytes == log && it.resets == 0));
}

async fn resumed(watchers: Vec<Watcher>, client: &Client, task: &str) -> Vec<Watcher> {
    let mut resumed = Vec::new();
    for watcher in watchers {
        resumed.push(watcher.resume(client, task).await);
    }
    resumed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_one_tailer_while_it_is_watched_and_none_otherwise() {
    let hub = Hub::with(&["--executions-max", "3", "--keepalive-seconds", "1"]).await;
    let standing = |watchers: usize, tailers: usize| {
        let client = hub.client.clone();
        async move {
            let line = |name: &str, count: usize| format!("\ntaskhub_log_{name} {count}\n");
            let expected = [line("streams", watchers), line("tailers", tailers)];
            client.wait_for_text("/metrics", |text| expected.iter().all(|line| text.contains(line))).await;
        }
    };
    let (busy, first) = run(&hub.client, &format!("{WAIT} echo done")).await;
    let (other, _) = run(&hub.client, "sleep 30").await;
    standing(0, 0).await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(Watcher::open(&hub.client, &busy).await);
    }
    standing(20, 1).await;
    let last = Watcher::open(&hub.client, &other).await;
    standing(21, 2).await;
    watchers.truncate(5);
    standing(6, 2).await;
    drop(last);
    standing(5, 1).await;
    drop(watchers);
    standing(0, 0).await;
    // One that comes after the last has gone gets a new tailer, and the end ends that.
    let mut watcher = Watcher::open(&hub.client, &busy).await;
    standing(1, 1).await;
    go(hub.directory.path(), &first);
    watcher.end().await;
    assert_eq!(watcher.bytes, b"done\n");
    standing(0, 0).await;
    // What has ended is read without one.
    assert_eq!(watched(&hub.client, &busy, "").await, (b"done\n".to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_place_of_a_log_is_neither_overwritten_nor_shown() {
    let hub = Hub::start().await;
    let (client, place) = (&hub.client, tempfile::tempdir().expect("a directory"));
    let dear = place.path().join("dear");
    std::fs::write(&dear, "a secret").expect("written");
    let logs = hub.directory.path().join("logs");
    std::os::unix::fs::symlink(&dear, logs.join("task-1.log")).expect("linked");
    let (task, _) = run(client, "echo mine").await;
    has_ended(client, &task).await;
    assert_eq!(client.get(&format!("/api/exec/{task}/logs")).await.body["text"], "mine\n");
    assert_eq!(std::fs::read_to_string(&dear).expect("there"), "a secret");

    // A script puts a link in the place of its own log. What watches over it would soon put the log back.
    let script = format!(
        "kill -STOP $PPID; rm {0}/task-2.log; ln -s {1} {0}/task-2.log; echo mine; {WAIT} kill -CONT $PPID",
        logs.display(),
        dear.display()
    );
    let (task, execution) = run(client, &script).await;
    let link = logs.join("task-2.log");
    let linked = async {
        while !link.is_symlink() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, linked).await.expect("in time");
    for part in ["logs", "logs?offset=0", "logs/raw"] {
        let answer = client.get(&format!("/api/exec/{task}/{part}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("execution_not_found")));
    }
    let stream = client.request(Method::GET, &path(&task, "")).answered().await;
    go(hub.directory.path(), &execution);
    assert!(!stream.text().await.expect("text").contains("secret"));
    has_ended(client, &task).await;
    // The log is put back, in place of the link and not through it.
    assert_eq!(client.get(&format!("/api/exec/{task}/logs")).await.body["text"], "mine\n");
    assert_eq!(std::fs::read_to_string(&dear).expect("there"), "a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_log_that_is_removed_and_put_back_misses_nothing() {
    let hub = Hub::start().await;
    let (task, execution) = run(&hub.client, &format!("echo first; {WAIT} echo last")).await;
    let log = hub.directory.path().join("logs/task-1.log");
    let is_there = async || {
        while !std::fs::read(&log).is_ok_and(|text| text == b"first\n") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, is_there()).await.expect("in time");
    let (client, watched_task) = (hub.client.clone(), task.clone());
    let watching = tokio::spawn(async move { watched(&client, &watched_task, "").await });
    hub.client.wait_for(&format!("/api/exec/{task}/logs"), |it| it["size"] == 6).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::fs::remove_file(&log).expect("removed");
    tokio::time::timeout(DEADLINE, is_there()).await.expect("put back in time");
    go(hub.directory.path(), &execution);
    assert_eq!(watching.await.expect("no panic"), (b"first\nlast\n".to_vec(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_log_is_kept_alive() {
    let hub = Hub::with(&["--keepalive-seconds", "1"]).await;
    let (task, _) = run(&hub.client, "sleep 30").await;
    let mut watcher = Watcher::open(&hub.client, &task).await;
    watcher.stream.assert_silent(Duration::from_millis(2500)).await;
    assert!(watcher.stream.parser.comments.iter().any(|comment| comment == "keepalive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_each_execution_of_a_task_can_be_had() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, first) = run(client, "echo first").await;
    has_ended(client, &task).await;
    let second = client.post(&format!("/api/exec/{task}"), json!({ "script_content": "echo second" })).await;
    assert_eq!(second.status, 200);
    has_ended(client, &task).await;
    let (other, stranger) = run(client, "true").await;
    has_ended(client, &other).await;
    // The logs of a task outlive it.
    client.send(client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;

    let id = |execution: &Value| execution["id"].as_str().expect("an id").to_owned();
    let named = format!("?execution_id={}", id(&first));
    for (query, expected) in [(named.as_str(), "first\n"), ("", "second\n")] {
        let page = client.get(&format!("/api/exec/{task}/logs{query}")).await;
        assert_eq!(page.body["text"], expected);
        let raw = client.request(Method::GET, &format!("/api/exec/{task}/logs/raw{query}"));
        assert_eq!(raw.answered().await.text().await.expect("text"), expected);
        assert_eq!(watched(client, &task, query).await.0, expected.as_bytes());
    }
    for wrong in [id(&stranger), task.clone()] {
        for place in ["logs", "logs/raw", "logs/stream"] {
            let answer = client.get(&format!("/api/exec/{task}/{place}?execution_id={wrong}")).await;
            assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("execution_not_found")));
        }
    }
    assert_eq!(client.get(&path(&task, "?execution_id=1")).await.status, 400);
    let idle = client.create(json!({ "title": "idle" })).await;
    assert_eq!(client.get(&path(&idle, "")).await.body["code"], "execution_not_found");
}
