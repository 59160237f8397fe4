//! Executions over HTTP: who may start what, and what the stream tells of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Hub, HubProcess};

async fn start(client: &Client, task: &str, request: Value) -> Answer {
    client.post(&format!("/api/exec/{task}"), request).await
}

async fn stop(client: &Client, task: &str) -> Answer {
    client.send(client.request(Method::POST, &format!("/api/exec/{task}/stop"))).await
}

/// The execution once it has ended.
async fn ended(client: &Client, task: &str) -> Value {
    let is_final = |it: &Value| !matches!(it["status"].as_str(), Some("queued" | "running"));
    client.wait_for(&format!("/api/exec/{task}"), is_final).await
}

/// All that the log knows of a task.
async fn history(client: &Client, task: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/events?task_id={task}&since=earliest&limit=1000")).await;
    answer.body.as_array().expect("events").clone()
}

/// What happened to executions, in order.
fn phases(history: &[Value]) -> Vec<&str> {
    history.iter().filter_map(|event| event["data"]["execution_event"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_starts_at_once_one_is_refused() {
    let hub = Hub::start().await;
    for _ in 0..10 {
        let task = hub.client.create(json!({ "title": "t", "script": "sleep 30" })).await;
        let [one, two] = [start(&hub.client, &task, json!({})), start(&hub.client, &task, json!({}))];
        let (one, two) = tokio::join!(one, two);
        let mut statuses = [one.status, two.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
        let refused = if one.status == StatusCode::CONFLICT { one } else { two };
        assert_eq!(refused.body["code"], "execution_live");
        assert_eq!(hub.client.get(&format!("/api/executions?task_id={task}")).await.body[1], Value::Null);
        assert_eq!(stop(&hub.client, &task).await.status, StatusCode::OK);
        assert_eq!(ended(&hub.client, &task).await["status"], "stopped");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_cannot_be_stopped() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t", "script": "true" })).await;
    assert_eq!(start(&hub.client, &task, json!({})).await.status, StatusCode::OK);
    let before = (ended(&hub.client, &task).await, history(&hub.client, &task).await);
    let refused = stop(&hub.client, &task).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("execution_ended")));
    let after = hub.client.get(&format!("/api/exec/{task}")).await.body;
    assert_eq!((after, history(&hub.client, &task).await), before);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_attach_is_told_how_or_why_not() {
    let attach = async |client: &Client, task: &str| client.get(&format!("/api/exec/{task}/attach")).await;
    for (sessions, flags) in [
        ("process", ["--executions-max=1", "--sessions=process"]),
        ("tmux", ["--executions-max=1", "--sessions=tmux"]),
    ] {
        let hub = Hub::with(&flags).await;
        let client = &hub.client;
        let task = client.create(json!({ "title": "t", "script": "echo on; sleep 30" })).await;
        assert_eq!(attach(client, &task).await.body["code"], "execution_not_found");
        assert_eq!(start(client, &task, json!({})).await.status, StatusCode::OK);
        client.wait_for(&format!("/api/exec/{task}/logs"), |it| it["text"] == "on\n").await;
        let waiting = client.create(json!({ "title": "t", "script": "true" })).await;
        assert_eq!(start(client, &waiting, json!({})).await.status, StatusCode::OK);
        let told = attach(client, &waiting).await;
        assert_eq!((told.status, &told.body["code"]), (StatusCode::CONFLICT, &json!("not_attachable")));

        let told = attach(client, &task).await;
        if sessions == "tmux" {
            assert_eq!((told.status, &told.body["session_name"]), (StatusCode::OK, &json!("taskhub-1")));
            let command = told.body["command"].as_str().expect("a command");
            assert!(command.starts_with("tmux -S '/") && command.ends_with(" -t '=taskhub-1'"), "{command}");
        } else {
            assert_eq!((told.status, &told.body["code"]), (StatusCode::CONFLICT, &json!("not_attachable")));
            assert!(told.body["detail"].as_str().expect("words").contains("--sessions tmux"), "{told:?}");
        }
        for task in [&waiting, &task] {
            stop(client, task).await;
            ended(client, task).await;
            assert_eq!(attach(client, task).await.body["code"], "execution_ended");
        }
        let nobody = attach(client, "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e").await;
        assert_eq!((nobody.status, &nobody.body["code"]), (StatusCode::NOT_FOUND, &json!("task_not_found")));
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_hub_is_in_no_environment_log_or_event_and_one_of_a_request_in_no_event() {
    for sessions in ["process", "tmux"] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = HubProcess::command(directory.path(), "127.0.0.1:0");
        command.args(["--sessions", sessions]).env("HUB_TOKEN", "s3cret-of-the-hub");
        let hub = HubProcess::spawn(command).await;
        let client = &hub.client;
        // Its own environment, and its shim's.
        let script = "tr '\\0' '\\n' </proc/$$/environ; tr '\\0' '\\n' </proc/$PPID/environ; env >&2; exit 3";
        let task = client.create(json!({ "title": "t", "script": script })).await;
        let request = json!({ "env": { "GIVEN": "s3cret-of-the-request" } });
        assert_eq!(start(client, &task, request).await.status, StatusCode::OK);
        let execution = ended(client, &task).await;
        assert_eq!(execution["exit_code"], 3);
        let log = client.get(&format!("/api/exec/{task}/logs?tail=10000")).await.body["text"].to_string();
        assert!(log.contains("GIVEN=s3cret-of-the-request") && log.contains("TASKHUB_SESSION"), "{log}");
        assert!(!log.contains("s3cret-of-the-hub") && !log.contains("HUB_TOKEN"), "{log}");
        let told = format!("{execution} {:?}", history(client, &task).await);
        assert!(told.contains("exit code 3") && !told.contains("s3cret"), "{told}");
        assert_eq!(hub.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cannot_ask_for_more_than_the_operator_allows() {
    let flags = ["--timeout-seconds-max=60", "--memory-bytes-max=100000000", "--max-executions=3"];
    let hub = Hub::with(&flags).await;
    let task = hub.client.create(json!({ "title": "t", "script": "true" })).await;
    for (field, value) in [("timeout_seconds", 61), ("memory_bytes_max", 100_000_001)] {
        let refused = start(&hub.client, &task, json!({ field: value })).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.body["field"], field);
    }
    let most = json!({ "timeout_seconds": 60, "memory_bytes_max": 100_000_000 });
    assert_eq!(start(&hub.client, &task, most).await.status, StatusCode::OK);
    assert_eq!(ended(&hub.client, &task).await["status"], "completed");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_told_and_the_task_stays_in_progress_between_them() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t", "script": "exit 3" })).await;
    let started = start(&hub.client, &task, json!({ "retries": 2, "retry_delay_seconds": 0 })).await;
    assert_eq!((&started.body["attempt"], &started.body["attempts_max"]), (&json!(1), &json!(3)));
    let is_over = |it: &Value| it["attempt"] == 3 && it["status"] == "failed";
    hub.client.wait_for(&format!("/api/exec/{task}"), is_over).await;
    let history = history(&hub.client, &task).await;
    let told = phases(&history);
    assert_eq!(told, ["started", "failed", "queued", "started", "failed", "queued", "started", "failed"]);
    for event in history.iter().filter(|event| event["data"]["execution_event"] == "queued") {
        assert!(event["data"]["not_before"].is_string(), "{event}");
    }
    assert_eq!(hub.client.get(&format!("/api/tasks/{task}")).await.body["status"], "inprogress");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_outside_the_roots_is_refused_whatever_leads_there() {
    let place = tempfile::tempdir().expect("a directory");
    let at = |path: &str| place.path().join(path).to_str().expect("UTF-8").to_owned();
    for path in ["root/inner", "rootless", "outside"] {
        std::fs::create_dir_all(at(path)).expect("made");
    }
    std::os::unix::fs::symlink(at("outside"), at("root/out")).expect("linked");
    for roots in [&[][..], &["--exec-root", &at("root")]] {
        let hub = Hub::with(roots).await;
        let task = hub.client.create(json!({ "title": "t", "script": "pwd -P" })).await;
        let before = history(&hub.client, &task).await;
        for cwd in [
            "..",
            "a/../..",
            "/",
            "/etc",
            "//etc",
            "/proc/self/cwd",
            &at("outside"),
            &at("rootless"),
            &at("root/out"),
            &at("root/../outside"),
            &at("root/inner/../inner"),
            &at("root/missing"),
            &format!("{}\0", at("root")),
        ] {
            let refused = start(&hub.client, &task, json!({ "cwd": cwd })).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{cwd} {refused:?}");
            assert_eq!(refused.body["field"], "cwd", "{cwd}");
        }
        let inner = start(&hub.client, &task, json!({ "cwd": at("root/inner") })).await;
        if roots.is_empty() {
            assert_eq!(inner.status, StatusCode::BAD_REQUEST);
            assert_eq!(history(&hub.client, &task).await, before);
        } else {
            assert_eq!(inner.status, StatusCode::OK);
            assert_eq!(ended(&hub.client, &task).await["status"], "completed");
            let log = hub.client.get(&format!("/api/exec/{task}/logs")).await;
            let real = place.path().canonicalize().expect("there").join("root/inner");
            assert_eq!(log.body["text"], format!("{}\n", real.display()));
        }
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_script_is_given_to_the_operators_command() {
    let hub = Hub::with(&["--exec-default", "cat"]).await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    assert_eq!(start(&hub.client, &task, json!({})).await.status, StatusCode::OK);
    assert_eq!(ended(&hub.client, &task).await["status"], "completed");
    let log = hub.client.get(&format!("/api/exec/{task}/logs")).await;
    assert_eq!(
        serde_json::from_str::<Value>(log.body["text"].as_str().expect("text")).expect("JSON")["id"],
        task
    );
    hub.stop().await;
}

async fn task(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/tasks/{id}")).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_moves_the_task_on_with_what_the_script_has_named() {
    let hub = Hub::start().await;
    let script = "printf 'out/a b\\n\\nold\\nout/a b\\n\\377\\nlast' >>$TASKHUB_ARTIFACTS";
    let id = hub.client.create(json!({ "title": "t", "script": script, "artifacts": ["old"] })).await;
    assert_eq!(start(&hub.client, &id, json!({})).await.status, StatusCode::OK);
    let execution = ended(&hub.client, &id).await;
    let (now, history) = (task(&hub.client, &id).await, history(&hub.client, &id).await);
    assert_eq!((&now["status"], &now["version"]), (&json!("review"), &json!(3)));
    assert_eq!(now["artifacts"], json!(["old", "out/a b", "last"]));
    assert!(
        execution["reason"].as_str().is_some_and(|it| it.starts_with("1 of the artifacts")),
        "{execution}"
    );
    let [end, moved] = &history[history.len() - 2..] else { panic!("{history:?}") };
    assert_eq!(end["data"]["execution_event"], "completed");
    assert_eq!(moved["data"]["changed"], json!(["status", "artifacts"]));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_the_task_in_progress_and_says_why() {
    let hub = Hub::start().await;
    let script = "echo half >>$TASKHUB_ARTIFACTS; exit 3";
    let id = hub.client.create(json!({ "title": "t", "script": script })).await;
    assert_eq!(start(&hub.client, &id, json!({})).await.status, StatusCode::OK);
    assert_eq!(ended(&hub.client, &id).await["status"], "failed");
    let now = task(&hub.client, &id).await;
    assert_eq!((&now["status"], &now["artifacts"]), (&json!("inprogress"), &json!(["half"])));
    let history = history(&hub.client, &id).await;
    let failed = history.iter().find(|it| it["data"]["execution_event"] == "failed").expect("an event");
    assert_eq!(failed["data"]["reason"], "exit code 3");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_task_goes_is_for_the_operator_to_say_and_for_whoever_says_so_meanwhile() {
    for (status, expected) in [
        ("todo", "todo"),
        ("inprogress", "inprogress"),
        ("review", "review"),
        ("done", "done"),
        ("keep", "inprogress"),
    ] {
        let hub = Hub::with(&["--exec-done-status", status]).await;
        let id = hub.client.create(json!({ "title": "t", "script": "true" })).await;
        assert_eq!(start(&hub.client, &id, json!({})).await.status, StatusCode::OK);
        ended(&hub.client, &id).await;
        assert_eq!(task(&hub.client, &id).await["status"], expected);

        let request = json!({ "script_content": "n=0; until [ -e go ] || [ $n -ge 1000 ]; do sleep 0.02; n=$((n + 1)); done" });
        let execution = start(&hub.client, &id, request).await.body;
        assert_eq!(hub.client.set_status(&id, "done").await.status, StatusCode::OK);
        let work = hub.directory.path().join(format!("executions/{}/work", execution["number"]));
        hub.client.wait_for(&format!("/api/exec/{id}"), |_| work.exists()).await;
        std::fs::write(work.join("go"), "").expect("written");
        assert_eq!(ended(&hub.client, &id).await["status"], "completed");
        assert_eq!(task(&hub.client, &id).await["status"], "done");
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_artifacts_or_none_that_can_be_read_do_not_keep_an_execution_from_ending() {
    let hub = Hub::start().await;
    for (script, count, left_out) in [
        ("i=0; while [ $i -lt 1100 ]; do echo $i; i=$((i+1)); done >>$TASKHUB_ARTIFACTS", 1000, "100 of"),
        ("rm $TASKHUB_ARTIFACTS", 0, ""),
        ("rm $TASKHUB_ARTIFACTS; mkfifo $TASKHUB_ARTIFACTS", 0, "1 of"),
        ("rm $TASKHUB_ARTIFACTS; ln -s /etc/passwd $TASKHUB_ARTIFACTS", 0, "1 of"),
        ("rm $TASKHUB_ARTIFACTS; mkdir $TASKHUB_ARTIFACTS", 0, "1 of"),
    ] {
        let id = hub.client.create(json!({ "title": "t", "script": script })).await;
        assert_eq!(start(&hub.client, &id, json!({})).await.status, StatusCode::OK);
        let execution = ended(&hub.client, &id).await;
        assert_eq!(execution["status"], "completed", "{execution}");
        assert!(execution["reason"].as_str().unwrap_or_default().starts_with(left_out), "{execution}");
        let now = task(&hub.client, &id).await;
        assert_eq!(now["artifacts"].as_array().map(Vec::len), Some(count), "{script}");
        assert_eq!(now["status"], "review");
    }
    hub.stop().await;
}
