//! `read_log`: pages that join, matches with their places, and executions by each of their names.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Hub;

use super::Agent;

/// A task whose script has run, and the answer of the run.
async fn ran(agent: &Agent, script: &str) -> (String, serde_json::Value) {
    let key = agent.create(json!({ "title": "t", "script": script })).await;
    let run = agent.data("run_task", json!({ "task": key })).await;
    assert_eq!(run["status"], "completed", "{run}");
    (key, run)
}

/// The text above the last line, and that line.
fn parts(answer: &str) -> (&str, &str) {
    answer.rsplit_once('\n').expect("a last line")
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_are_told_with_the_places_of_their_bytes() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, _) = ran(&agent, r"printf '\377\376\377\n\303\244 Needle\n\377needle\n'").await;
    let found = agent.text("read_log", json!({ "task": key, "grep": "needle" })).await;
    let (lines, last) = parts(&found);
    assert_eq!(lines, "4: ä Needle\n14: \u{fffd}needle");
    assert!(last.contains("22 bytes looked through; taskhub-1 completed, exit code 0"), "{last}");
    // A place that was told is one from which to read.
    let page = agent.text("read_log", json!({ "task": key, "offset": 4 })).await;
    assert_eq!(parts(&page).0, "ä Needle\n\u{fffd}needle");
    let none = agent.text("read_log", json!({ "task": key, "grep": "pin" })).await;
    assert_eq!(parts(&none).0, "[no line matches]");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_end_with_whole_lines_and_join_to_the_whole() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, _) = ran(&agent, "seq -f 'line number %06g' 1 3000").await;
    let (mut offset, mut joined, mut pages) = (0, String::new(), 0);
    loop {
        let page = agent.text("read_log", json!({ "task": key, "offset": offset })).await;
        let (lines, last) = parts(&page);
        assert!(lines.lines().all(|line| line.len() == "line number 000001".len()), "{last}");
        joined.push_str(lines);
        joined.push('\n');
        pages += 1;
        if last.contains("this is its end;") {
            break;
        }
        let next = last.split("offset ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an offset");
        offset = next.parse().expect("a number");
    }
    assert_eq!((joined.lines().count(), joined.lines().last()), (3000, Some("line number 003000")));
    assert_eq!(pages, 4);

    // More lines than fit: it says that the earlier ones are left out, and where some of them are.
    let tail = agent.text("read_log", json!({ "task": key, "tail_lines": 1000 })).await;
    let (lines, last) = parts(&tail);
    assert!(lines.ends_with("line number 003000") && lines.lines().count() < 1000, "{last}");
    assert!(last.contains("earlier lines are left out, offset "), "{last}");
    let few = agent.text("read_log", json!({ "task": key, "tail_lines": 2 })).await;
    assert_eq!(parts(&few).0, "line number 002999\nline number 003000");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_longer_than_a_page_is_read_in_parts() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, _) = ran(&agent, "head -c 20000 /dev/zero | tr '\\0' x; echo; echo end").await;
    let first = agent.text("read_log", json!({ "task": key, "offset": 0 })).await;
    assert!(
        parts(&first).1.contains("bytes 0 to 16384 of 20005; offset 16384 goes on"),
        "{}",
        parts(&first).1
    );
    let rest = agent.text("read_log", json!({ "task": key, "offset": 16384 })).await;
    assert!(parts(&rest).0.ends_with("x\nend"), "{rest}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_read_by_each_of_its_names() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, first) = ran(&agent, "echo one").await;
    let second = agent.data("run_task", json!({ "task": key, "script": "echo two; exit 3" })).await;
    assert_eq!((&second["status"], &second["exit_code"]), (&json!("failed"), &json!(3)));
    assert!(second.get("reason").is_none(), "the code says it: {second}");
    let shown = agent.text("get_task", json!({ "task": key })).await;
    assert!(shown.contains("taskhub-2 failed, exit code 3; read_log"), "{shown}");
    let id = first["execution"].as_str().expect("an id");
    for (name, text) in [(id, "one"), ("taskhub-1", "one"), ("1", "one"), ("taskhub-2", "two")] {
        let log = agent.text("read_log", json!({ "task": key, "execution": name })).await;
        assert_eq!(parts(&log).0, text, "{name}");
    }
    let refused = agent
        .refused_by("execution_not_found", "read_log", json!({ "task": key, "execution": "taskhub-7" }))
        .await;
    assert!(refused["next"].as_str().is_some_and(|it| it.contains("taskhub-2")), "{refused}");
    agent.refused_by("invalid_field", "read_log", json!({ "task": key, "execution": "last" })).await;
    hub.stop().await;
}

/// A pattern with hundreds of states on bytes without an order: its match is slow at each of them. Others do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_pattern_ends_in_time_and_says_where_to_go_on() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let script =
        r"head -c 12000000 /dev/urandom | LC_ALL=C tr '\000-\177' '[a*]' | LC_ALL=C tr '\200-\377' '[b*]'";
    let (key, _) = ran(&agent, script).await;
    let slow = json!({ "task": key, "grep": "a[ab]{400}[c-z]" });
    let mut searches = Vec::new();
    for _ in 0..3 {
        let (agent, slow) = (agent.clone(), slow.clone());
        searches.push(tokio::spawn(async move { agent.text("read_log", slow).await }));
    }
    let started = Instant::now();
    while !searches.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Instant::now();
        agent.data("list_tasks", json!({})).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert!(started.elapsed() < Duration::from_secs(30), "they end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for search in searches {
        let found = search.await.expect("no panic");
        let (_, offset) =
            found.split_once("the pattern is slow; offset ").expect("it has not come to the end");
        assert!(offset.contains(" goes on]"), "{found}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_is_too_large_or_wrong_is_refused() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, _) = ran(&agent, "echo 'at ada@example.org:7'").await;
    let usual = json!({ "task": key, "grep": r"\bat\s+\w+(\.\w+)*@\w+\.\w{2,5}:\d+\b" });
    assert!(agent.text("read_log", usual).await.starts_with("0: at ada"), "a usual one is none of them");
    for pattern in ["(", "\\w{200}", &format!("{}(", "a".repeat(5000))] {
        let refused =
            agent.refused_by("invalid_field", "read_log", json!({ "task": key, "grep": pattern })).await;
        assert!(refused["detail"].as_str().is_some_and(|it| it.starts_with("grep: ")), "{refused}");
        assert!(refused.to_string().len() < 1_500, "{}", refused.to_string().len());
    }
    hub.stop().await;
}

/// Something else is where the log was: it cannot be read, and the script must not run again for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_is_no_log_that_is_not_there() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let (key, _) = ran(&agent, "echo a").await;
    let id = hub.client.get(&format!("/api/tasks?key={key}")).await.body[0]["id"].clone();
    let execution = hub.client.get(&format!("/api/exec/{}", id.as_str().expect("an id"))).await.body;
    let path = hub.directory.path().join(execution["log_file"].as_str().expect("a path"));
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("a directory");
    for arguments in [json!({ "task": key }), json!({ "task": key, "grep": "a" })] {
        let refused = agent.refused_by("unavailable", "read_log", arguments).await;
        assert!(!refused.to_string().contains("run"), "{refused}");
    }
    let uri = format!("taskhub://tasks/{key}/log");
    let request = agent.request("resources/read", json!({ "uri": uri })).header("Mcp-Name", uri);
    let read = agent.client.send(request).await.body;
    assert!(read["error"]["message"].as_str().is_some_and(|it| it.contains("cannot read the log")), "{read}");
    hub.stop().await;
}
