//! `taskhub exec` and `taskhub logs`, as people and scripts call them.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::harness::{BINARY, Client, DEADLINE, Hub, HubProcess};

/// `taskhub` with the hub at an address.
fn taskhub(hub: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env("TASKHUB_URL", format!("http://{hub}")).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(hub: &Client, arguments: &[&str]) -> Output {
    let running = taskhub(hub.address, arguments).output();
    tokio::time::timeout(DEADLINE, running).await.expect("in time").expect("the binary runs")
}

/// What comes of a command whose output goes where it was told; `output()` would pipe it.
async fn run_as_told(mut command: Command) -> Output {
    let running = command.spawn().expect("the binary runs").wait_with_output();
    tokio::time::timeout(DEADLINE, running).await.expect("in time").expect("it has ended")
}

/// The exit code and what was said.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn task(client: &Client, script: &str) -> String {
    client.create(json!({ "title": "a test", "script": script })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_execution_is_its_output_and_its_exit_code() {
    let hub = Hub::start().await;
    let script = "printf 'a\\r\\n\\377\\0 \\342\\202'; sleep 0.2; printf '\\254'; echo err >&2; exit 7";
    let id = task(&hub.client, script).await;
    let output = run(&hub.client, &["exec", &id, "--follow"]).await;
    assert_eq!(output.stdout, b"a\r\n\xff\0 \xe2\x82\xacerr\n");
    assert_eq!(
        told(&output),
        (Some(7), "taskhub: taskhub-1 has started\ntaskhub: failed: exit code 7\n".into())
    );

    for arguments in [&["logs", &id][..], &["logs", "-f", &id]] {
        let output = run(&hub.client, arguments).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 13), "{arguments:?}");
        assert_eq!(told(&output).1, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_the_scripts_though_nothing_can_be_said() {
    let hub = Hub::start().await;
    let id = task(&hub.client, "echo out; exit 7").await;
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let mut command = taskhub(hub.client.address, &["exec", &id, "--follow"]);
    command.stderr(full());
    let output = run_as_told(command).await;
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"out\n"[..]));

    for arguments in [&["exec", &id][..], &["logs", &id], &["openapi"]] {
        let mut command = taskhub(hub.client.address, arguments);
        command.stdout(full());
        let (code, said) = told(&run_as_told(command).await);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{arguments:?}: {said}");
        hub.client.wait_for(&format!("/api/exec/{id}"), |it| !it["ended_at"].is_null()).await;

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = taskhub(hub.client.address, arguments);
        command.stdout(writer);
        let (code, said) = told(&run_as_told(command).await);
        assert_eq!(code, Some(141), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("standard output"), "{arguments:?}: {said}");
        hub.client.wait_for(&format!("/api/exec/{id}"), |it| !it["ended_at"].is_null()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_has_seen_is_good_for_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().to_str().expect("UTF-8");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let create = ["token", "create", "--name", "lost", "--scope", "read", "--data-dir", data];
    let mut command = Command::new(BINARY);
    command.args(create).stdout(full).stderr(Stdio::piped());
    let (code, said) = told(&run_as_told(command).await);
    assert_eq!(code, Some(1), "{said}");
    let listed = Command::new(BINARY).args(["token", "list", "--data-dir", data]).output().await;
    let listed = String::from_utf8(listed.expect("the binary runs").stdout).expect("UTF-8");
    assert!(listed.contains("lost") && listed.contains("revoked"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_with_exactly_its_words() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "no script" })).await;
    let words =
        ["exec", &id, "-f", "--", "sh", "-c", "printf '<%s>' \"$@\"", "sh", "it's", "$HOME *", "", "--url"];
    let output = run(&hub.client, &words).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "<it's><$HOME *><><--url>");
    assert_eq!(output.status.code(), Some(0));

    let output = run(&hub.client, &["exec", &id, "-f", "--", "sh", "-c", "kill -9 $$"]).await;
    assert_eq!(told(&output).0, Some(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_follow_it_is_started_and_named() {
    let hub = Hub::start().await;
    let id = task(&hub.client, "echo first").await;
    let output = run(&hub.client, &["exec", &id]).await;
    let ended = |it: &Value| it["status"] == "completed";
    let execution = hub.client.wait_for(&format!("/api/exec/{id}"), ended).await;
    let first = execution["id"].as_str().expect("an id");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), first);
    assert!(told(&output).1.contains(&format!("taskhub logs -f {id}")));

    run(&hub.client, &["exec", &id, "-f", "--", "echo", "second"]).await;
    assert_eq!(run(&hub.client, &["logs", &id]).await.stdout, b"second\n");
    for arguments in
        [&["logs", &id, "--execution-id", first][..], &["logs", "-f", &id, "--execution-id", first]]
    {
        assert_eq!(run(&hub.client, arguments).await.stdout, b"first\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_in_a_line() {
    let hub = Hub::start().await;
    let idle = hub.client.create(json!({ "title": "no script" })).await;
    let nobody = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let here = hub.client.address;
    for (address, arguments, words) in [
        (here, &["exec", &idle, "-f"][..], "send `script_content`, or set the task's `script`"),
        (here, &["exec", nobody], "there is no task"),
        (here, &["logs", &idle], "has no execution"),
        (here, &["logs", "-f", &idle], "has no execution"),
        (away, &["exec", &idle], &format!("cannot reach the hub at http://{away}: ")),
        (away, &["logs", "-f", &idle], "--url"),
    ] {
        let output = taskhub(address, arguments).output().await.expect("the binary runs");
        let (code, said) = told(&output);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
        assert!(said.starts_with("taskhub: ") && said.contains(words), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

/// Starts following a script that has written `ready`.
async fn following(
    address: SocketAddr,
    arguments: &[&str],
) -> (Child, BufReader<tokio::process::ChildStdout>) {
    let mut child = taskhub(address, arguments).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    let reading = lines.read_line(&mut first);
    tokio::time::timeout(DEADLINE, reading).await.expect("in time").expect("a line");
    assert_eq!(first, "ready\n");
    (child, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_watching_and_nothing_else() {
    let hub = Hub::start().await;
    let id = task(&hub.client, "echo ready; sleep 30").await;
    let (child, _lines) = following(hub.client.address, &["exec", "--follow", &id]).await;
    let pid = Pid::from_raw(child.id().expect("running") as i32).expect("a number");
    kill_process(pid, Signal::INT).expect("signalled");
    let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("in time");
    let (code, said) = told(&ended.expect("it has ended"));
    assert_eq!(code, Some(130));
    assert!(said.contains("the execution goes on"), "{said}");
    assert_eq!(hub.client.get(&format!("/api/exec/{id}")).await.body["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let hub = Hub::start().await;
    let id = task(&hub.client, "echo ready; yes | head -c 30000000").await;
    let (child, lines) = following(hub.client.address, &["exec", "-f", &id]).await;
    drop(lines);
    let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("in time");
    let (code, said) = told(&ended.expect("it has ended"));
    assert_eq!((code, said.lines().count()), (Some(141), 1), "{said}");
    hub.client.post(&format!("/api/exec/{id}/stop"), json!({})).await;
}

/// A port of its own for a hub that is to move.
async fn forward(hub: Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let hub = *hub.lock().expect("no panic");
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(hub).await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_hub_is_not_seen_in_the_output() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "echo ready; i=0; while [ ! -e go ] && [ $i -lt 2000 ]; do echo $i; i=$((i + 1)); sleep 0.01; done; exit 5";
    let hub = HubProcess::start(directory.path(), &[]).await;
    let id = task(&hub.client, script).await;
    let place = Arc::new(Mutex::new(hub.client.address));
    let (child, mut lines) = following(forward(place.clone()).await, &["exec", "-f", &id]).await;
    let reading = tokio::spawn(async move {
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).await.expect("read");
        rest
    });
    // Once in order and once by force.
    assert_eq!(hub.terminate().await, Some(0));
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    *place.lock().expect("no panic") = hub.client.address;
    let followed = |text: &str| text.contains("\ntaskhub_log_streams 1\n");
    hub.client.wait_for_text("/metrics", followed).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    hub.kill();
    let hub = HubProcess::start(directory.path(), &[]).await;
    *place.lock().expect("no panic") = hub.client.address;
    hub.client.wait_for_text("/metrics", followed).await;
    std::fs::write(directory.path().join("executions/1/work/go"), "").expect("written");

    let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("in time");
    let (code, said) = told(&ended.expect("it has ended"));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("the hub is ending") && said.contains("the hub has gone"), "{said}");
    let log = std::fs::read(directory.path().join("logs/task-1.log")).expect("the log");
    assert_eq!([b"ready\n", &reading.await.expect("no panic")[..]].concat(), log);
}
