//! A database that is not what it was: put back from a backup, copied, without its end, removed, or locked by nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{BINARY, HubProcess};
use crate::sse::{Stream, seq};

async fn create(hub: &HubProcess, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(hub.client.create(json!({ "title": format!("task {number}") })).await);
    }
    ids
}

async fn head(hub: &HubProcess) -> String {
    hub.client.get("/api/events/status").await.body["head"].as_str().expect("an id").to_owned()
}

/// A consistent copy of a hub's database, as SQLite's own tools make it.
fn backup(data: &Path, to: &Path) {
    let program = "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b); b.close()";
    let made = Command::new("python3").args(["-c", program]).arg(data.join("taskhub.db")).arg(to).status();
    assert!(made.expect("python3 runs").success());
}

/// Resumes at `id`, and asserts that the client is told that it cannot.
async fn assert_reset(hub: &HubProcess, id: &str) {
    create(hub, 5).await;
    let mut stream = Stream::resume(&hub.client, id).await;
    let reset = stream.next().await;
    assert_eq!(
        (&reset["event"], &reset["data"]["reason"]),
        (&json!("reset"), &json!("unknown_epoch")),
        "{reset}"
    );
    assert_eq!(stream.next().await["data"]["resumed"], false);
    // What is new is told, under ids of its own.
    assert_eq!(stream.next().await["event"], "task_created");
}

