//! Tokens: who is let in, to do what, and in whose name it is done.

use std::path::Path;
use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use taskhub::api::spec::DOCUMENT;

use crate::harness::{Answered, BINARY, Client, DEADLINE, Hub, HubProcess};
use crate::sse::Stream;

const NOBODY: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";

/// `taskhub token …` on a data directory.
pub fn command(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(BINARY);
    command.arg("token").args(arguments).arg("--data-dir").arg(directory);
    command.output().expect("the binary runs")
}

/// Makes a token, and answers its secret.
pub fn create(directory: &Path, name: &str, scope: &str) -> String {
    let output = command(directory, &["create", "--name", name, "--scope", scope]);
    assert!(output.status.success(), "{output:?}");
    let secret = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(secret.starts_with("taskhub_") && secret.len() == 8 + 43 + 1, "{secret:?}");
    secret.trim_end().to_owned()
}

pub fn revoke(directory: &Path, name: &str) {
    let output = command(directory, &["revoke", name]);
    assert!(output.status.success(), "{output:?}");
}

/// A hub, and a client for each role; it asks for tokens already.
struct Roles {
    hub: Hub,
    read: Client,
    write: Client,
    exec: Client,
}

impl Roles {
    async fn new() -> Self {
        let hub = Hub::start().await;
        let client =
            |name: &str, scope: &str| hub.client.with_token(&create(hub.directory.path(), name, scope));
        let read = client("reader", "read");
        let (write, exec) = (client("writer", "write"), client("runner", "read,write,exec"));
        known(&exec).await;
        Self { read, write, exec, hub }
    }
}

