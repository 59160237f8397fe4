//! Fifty executions and a hub that is killed under them: each has its own end, none runs twice, every event comes once,
//! and every log is whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, DEADLINE, HubProcess, all_pages};

/// More than a machine has cores, so that every moment of a life is hit.
const SCRIPTS: usize = 50;
const LINES: usize = 2000;

/// Says that it runs, writes, and ends in its own way. Some end at once, most before or while there is no hub, some
/// only when they are told to.
fn script(number: usize) -> String {
    let pause = match number % 5 {
        0 => ":".to_owned(),
        4 => "n=0; until [ -e go ] || [ $n -ge 3000 ]; do sleep 0.02; n=$((n + 1)); done".to_owned(),
        part => format!("sleep 0.{}", part * 3),
    };
    let end = match number % 3 {
        0 => "exit 0".to_owned(),
        1 => format!("exit {number}"),
        _ => "kill -9 $$".to_owned(),
    };
    format!("echo run >>runs; seq {LINES}; {pause}; seq {LINES} | sed 's/^/{number}: /' >&2; {end}")
}

fn log(number: usize) -> String {
    let first: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    let second: String = (1..=LINES).map(|line| format!("{number}: {line}\n")).collect();
    first + &second
}

fn outcome(number: usize) -> (Value, Value, Value) {
    match number % 3 {
        0 => (json!("completed"), json!(0), Value::Null),
        1 => (json!("failed"), json!(number), json!(format!("exit code {number}"))),
        _ => (json!("failed"), Value::Null, json!("killed by signal 9 (KILL)")),
    }
}

/// When the hub is killed first.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// Some are only about to start.
    AtOnce,
    /// Each has begun.
    AllRan,
}

async fn survive(sessions: &str, moment: Moment) {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = ["--executions-max", "50", "--sessions", sessions];
    let mut hub = HubProcess::start(directory.path(), &flags).await;
    let mut tasks = Vec::new();
    for number in 0..SCRIPTS {
        let task = hub.client.create(json!({ "title": "t", "script": script(number) })).await;
        let started = hub.client.post(&format!("/api/exec/{task}"), json!({})).await;
        assert_eq!(started.status, 200, "{started:?}");
        tasks.push(task);
    }
    let executions = directory.path().join("executions");
    if moment == Moment::AllRan {
        for number in 1..=SCRIPTS {
            let runs = executions.join(format!("{number}/work/runs"));
            hub.client.wait_for("/health", |_| runs.exists()).await;
        }
    }
    // Again as soon as it is back, and again.
    for _ in 0..3 {
        hub.kill();
        hub = HubProcess::start(directory.path(), &flags).await;
    }
    hub.kill();
    for entry in std::fs::read_dir(&executions).expect("there") {
        let _ = std::fs::write(entry.expect("an entry").path().join("work/go"), "");
    }
    let hub = HubProcess::start(directory.path(), &flags).await;
    let lost = check(&hub.client, directory.path(), &tasks).await;
    match moment {
        Moment::AllRan => assert_eq!(lost, 0),
        Moment::AtOnce => assert!(lost <= 8, "only what was between its claim and its start: {lost}"),
    }
    assert_eq!(hub.terminate().await, Some(0));
}

/// Answers how many are lost.
async fn check(client: &Client, data_dir: &Path, tasks: &[String]) -> usize {
    let mut lost = 0;
    for (number, task) in tasks.iter().enumerate() {
        let work = data_dir.join(format!("executions/{}/work", number + 1));
        let ended = |it: &Value| {
            // One that had not come as far as its directory before is told now.
            let _ = std::fs::write(work.join("go"), "");
            !matches!(it["status"].as_str(), Some("queued" | "running"))
        };
        let execution = client.wait_for(&format!("/api/exec/{task}"), ended).await;
        let runs = std::fs::read_to_string(work.join("runs")).unwrap_or_default();
        if execution["status"] == "lost" {
            // The hub was killed between its claim and its start: it has not run, and that is said.
            assert_eq!(runs, "", "{execution}");
            lost += 1;
        } else {
            assert_eq!(runs, "run\n", "{execution}");
            let seen = (&execution["status"], &execution["exit_code"], &execution["reason"]);
            let (status, exit_code, reason) = &outcome(number);
            assert_eq!(seen, (status, exit_code, reason), "{execution}");
            let file = data_dir.join(execution["log_file"].as_str().expect("a path"));
            let written = std::fs::read(file).expect("the log");
            assert!(written == log(number).as_bytes(), "the log of {number} is not complete");
        }
    }
    let events = "/api/events?events=execution_event&since=earliest&limit=500";
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in client.get(events).await.body.as_array().expect("events") {
        let text = |name: &str| event["data"][name].as_str().expect("a text").to_owned();
        told.entry(text("task_id")).or_default().push(text("execution_event"));
    }
    for (number, task) in tasks.iter().enumerate() {
        let mut phases = told.remove(task).expect("events");
        phases.retain(|phase| phase != "queued");
        let (status, ..) = outcome(number);
        let end = phases.pop().expect("an end");
        assert!(status == end.as_str() || end == "lost", "{end}");
        assert_eq!(phases, ["started"], "{task}");
    }
    assert!(told.is_empty());
    println!("{lost} of {SCRIPTS} are lost");
    assert_eq!(all_pages(client, "/api/executions?limit=500".to_owned()).await.len(), SCRIPTS);
    lost
}

async fn survive_in_time(sessions: &str, moment: Moment) {
    tokio::time::timeout(DEADLINE * 4, survive(sessions, moment)).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_running_executions_survive_a_hub_that_is_killed() {
    survive_in_time("process", Moment::AllRan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_running_executions_in_tmux_survive_a_hub_that_is_killed() {
    survive_in_time("tmux", Moment::AllRan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_starting_executions_none_runs_twice_when_the_hub_is_killed() {
    survive_in_time("process", Moment::AtOnce).await;
    survive_in_time("tmux", Moment::AtOnce).await;
}