async fn assert_resumed(hub: &HubProcess, id: &str) {
    let mut stream = Stream::resume(&hub.client, id).await;
    assert_eq!(stream.next().await["data"]["resumed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_put_back_is_a_reset_in_whichever_way() {
    for in_place in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let (data, saved) = (directory.path().join("data"), directory.path().join("saved.db"));
        let hub = HubProcess::start(&data, &[]).await;
        create(&hub, 3).await;
        backup(&data, &saved);
        create(&hub, 3).await;
        let seen = head(&hub).await;
        assert_eq!(hub.terminate().await, Some(0));
        match in_place {
            // The file stays the same one: only the mark tells.
            true => drop(fs::copy(&saved, data.join("taskhub.db")).expect("copied")),
            false => fs::rename(&saved, data.join("taskhub.db")).expect("moved"),
        }
        let hub = HubProcess::start(&data, &[]).await;
        assert_reset(&hub, &seen).await;
        // From here on it is the database.
        let seen = head(&hub).await;
        assert_eq!(hub.terminate().await, Some(0));
        assert_resumed(&HubProcess::start(&data, &[]).await, &seen).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_is_another_hub_and_a_moved_one_is_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let hub = HubProcess::start(&at("a"), &[]).await;
    create(&hub, 3).await;
    let seen = head(&hub).await;
    assert_eq!(hub.terminate().await, Some(0));
    assert!(Command::new("cp").arg("-a").args([at("a"), at("b")]).status().expect("cp runs").success());
    fs::rename(at("a"), at("c")).expect("moved");
    assert_resumed(&HubProcess::start(&at("c"), &[]).await, &seen).await;
    assert_reset(&HubProcess::start(&at("b"), &[]).await, &seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_end_is_a_reset() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    create(&hub, 6).await;
    let seen = head(&hub).await;
    hub.kill();
    fs::remove_file(directory.path().join("taskhub.db-wal")).expect("there");
    let hub = HubProcess::start(directory.path(), &[]).await;
    assert_reset(&hub, &seen).await;

    // Without its mark nobody can say that nothing is lost.
    let seen = head(&hub).await;
    assert_eq!(hub.terminate().await, Some(0));
    fs::remove_file(directory.path().join("taskhub.mark")).expect("there");
    assert_reset(&HubProcess::start(directory.path(), &[]).await, &seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_after_a_restore_has_a_number_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, saved) = (directory.path().join("data"), directory.path().join("saved.db"));
    let hub = HubProcess::start(&data, &[]).await;
    let id = hub.client.create(json!({ "title": "t", "script": "echo before" })).await;
    backup(&data, &saved);
    let run = async |hub: &HubProcess| {
        hub.client.post(&format!("/api/exec/{id}"), json!({})).await;
        hub.client.wait_for(&format!("/api/exec/{id}"), |it| !it["ended_at"].is_null()).await
    };
    assert_eq!(run(&hub).await["number"], 1);
    assert_eq!(hub.terminate().await, Some(0));
    fs::rename(&saved, data.join("taskhub.db")).expect("moved");
    let hub = HubProcess::start(&data, &[]).await;
    assert_eq!(run(&hub).await["number"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_acknowledged() {
    for name in ["taskhub.db", "taskhub.db-wal"] {
        let directory = tempfile::tempdir().expect("a directory");
        let hub = HubProcess::start(directory.path(), &[]).await;
        let ids = create(&hub, 1).await;
        assert_eq!(hub.client.get("/ready").await.status, StatusCode::OK);
        fs::remove_file(directory.path().join(name)).expect("there");
        let refused = hub.client.post("/api/tasks", json!({ "title": "t" })).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("unavailable")), "{name}");
        assert!(refused.body["detail"].as_str().expect("words").contains("restarts the hub"), "{refused:?}");
        assert_eq!(hub.client.get("/ready").await.status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
        // What is there can still be read.
        assert_eq!(hub.client.get(&format!("/api/tasks/{}", ids[0])).await.status, StatusCode::OK);
        assert_eq!(hub.client.get("/health").await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_is_refused_although_the_lock_file_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &[]).await;
    create(&hub, 1).await;
    fs::remove_file(directory.path().join("taskhub.lock")).expect("there");
    let second = Command::new(BINARY)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path())
        .output()
        .expect("the binary runs");
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && told.contains("another TaskHub"), "{told}");
    create(&hub, 1).await;
    assert_eq!(seq(&hub.client.get("/api/events/status").await.body["head"]), 2);
    let made = hub.client.request(Method::POST, "/api/tasks").json(&json!({ "title": "t" }));
    assert_eq!(hub.client.send(made).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_look_into_the_data_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("set");
    // As a version before has left them.
    for name in ["taskhub.lock", "taskhub.db", "taskhub.db-wal", "taskhub.db-shm"] {
        fs::write(data.join(name), "").expect("written");
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o644)).expect("set");
    }
    let hub = HubProcess::start(&data, &[]).await;
    let id = hub.client.create(json!({ "title": "t", "script": "sleep 30" })).await;
    hub.client.post(&format!("/api/exec/{id}"), json!({ "env": { "TOKEN": "secret" } })).await;
    hub.client.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "running").await;
    let mut seen = 0;
    let mut open = vec![data];
    while let Some(path) = open.pop() {
        let metadata = path.symlink_metadata().expect("there");
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", path.display());
        seen += 1;
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()));
        }
    }
    assert!(seen > 8, "{seen}");
    hub.client.post(&format!("/api/exec/{id}/stop"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_found_at_the_start_and_nothing_is_written_any_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let hub = HubProcess::start(&data, &[]).await;
    for _ in 0..100 {
        hub.client.create(json!({ "title": "t", "description": "x".repeat(2000) })).await;
    }
    assert_eq!(hub.client.get("/ready").await.status, StatusCode::OK);
    hub.terminate().await;
    let path = data.join("taskhub.db");
    let mut database = fs::read(&path).expect("it is there");
    // Not the first pages, without which it does not open: one in which only a query for its rows comes by.
    let pages = database.len() / 4096;
    let page = (pages - 20..pages).find(|page| database[page * 4096] == 13).expect("a page with rows");
    database[page * 4096..(page + 1) * 4096].fill(0);
    fs::write(&path, &database).expect("written");

    let hub = HubProcess::start(&data, &[]).await;
    let deadline = std::time::Instant::now() + crate::harness::DEADLINE;
    let problem = loop {
        let ready = hub.client.get("/ready").await;
        if ready.status == StatusCode::SERVICE_UNAVAILABLE {
            break ready.body;
        }
        assert!(std::time::Instant::now() < deadline, "the damage was not found");
    };
    assert!(problem["detail"].as_str().is_some_and(|words| words.contains("backup")), "{problem}");
    let refused = hub.client.post("/api/tasks", json!({ "title": "t" })).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hub.client.get("/health").await.status, StatusCode::OK);
    assert_eq!(check(&data).0, Some(1));
}