/// Waits until the hub knows the client's token, or no longer does.
pub async fn until(client: &Client, status: StatusCode) {
    let asking = async {
        while client.get("/api/tasks").await.status != status {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the hub learns of it");
}

async fn known(client: &Client) {
    let asking = async {
        while client.get("/api/events/status").await.status != StatusCode::OK
            || Client::new(client.address).get("/api/tasks").await.status != StatusCode::UNAUTHORIZED
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the hub learns of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_asks_for_a_token_from_the_first_one_on_and_after_the_last_is_revoked() {
    let hub = Hub::start().await;
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::OK);
    let mut stream = Stream::open(&hub.client, "").await;
    let secret = create(hub.directory.path(), "ci", "read");
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    assert_eq!(stream.rest().await, Vec::<Value>::new(), "whoever came without a token has to leave");

    let holder = hub.client.with_token(&secret);
    assert_eq!(holder.get("/api/tasks").await.status, StatusCode::OK);
    revoke(hub.directory.path(), "ci");
    until(&holder, StatusCode::UNAUTHORIZED).await;
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    let hub = hub.restart().await;
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(hub.client.get("/health").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_ask_before_there_is_a_token_and_never() {
    let hub = Hub::with(&["--require-auth"]).await;
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    let hub = Hub::with(&["--insecure-no-auth"]).await;
    let secret = create(hub.directory.path(), "ci", "read");
    let hub = hub.restart().await;
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::OK);
    let holder = hub.client.with_token(&secret);
    assert_eq!(holder.post("/api/tasks", json!({ "title": "t" })).await.status, StatusCode::CREATED);
}

/// What each role may do, said once more by hand: the specification must not grow more generous unseen.
const NEEDED: &[(&str, &str)] = &[
    ("health", ""),
    ("readiness", ""),
    ("metrics", "read"),
    ("listTasks", "read"),
    ("getTask", "read"),
    ("createTask", "write"),
    ("updateTask", "write"),
    ("updateTaskStatus", "write"),
    ("deleteTask", "write"),
    ("addComment", "write"),
    ("listComments", "read"),
    ("askQuestion", "write"),
    ("listQuestions", "read"),
    ("getQuestion", "read"),
    ("answerQuestion", "write"),
    ("startExecution", "exec"),
    ("stopExecution", "exec"),
    ("attachExecution", "exec"),
    ("getExecution", "read"),
    ("listExecutions", "read"),
    ("getExecutionLogs", "read"),
    ("downloadExecutionLog", "read"),
    ("streamExecutionLogs", "read"),
    ("streamEvents", "read"),
    ("listEvents", "read"),
    ("getEventStatus", "read"),
    ("announce", "write"),
    ("reportClaudeCodeHook", "write"),
    ("createEventTicket", "read"),
    ("whoAmI", "read"),
    ("listProjects", "read"),
    ("createProject", "write"),
    ("getProject", "read"),
    ("updateProject", "write"),
    ("deleteProject", "write"),
    ("explainTask", "read"),
    ("claimTask", "write"),
    ("changeTasks", "write"),
    ("waitForTask", "read"),
    ("getLease", "read"),
    ("renewLease", "write"),
    ("returnLease", "write"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_exactly_what_the_specification_says() {
    let roles = Roles::new().await;
    let clients = [
        ("", Client::new(roles.hub.client.address)),
        ("", roles.hub.client.with_token("taskhub_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("read", roles.read.clone()),
        ("write", roles.write.clone()),
        ("exec", roles.exec.clone()),
    ];
    let rank = |scope: &str| ["", "read", "write", "exec"].iter().position(|it| *it == scope);
    let mut seen = 0;
    for (path, operations) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            let by_hand = NEEDED.iter().find(|(name, _)| *name == id);
            let (_, needed) = by_hand.unwrap_or_else(|| panic!("{id}: who may do it?"));
            assert_eq!(operation["x-required-scope"].as_str().unwrap_or_default(), *needed, "{id}");
            assert_eq!(
                operation["security"].as_array().expect("a list").is_empty(),
                needed.is_empty(),
                "{id}"
            );
            seen += 1;
            let path = path
                .replace("{task_id}", NOBODY)
                .replace("{lease_id}", NOBODY)
                .replace("{question_id}", NOBODY)
                .replace("{project}", "nobodys");
            let methods = if method == "get" { vec!["GET", "HEAD"] } else { vec![method.as_str()] };
            for (method, (scope, client)) in
                methods.iter().flat_map(|it| clients.iter().map(move |c| (it, c)))
            {
                let method: Method = method.to_uppercase().parse().expect("a method");
                let request = client.request(method.clone(), &path).body("{}");
                let request = request.header("content-type", "application/json");
                let answer = request.answered().await;
                let place = format!("{method} {path} as {scope:?}");
                let challenge =
                    answer.headers().get("www-authenticate").map(|it| it.to_str().expect("ASCII"));
                match (rank(scope) >= rank(needed), scope.is_empty()) {
                    (true, _) => {
                        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                        assert!(!refused.contains(&answer.status()), "{place}: {}", answer.status());
                    }
                    (false, true) => {
                        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{place}");
                        assert!(challenge.expect("a challenge").starts_with("Bearer realm="), "{place}");
                    }
                    (false, false) => {
                        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{place}");
                        let named = format!("error=\"insufficient_scope\", scope=\"{needed}\"");
                        assert!(challenge.expect("a challenge").ends_with(&named), "{place}");
                    }
                }
            }
        }
    }
    assert_eq!(seen, NEEDED.len());
    // The endpoint for agents is open to each role; its tools have scopes of their own.
    for (scope, client) in &clients {
        let answer = client.request(Method::POST, "/mcp").json(&json!({})).answered().await;
        let challenge = answer.headers().get("www-authenticate").map(|it| it.to_str().expect("ASCII"));
        match scope.is_empty() {
            true => {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
                assert!(challenge.expect("a challenge").starts_with("Bearer realm="));
            }
            false => assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{scope}: it is no message"),
        }
    }
    // What is described nowhere is closed, in every spelling; pages are open.
    for (path, status) in [
        ("/nowhere", StatusCode::UNAUTHORIZED),
        ("/api", StatusCode::UNAUTHORIZED),
        ("//api///tasks/", StatusCode::UNAUTHORIZED),
        ("/api/%74asks", StatusCode::UNAUTHORIZED),
        ("/API/tasks", StatusCode::UNAUTHORIZED),
        ("/", StatusCode::OK),
        ("/docs/", StatusCode::OK),
        ("/test_sse.html", StatusCode::OK),
        ("/openapi.json", StatusCode::OK),
        ("/favicon.ico", StatusCode::OK),
    ] {
        let answer = clients[0].1.request(Method::GET, path).answered().await;
        assert_eq!(answer.status(), status, "{path}");
        let answer = clients[0].1.request(Method::POST, path).answered().await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "POST {path}");
    }
    let answer = roles.write.post("/nowhere", json!({})).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (StatusCode::FORBIDDEN, Some("scope_missing")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_run_is_changed_with_exec_alone() {
    let roles = Roles::new().await;
    let with_script = json!({ "title": "t", "script": "true" });
    let refused = roles.write.post("/api/tasks", with_script.clone()).await;
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("scope_missing"))
    );
    assert!(refused.body["detail"].as_str().expect("words").contains("`exec`"), "{refused:?}");
    let id = roles.exec.create(with_script).await;
    let path = format!("/api/tasks/{id}");
    for script in [json!("rm -rf /"), json!("true"), json!(null)] {
        let patch = json!({ "script": script });
        let refused = roles.write.with_body(Method::PATCH, &path, patch.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{script}");
        assert_eq!(roles.exec.with_body(Method::PATCH, &path, patch).await.status, StatusCode::OK);
    }
    let patch = json!({ "title": "u", "description": "d" });
    assert_eq!(roles.write.with_body(Method::PATCH, &path, patch).await.status, StatusCode::OK);
    let without = json!({ "title": "t", "script": null });
    assert_eq!(roles.write.post("/api/tasks", without).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_token_ends_its_streams_and_no_others() {
    let roles = Roles::new().await;
    let id = roles.exec.create(json!({ "title": "t", "script": "echo here; sleep 30" })).await;
    roles.exec.post(&format!("/api/exec/{id}"), json!({})).await;
    let mut ended = vec![
        Stream::open(&roles.read, "").await,
        Stream::open(&roles.read, "?events=announcement").await,
        Stream::at(&roles.read, &format!("/api/exec/{id}/logs/stream"), "LogEvent", None).await,
    ];
    let ticket = roles.read.post("/api/events/tickets", json!({})).await.body["ticket"].clone();
    let ticket = ticket.as_str().expect("a ticket");
    let spare = roles.read.post("/api/events/tickets", json!({})).await.body["ticket"].clone();
    ended.push(Stream::open(&Client::new(roles.read.address), &format!("?ticket={ticket}")).await);
    let mut other = Stream::open(&roles.write, "").await;

    revoke(roles.hub.directory.path(), "reader");
    for stream in &mut ended {
        let rest = stream.rest().await;
        assert!(rest.iter().all(|it| it["event"] != "goodbye"), "nobody is asked back: {rest:?}");
    }
    until(&roles.read, StatusCode::UNAUTHORIZED).await;
    let spare = format!("/api/events/stream?ticket={}", spare.as_str().expect("a ticket"));
    assert_eq!(Client::new(roles.read.address).get(&spare).await.status, StatusCode::UNAUTHORIZED);
    roles.write.create(json!({ "title": "on" })).await;
    while other.next_event().await["data"]["title"] != "on" {}
    let status = roles.exec.get("/api/events/status?clients=true").await.body;
    // Some of the streams of before the first token may be among them.
    assert!(status["disconnects"]["revoked"].as_u64() >= Some(3), "{status}");
    roles.exec.post(&format!("/api/exec/{id}/stop"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_and_nothing_else() {
    let roles = Roles::new().await;
    let bare = Client::new(roles.read.address);
    let issue = || async {
        let answer = roles.read.send(roles.read.request(Method::POST, "/api/events/tickets")).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.body["ticket"].as_str().expect("a ticket").to_owned()
    };
    let ticket = issue().await;
    for (method, path) in [
        (Method::GET, "/api/tasks"),
        (Method::GET, "/api/events"),
        (Method::POST, "/api/tasks"),
        (Method::POST, "/api/events/tickets"),
    ] {
        let answer = bare.send(bare.request(method, &format!("{path}?ticket={ticket}"))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(bare.with_token(&ticket).get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    let path = format!("?ticket={ticket}&events=task_created");
    let mut stream = Stream::open(&bare, &path).await;
    let again = bare.get(&format!("/api/events/stream{path}")).await;
    assert_eq!(
        (again.status, again.body["code"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("token_invalid"))
    );
    roles.write.create(json!({ "title": "t" })).await;
    assert_eq!(stream.next().await["event"], "task_created");
    // In an address a token is no better than none.
    let secret = create(roles.hub.directory.path(), "lost", "exec");
    until(&bare.with_token(&secret), StatusCode::OK).await;
    let path = format!("/api/events/stream?ticket={secret}");
    assert_eq!(bare.get(&path).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_and_the_audit_log_name_who_caused_it() {
    let roles = Roles::new().await;
    let mut stream = Stream::open(&roles.read, "").await;
    let script = "curl -sf -X PUT \"$TASKHUB_URL/api/tasks/status/$TASKHUB_TASK_ID\" \
                  -H \"Authorization: Bearer $TASKHUB_TOKEN\" --json '{\"new_status\": \"review\"}'";
    let id = roles.exec.create(json!({ "title": "t", "script": script })).await;
    let own = create(roles.hub.directory.path(), "the script's", "write");
    until(&roles.read.with_token(&own), StatusCode::OK).await;
    roles.write.set_status(&id, "done").await;
    roles.write.post("/api/events/announcements", json!({ "level": "info", "message": "m" })).await;
    roles.exec.post(&format!("/api/exec/{id}"), json!({ "env": { "TASKHUB_TOKEN": own } })).await;
    roles.exec.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "completed").await;
    roles.exec.post(&format!("/api/exec/{id}"), json!({ "script_content": "sleep 30" })).await;
    roles.exec.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "running").await;
    let stopper = roles.read.with_token(&create(roles.hub.directory.path(), "stopper", "exec"));
    until(&stopper, StatusCode::OK).await;
    stopper.post(&format!("/api/exec/{id}/stop"), json!({})).await;
    roles.exec.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "stopped").await;
    let path = format!("/api/tasks/{id}");
    // It has a script.
    let refused = roles.write.send(roles.write.request(Method::DELETE, &path)).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("scope_missing")));
    roles.exec.with_body(Method::PATCH, &path, json!({ "script": null })).await;
    assert_eq!(roles.write.send(roles.write.request(Method::DELETE, &path)).await.status, 204);

    let mut told = Vec::new();
    while told.last() != Some(&("task_deleted".to_owned(), "writer".to_owned())) {
        let event = stream.next_event().await;
        let word = event["data"]["execution_event"].as_str().or(event["event"].as_str()).expect("a word");
        told.push((word.to_owned(), event["data"]["actor"].as_str().unwrap_or_default().to_owned()));
    }
    let expected = [
        ("task_created", "runner"),
        ("task_updated", "writer"),
        ("announcement", "writer"),
        ("task_updated", "runner"),
        ("started", "runner"),
        ("task_updated", "the script's"),
        ("completed", "runner"),
        ("task_updated", "runner"),
        ("started", "runner"),
        ("stopped", "stopper"),
        ("task_updated", "runner"),
        ("task_deleted", "writer"),
    ];
    assert_eq!(told, expected.map(|(word, actor)| (word.to_owned(), actor.to_owned())));

    let database =
        rusqlite::Connection::open(roles.hub.directory.path().join("taskhub.db")).expect("it opens");
    let mut statement = database
        .prepare("SELECT action, coalesce(actor, ''), coalesce(address, ''), subject FROM audit ORDER BY id")
        .expect("a table");
    let rows: Vec<[String; 4]> = statement
        .query_map((), |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows");
    let expected = [
        ["token_created", "", "", "reader"],
        ["token_created", "", "", "writer"],
        ["token_created", "", "", "runner"],
        ["token_created", "", "", "the script's"],
        ["execution_requested", "runner", "127.0.0.1", "taskhub-1"],
        ["execution_requested", "runner", "127.0.0.1", "taskhub-2"],
        ["token_created", "", "", "stopper"],
        ["execution_stop_requested", "stopper", "127.0.0.1", "taskhub-2"],
    ];
    assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
}

#[test]
fn tokens_are_kept_without_a_hub_and_told_apart_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let refused = command(&data, &["list"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("--data-dir"), "{told}");
    assert!(!data.exists(), "looking makes nothing");

    let first = create(&data, "ci", "read,write");
    for (arguments, words) in [
        (&["create", "--name", "ci", "--scope", "read"][..], "there is a token \"ci\" already"),
        (&["create", "--name", "a,b", "--scope", "read"], "commas"),
        (&["create", "--name", "x", "--scope", "admin"], "expected one of read, write, exec"),
        (&["create", "--name", "x", "--scope", "read", "--expires", "0d"], "90d"),
        (&["revoke", "nobody"], "there is no token \"nobody\""),
    ] {
        let refused = command(&data, arguments);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(words), "{arguments:?}: {told}");
        assert!(refused.stdout.is_empty());
    }
    revoke(&data, "ci");
    let second = create(&data, "ci", "exec");
    assert_ne!(first, second);
    let listed = command(&data, &["list"]);
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..2], ["ci", "read,write"]);
    assert_eq!((rows[1][4], rows[2][1], rows[2][4]), ("revoked", "read,write,exec", "good"));
    assert!(!listed.contains(&first) && !listed.contains(&second));
    // Rows are overwritten by nothing that would show them.
    let database = std::fs::read(data.join("taskhub.db")).expect("it is there");
    for secret in [first, second] {
        assert!(!database.windows(secret.len()).any(|it| it == secret.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_and_gives_its_name_up() {
    let hub = Hub::start().await;
    let arguments = ["create", "--name", "brief", "--scope", "read", "--expires", "2s"];
    let secret = String::from_utf8(command(hub.directory.path(), &arguments).stdout).expect("UTF-8");
    let holder = hub.client.with_token(secret.trim_end());
    known(&holder).await;
    let mut stream = Stream::open(&holder, "").await;
    assert_eq!(stream.rest().await, Vec::<Value>::new());
    assert_eq!(holder.get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    // The database knows it, so that a clock that is set back does not bring the token back after a restart.
    let database = rusqlite::Connection::open(hub.directory.path().join("taskhub.db")).expect("it opens");
    let is_marked = || database.query_row("SELECT revoked_at = expires_at FROM tokens", (), |row| row.get(0));
    while is_marked().ok() != Some(true) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    create(hub.directory.path(), "brief", "read");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_may_reach_a_hub_that_asks_for_tokens() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = create(directory.path(), "ci", "read");
    let mut hub = HubProcess::spawn(HubProcess::command(directory.path(), "0.0.0.0:0")).await;
    hub.client.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(hub.client.get("/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(hub.client.with_token(&secret).get("/api/tasks").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_a_shell_show_their_token() {
    let roles = Roles::new().await;
    let id = roles.exec.create(json!({ "title": "t", "script": "echo said" })).await;
    let secret = create(roles.hub.directory.path(), "shell", "exec");
    until(&roles.read.with_token(&secret), StatusCode::OK).await;
    let run = |variables: Vec<(&'static str, String)>, arguments: Vec<String>| {
        let url = format!("http://{}", roles.hub.client.address);
        let mut command = tokio::process::Command::new(BINARY);
        command.args(arguments).env_remove("TASKHUB_TOKEN").env("TASKHUB_URL", url).envs(variables);
        command.kill_on_drop(true);
        async move { tokio::time::timeout(DEADLINE, command.output()).await.expect("in time").expect("it ran") }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let output = run(vec![("TASKHUB_TOKEN", secret.clone())], words(&format!("exec {id} --follow"))).await;
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"said\n"[..]), "{output:?}");
    let output = run(vec![], words(&format!("logs {id} --token {secret}"))).await;
    assert_eq!(output.stdout, b"said\n");
    let output = run(vec![], words(&format!("logs {id}"))).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("asks for a token"), "{told}");
    let output = run(vec![("TASKHUB_TOKEN", secret.clone())], words("logs --help")).await;
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&secret));
}
