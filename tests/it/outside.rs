//! What the hub is started with and in: a standard error that fails or stalls, a limit on file sizes, a terminal that
//! goes away, another user.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{BINARY, Client, DEADLINE, Hub, HubProcess};
use crate::sse::Stream;

/// A hub whose log nobody has to read to know where it is.
async fn with_stderr(data_dir: &Path, flags: &[&str], stderr: Stdio) -> HubProcess {
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address")
    };
    let mut command = HubProcess::command(data_dir, &address.to_string());
    let child = command.args(flags).stderr(stderr).spawn().expect("the binary runs");
    let hub = HubProcess { client: Client::new(address), child };
    let ready = async {
        while hub.client.try_send(hub.client.request(reqwest::Method::GET, "/ready")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.expect("it gets ready");
    hub
}

/// An execution of `script` from its start to its end.
async fn executed(client: &Client, script: &str) -> Value {
    let id = client.create(json!({ "title": "a test", "script": script })).await;
    client.post(&format!("/api/exec/{id}"), json!({})).await;
    client.wait_for(&format!("/api/exec/{id}"), |it| !it["ended_at"].is_null()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_has_gone_costs_its_lines_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = HubProcess::command(directory.path(), "127.0.0.1:0");
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let address = lines.find_map(|line| {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        line["listening"].as_str().map(str::to_owned)
    });
    // The reader goes.
    drop(lines);
    let address = address.expect("it gets ready").parse().expect("an address");
    let hub = HubProcess { client: Client::new(address), child };

    assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7);
    let lost = |text: &str| {
        text.lines().any(|line| {
            let count = line.strip_prefix("taskhub_log_lines_lost_total{reason=\"write_failed\"} ");
            count.is_some_and(|count| count != "0")
        })
    };
    hub.client.wait_for_text("/metrics", lost).await;
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_does_not_keep_the_hub_from_its_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let full = File::options().write(true).open("/dev/full").expect("a full device");
    let hub = with_stderr(directory.path(), &[], full.into()).await;
    assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7);
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_stalls_holds_up_nothing_not_even_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    // Held open and never read: 64 KiB, and it is full.
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let hub = with_stderr(directory.path(), &["--log", "debug"], writer.into()).await;
    for _ in 0..600 {
        hub.client.get("/health").await;
    }
    assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7);
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_away_ends_the_hub_in_order_unless_it_was_told_to_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    // Whatever these tests were started with.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", BINARY, "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command.arg("--data-dir").arg(directory.path());
    let hub = HubProcess::spawn(command).await;
    let mut stream = Stream::open(&hub.client, "").await;
    assert_eq!(hub.end_by(Signal::HUP).await, Some(0));
    let rest = stream.rest().await;
    assert_eq!(rest.last().expect("a message")["event"], "goodbye");

    // As `nohup` does it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", BINARY, "--listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--data-dir"]).arg(directory.path());
    let hub = HubProcess::spawn(command).await;
    kill_process(Pid::from_child(&hub.child), Signal::HUP).expect("it can be signalled");
    assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7);
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_file_sizes_is_a_full_disk_for_the_hub_and_the_default_for_scripts() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    // 1 MiB: a unit of dash is 512 bytes.
    command.args(["-c", "ulimit -f 2048; exec \"$0\" \"$@\"", BINARY, "--listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--data-dir"]).arg(directory.path());
    let hub = HubProcess::spawn(command).await;
    let execution = executed(&hub.client, "yes | head -c 3000000; exit 7").await;
    assert_eq!((&execution["status"], &execution["exit_code"]), (&json!("failed"), &json!(7)), "{execution}");
    let reason = execution["reason"].as_str().expect("a reason");
    assert!(reason.contains("its log is not complete"), "{reason}");
    // The script's own files meet the signal that it expects.
    let execution = executed(&hub.client, "exec dd if=/dev/zero of=big bs=3000000 count=1").await;
    assert_eq!(execution["reason"], "killed by signal 25 (XFSZ)");

    let mut refused = None;
    for _ in 0..100 {
        let task = json!({ "title": "large", "description": "x".repeat(60_000) });
        let answer = hub.client.post("/api/tasks", task).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("6 MB do not fit");
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (507, &json!("storage_full")));
    assert_eq!(hub.client.get("/api/tasks").await.status, 200);
    assert_eq!(hub.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_reads_the_hubs_memory_and_environment() {
    const NOBODY: u32 = 65534;
    // What is not dumpable belongs to root in /proc, so root itself cannot tell the difference.
    let is_root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
    let own = if is_root { NOBODY } else { std::fs::metadata("/proc/self").expect("there").uid() };
    for (flags, owner) in [(&[][..], 0), (&["--core-dumps"], own)] {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let mut command = Command::new("sh");
        // Opened first: another user may not reach the program by its path.
        let become_nobody =
            "exec 3<\"$0\"; exec setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/3 \"$@\"";
        let script = if is_root { become_nobody } else { "exec \"$0\" \"$@\"" };
        command.args(["-c", script, BINARY, "--listen", "127.0.0.1:0", "--log-format", "json"]).args(flags);
        command.arg("--data-dir").arg(&data);
        if is_root {
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        let hub = HubProcess::spawn(command).await;
        let environment = std::fs::metadata(format!("/proc/{}/environ", hub.child.id())).expect("there");
        assert_eq!(environment.uid(), owner, "{flags:?}");
        assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7);
        assert_eq!(hub.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_program_is_removed_or_replaced_goes_on_by_itself() {
    for sessions in ["process", "tmux"] {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("hub");
        std::fs::copy(BINARY, &program).expect("copied");
        let mut command = Command::new(&program);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--sessions", sessions]);
        command.arg("--data-dir").arg(directory.path().join("data"));
        let hub = HubProcess::spawn(command).await;
        std::fs::remove_file(&program).expect("there");
        assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7, "{sessions}: removed");
        let impostor = format!("#!/bin/sh\ntouch {}/impostor\n", directory.path().display());
        std::fs::write(&program, impostor).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("set");
        assert_eq!(executed(&hub.client, "exit 7").await["exit_code"], 7, "{sessions}: replaced");
        assert!(!directory.path().join("impostor").exists(), "{sessions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_shim_leaves_is_ended_and_waited_for() {
    for sessions in ["process", "tmux"] {
        let directory = tempfile::tempdir().expect("a directory");
        let hub = HubProcess::start(directory.path(), &["--sessions", sessions]).await;
        let script =
            "env -i sleep 3001 & (env -i setsid sleep 3002 & echo $! >away); kill -9 $PPID; sleep 3003";
        assert_eq!(executed(&hub.client, script).await["status"], "lost", "{sessions}");
        for _ in 0..5 {
            assert_eq!(executed(&hub.client, "true").await["exit_code"], 0);
        }
        let own = hub.child.id().to_string();
        let left = async {
            loop {
                let listed =
                    Command::new("ps").args(["--no-headers", "-o", "stat,args", "--ppid", &own]).output();
                let listed = String::from_utf8(listed.expect("ps runs").stdout).expect("UTF-8");
                if !listed.contains("sleep") && !listed.lines().any(|line| line.starts_with('Z')) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(DEADLINE, left).await.expect("nothing is left");
        let away =
            std::fs::read_to_string(directory.path().join("executions/1/work/away")).expect("a number");
        assert!(!Path::new(&format!("/proc/{}", away.trim())).exists(), "{sessions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_hub_is_not_ready_and_says_why() {
    let hub = Hub::start().await;
    assert_eq!(hub.client.get("/ready").await.status, 200);
    hub.fail("the test's part");
    let answer = hub.client.get("/ready").await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &json!("unavailable")));
    assert!(answer.body["detail"].as_str().expect("words").contains("the test's part"));
}