/// The exit code of `taskhub check`, and what it says.
fn check(data: &Path) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(["check", "--data-dir"]).arg(data).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs SQL on a database behind its hub's back.
fn sql(data: &Path, statement: &str) {
    let program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute(sys.argv[2]); d.commit()";
    let mut command = Command::new("python3");
    let done = command.args(["-c", program]).arg(data.join("taskhub.db")).arg(statement).status();
    assert!(done.expect("python3 runs").success(), "{statement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_what_was_written_is_found_when_it_is_read() {
    let changes = [
        ("UPDATE tasks SET title = 'othet' WHERE title = 'other'", "/api/tasks"),
        (
            "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'other', 'othet') AS BLOB)",
            "/api/events",
        ),
    ];
    for (change, path) in changes {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let hub = HubProcess::start(&data, &["--ring-events-max", "1"]).await;
        let client = &hub.client;
        for title in ["other", "one"] {
            client.create(json!({ "title": title })).await;
        }
        assert_eq!(check(&data), (Some(0), "taskhub: the database is whole\n".into()), "beside its hub");
        sql(&data, change);
        assert_eq!(client.get("/ready").await.status, StatusCode::OK, "nobody has come by it");
        assert_eq!(client.get(path).await.status, StatusCode::SERVICE_UNAVAILABLE);
        let ready = client.get("/ready").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(ready.body["detail"].as_str().is_some_and(|words| words.contains("backup")), "{ready:?}");
        let refused = client.post("/api/tasks", json!({ "title": "t" })).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        hub.terminate().await;
        let (code, words) = check(&data);
        assert!(code == Some(1) && words.contains("is not what was written"), "{words}");

        let hub = HubProcess::start(&data, &[]).await;
        let found = async { while hub.client.get("/ready").await.status == StatusCode::OK {} };
        tokio::time::timeout(crate::harness::DEADLINE, found).await.expect("it is found after the start");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_moved_under_a_running_hub_is_still_its_own() {
    for sessions in ["process", "tmux"] {
        let place = tempfile::tempdir().expect("a directory");
        let [before, after] = ["before", "after"].map(|name| place.path().join(name));
        let hub = HubProcess::start(&before, &["--sessions", sessions]).await;
        let client = &hub.client;
        let script = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo made >>../artifacts; \
                      echo last; exit 7";
        let started = client.create(json!({ "title": "started before", "script": script })).await;
        assert_eq!(client.post(&format!("/api/exec/{started}"), json!({})).await.status, StatusCode::OK);
        client.wait_for_text(&format!("/api/exec/{started}/logs/raw"), |log| log.contains("first")).await;
        let mut stream = Stream::open(client, "?events=task_created").await;
        fs::rename(&before, &after).expect("moved");
        // Whatever lies there now is none of the hub's.
        fs::create_dir(&before).expect("made");

        assert_eq!(client.get("/ready").await.status, StatusCode::OK);
        let later = client.create(json!({ "title": "started after", "script": "pwd; exit 3" })).await;
        assert_eq!(stream.next().await["data"]["task_id"], json!(later));
        assert_eq!(client.post(&format!("/api/exec/{later}"), json!({})).await.status, StatusCode::OK);
        let ended = |code: i64| move |it: &serde_json::Value| it["exit_code"] == json!(code);
        client.wait_for(&format!("/api/exec/{later}"), ended(3)).await;
        let log = client.get(&format!("/api/exec/{later}/logs/raw")).await;
        let told = String::from_utf8(log.bytes.to_vec()).expect("UTF-8");
        assert!(told.contains("/after/executions/"), "{told}");

        fs::write(after.join("executions/1/work/go"), "").expect("written");
        client.wait_for(&format!("/api/exec/{started}"), ended(7)).await;
        let log = client.get(&format!("/api/exec/{started}/logs/raw")).await;
        assert_eq!(&log.bytes[..], b"first\nlast\n");
        assert_eq!(client.get(&format!("/api/tasks/{started}")).await.body["artifacts"], json!(["made"]));
        let last = head(&hub).await;
        assert_eq!(hub.terminate().await, Some(0));
        assert_eq!(fs::read_dir(&before).expect("there").count(), 0);

        let hub = HubProcess::start(&after, &["--sessions", sessions]).await;
        assert_resumed(&hub, &last).await;
        assert_eq!(hub.client.get(&format!("/api/tasks/{later}")).await.status, StatusCode::OK);
    }
}
