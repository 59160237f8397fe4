//! Questions: asked once, answered once, waited for without asking again, and kept across a killed hub.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::comments::{history, post_once};
use crate::harness::{Answer, BINARY, Client, DEADLINE, Hub, HubProcess, all_pages};

async fn ask(client: &Client, task: &str, body: Value) -> Answer {
    let answer = client.post(&format!("/api/tasks/{task}/questions"), body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer
}

async fn answer(client: &Client, question: &str, text: &str) -> Answer {
    let path = format!("/api/questions/{question}/answer");
    client.with_body(Method::PUT, &path, json!({ "answer": text })).await
}

/// The kinds of the events about a task, the oldest first.
async fn kinds(client: &Client, task: &str) -> Vec<String> {
    history(client, task).await.into_iter().map(|(kind, _)| kind).collect()
}

/// Waits until a question has the status.
async fn until(client: &Client, question: &str, status: &str) -> Value {
    client.wait_for(&format!("/api/questions/{question}"), |it| it["status"] == status).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_shown_and_answered_once() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let asked = ask(&hub.client, &task, json!({ "text": "Deploy?", "options": ["yes", "no"] })).await;
    let id = asked.id();
    assert_eq!(asked.header("location"), format!("/api/questions/{id}"));
    assert_eq!((&asked.body["status"], &asked.body["answer"]), (&json!("open"), &Value::Null));
    let task_path = format!("/api/tasks/{task}");
    assert_eq!(hub.client.get(&task_path).await.body["waiting_for"], json!([id]));
    assert_eq!(hub.client.get("/api/questions?open=true").await.body, json!([asked.body]));

    let odd = answer(&hub.client, &id, "maybe").await;
    assert_eq!((odd.status, &odd.body["field"]), (StatusCode::BAD_REQUEST, &json!("answer")));
    let first = answer(&hub.client, &id, "yes").await;
    assert_eq!((first.status, &first.body["answer"]), (StatusCode::OK, &json!("yes")));
    for text in ["no", "maybe"] {
        let second = answer(&hub.client, &id, text).await;
        assert_eq!(
            (second.status, &second.body["code"]),
            (StatusCode::CONFLICT, &json!("question_answered"))
        );
        assert!(second.body["detail"].as_str().expect("words").contains("\"yes\""), "{second:?}");
    }
    assert_eq!(hub.client.get(&format!("/api/questions/{id}")).await.body, first.body);
    assert_eq!(hub.client.get(&task_path).await.body["waiting_for"], json!([]));
    assert_eq!(hub.client.get("/api/questions?open=true").await.body, json!([]));
    assert_eq!(hub.client.get("/api/questions?open=false").await.body, json!([first.body]));

    let told = history(&hub.client, &task).await;
    let order: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = ["task_created", "question_asked", "task_updated", "question_answered", "task_updated"];
    assert_eq!(order, expected);
    let data = |answer: Value| {
        json!({
            "task_id": task, "question_id": id, "text": "Deploy?", "options": ["yes", "no"], "deadline": null,
            "answer": answer, "by": null, "actor": null,
        })
    };
    assert_eq!((&told[1].1, &told[3].1), (&data(Value::Null), &data(json!("yes"))));
    assert_eq!((&told[2].1["changed"], &told[2].1["waiting_for"]), (&json!(["waiting_for"]), &json!([id])));
    assert_eq!(told[4].1["waiting_for"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_is_refused() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{task}/questions");
    let many: Vec<_> = (0..21).map(|number| number.to_string()).collect();
    for (body, field) in [
        (json!({}), "text"),
        (json!({ "text": " " }), "text"),
        (json!({ "text": "é".repeat(2001) }), "text"),
        (json!({ "text": "?", "options": many }), "options"),
        (json!({ "text": "?", "options": ["a", "b", "a"] }), "options[2]"),
        (json!({ "text": "?", "options": ["x".repeat(201)] }), "options[0]"),
        (json!({ "text": "?", "options": ["a"], "default": "b" }), "default"),
        (json!({ "text": "?", "deadline_seconds": 0 }), "deadline_seconds"),
        (json!({ "text": "?", "deadline_seconds": 2_592_001 }), "deadline_seconds"),
    ] {
        let answer = hub.client.post(&path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.body["field"], field, "{body}: {answer:?}");
    }
    let nobody = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0f";
    let nowhere = hub.client.post(&format!("/api/tasks/{nobody}/questions"), json!({ "text": "?" })).await;
    assert_eq!(nowhere.body["code"], "task_not_found");
    for missing in [
        hub.client.get(&format!("/api/questions/{nobody}?wait=60")).await,
        answer(&hub.client, nobody, "x").await,
    ] {
        assert_eq!(
            (missing.status, &missing.body["code"]),
            (StatusCode::NOT_FOUND, &json!("question_not_found"))
        );
    }
    assert_eq!(kinds(&hub.client, &task).await, ["task_created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_a_hundred_open_questions_and_lists_lead_through_all() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let other = hub.client.create(json!({ "title": "other" })).await;
    ask(&hub.client, &other, json!({ "text": "?" })).await;
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(ask(&hub.client, &task, json!({ "text": format!("{number}?") })).await.id());
    }
    let more = hub.client.post(&format!("/api/tasks/{task}/questions"), json!({ "text": "?" })).await;
    assert_eq!((more.status, &more.body["code"]), (StatusCode::CONFLICT, &json!("limit_reached")));
    let found = all_pages(&hub.client, format!("/api/questions?open=true&task_id={task}&limit=30")).await;
    assert_eq!(found.iter().map(|it| it["id"].as_str().expect("an id")).collect::<Vec<_>>(), ids);
    assert_eq!(all_pages(&hub.client, "/api/questions?limit=60".into()).await.len(), 101);
    assert_eq!(answer(&hub.client, &ids[0], "any text").await.status, StatusCode::OK);
    ask(&hub.client, &task, json!({ "text": "one more?" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_asks_once_and_answers_how_it_stands() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{task}/questions");
    let body = json!({ "text": "?" });
    let first = post_once(&hub.client, &path, "k", &body).await;
    assert_eq!(first.header("idempotency-replayed"), "false");
    answer(&hub.client, &first.id(), "yes").await;
    let hub = hub.restart().await;
    let again = post_once(&hub.client, &path, "k", &body).await;
    assert_eq!((again.id(), again.header("idempotency-replayed")), (first.id(), "true"));
    assert_eq!(again.body["answer"], "yes");
    let other = post_once(&hub.client, &path, "k", &json!({ "text": "other?" })).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_question_with_its_default_or_without_an_answer() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    // The later deadline is asked first: the earlier one has to come in front of it.
    let late = ask(&hub.client, &task, json!({ "text": "late?", "deadline_seconds": 3600 })).await;
    let with = json!({ "text": "a?", "options": ["yes", "no"], "default": "no", "deadline_seconds": 1 });
    let with = ask(&hub.client, &task, with).await;
    let without = ask(&hub.client, &task, json!({ "text": "b?", "deadline_seconds": 1 })).await;
    let waited = hub.client.get(&format!("/api/questions/{}?wait=60", with.id())).await.body;
    assert_eq!((&waited["status"], &waited["answer"]), (&json!("expired"), &json!("no")));
    assert_eq!(waited["answered_by"], Value::Null);
    assert!(waited["ended_at"].as_str() >= waited["deadline_at"].as_str(), "{waited}");
    let ended = until(&hub.client, &without.id(), "expired").await;
    assert_eq!(ended["answer"], Value::Null);
    assert_eq!(until(&hub.client, &late.id(), "open").await, late.body);

    let late_answer = answer(&hub.client, &with.id(), "yes").await;
    assert_eq!(late_answer.status, StatusCode::CONFLICT);
    assert!(
        late_answer.body["detail"].as_str().expect("words").contains("default \"no\""),
        "{late_answer:?}"
    );
    let told = history(&hub.client, &task).await;
    let expired: Vec<_> = told.iter().filter(|(kind, _)| kind == "question_expired").collect();
    assert_eq!(
        expired.iter().map(|(_, data)| &data["answer"]).collect::<Vec<_>>(),
        [&json!("no"), &Value::Null]
    );
    assert_eq!(told.last().map(|(_, data)| &data["waiting_for"]), Some(&json!([late.id()])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passed_without_a_hub_holds_as_soon_as_it_is_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let soon = ask(&hub.client, &task, json!({ "text": "?", "default": "go", "deadline_seconds": 1 })).await;
    let open = ask(&hub.client, &task, json!({ "text": "open?" })).await;
    hub.kill();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let hub = HubProcess::start(directory.path(), &[]).await;
    assert_eq!(until(&hub.client, &soon.id(), "expired").await["answer"], "go");
    assert_eq!(until(&hub.client, &open.id(), "open").await, open.body);
    assert_eq!(hub.client.get(&format!("/api/tasks/{task}")).await.body["waiting_for"], json!([open.id()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_forward_is_followed() {
    let ahead = Arc::new(AtomicI64::new(0));
    let shared = ahead.clone();
    let hub = Hub::tuned(&[], move |config| config.store.clock_ahead_ms = shared.clone()).await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let far = ask(&hub.client, &task, json!({ "text": "?", "deadline_seconds": 86_400 })).await;
    ahead.store(86_400_000, Relaxed);
    // Any question makes the hub look at the clock; without one it looks once a minute.
    ask(&hub.client, &task, json!({ "text": "other?" })).await;
    until(&hub.client, &far.id(), "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_woken_by_the_answer_and_nobody_else() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let [one, two] = [
        ask(&hub.client, &task, json!({ "text": "one?" })).await.id(),
        ask(&hub.client, &task, json!({ "text": "two?" })).await.id(),
    ];
    let begun = Instant::now();
    let wait = |id: String, seconds: u32| {
        let client = hub.client.clone();
        tokio::spawn(async move { client.get(&format!("/api/questions/{id}?wait={seconds}")).await.body })
    };
    let (first, second, third) = (wait(one.clone(), 60), wait(one.clone(), 60), wait(two, 1));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!first.is_finished() && !second.is_finished());
    answer(&hub.client, &one, "yes").await;
    for waiting in [first, second] {
        assert_eq!(waiting.await.expect("no panic")["answer"], "yes");
    }
    assert_eq!(third.await.expect("no panic")["status"], "open");
    assert!(begun.elapsed() < DEADLINE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ends_lets_those_who_wait_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &[]).await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let id = ask(&hub.client, &task, json!({ "text": "?" })).await.id();
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.get(&format!("/api/questions/{id}?wait=60")).await.body });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    assert_eq!(waiting.await.expect("no panic")["status"], "open");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_task_takes_its_questions_along() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let answered = ask(&hub.client, &task, json!({ "text": "a?" })).await.id();
    answer(&hub.client, &answered, "yes").await;
    let open =
        ask(&hub.client, &task, json!({ "text": "b?", "default": "x", "deadline_seconds": 60 })).await.id();
    let client = hub.client.clone();
    let path = format!("/api/questions/{open}?wait=60");
    let waiting = tokio::spawn(async move { client.get(&path).await.status });
    tokio::time::sleep(Duration::from_millis(100)).await;
    hub.client.send(hub.client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;
    assert_eq!(waiting.await.expect("no panic"), StatusCode::NOT_FOUND);
    assert_eq!(hub.client.get("/api/questions").await.body, json!([]));
    let told = history(&hub.client, &task).await;
    let [.., (expired, data), (deleted, _)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((expired.as_str(), deleted.as_str()), ("question_expired", "task_deleted"));
    assert_eq!((&data["question_id"], &data["answer"]), (&json!(open), &Value::Null));
}

/// `taskhub ask` with the hub at an address.
fn asking(hub: &Client, task: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command.arg("ask").args(arguments).env("TASKHUB_URL", format!("http://{}", hub.address));
    command.env("TASKHUB_TASK_ID", task).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary runs")
}

/// Its exit code, and what it has printed.
async fn ended(asking: Child) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(DEADLINE, asking.wait_with_output()).await.expect("in time");
    let output = output.expect("it has ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The only open question, as soon as there is one.
async fn only_open(client: &Client) -> String {
    let list =
        client.wait_for("/api/questions?open=true", |it| it.as_array().is_some_and(|it| it.len() == 1)).await;
    list[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_the_answer_or_the_default_or_ends_with_124() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    let child = asking(&hub.client, &task, &["Deploy?", "--option", "yes", "--option", "no"]);
    let id = only_open(&hub.client).await;
    answer(&hub.client, &id, "yes").await;
    assert_eq!(ended(child).await, (Some(0), "yes\n".into(), String::new()));

    let child = asking(&hub.client, &task, &["Go?", "--default", "go", "--deadline-seconds", "1"]);
    assert_eq!(ended(child).await, (Some(0), "go\n".into(), String::new()));

    let (code, printed, said) = ended(asking(&hub.client, &task, &["Go?", "--deadline-seconds", "1"])).await;
    assert_eq!((code, printed.as_str()), (Some(124), ""));
    assert!(said.contains("nobody has answered"), "{said}");

    let (code, _, said) =
        ended(asking(&hub.client, &task, &["Go?", "--option", "a", "--default", "b"])).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("default: must be one of \"a\""), "{said}");
}

/// Starts a hub at the address of an earlier one.
async fn again(directory: &Path, earlier: &Client) -> HubProcess {
    HubProcess::spawn(HubProcess::command(directory, &earlier.address.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_asks_and_goes_on_after_the_hub_was_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let script = format!("answer=$({BINARY} ask 'Deploy?' --option yes --option no) && echo \"got $answer\"");
    let task = hub.client.create(json!({ "title": "t", "script": script })).await;
    hub.client.post(&format!("/api/exec/{task}"), json!({})).await;
    let id = only_open(&hub.client).await;
    hub.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let hub = again(directory.path(), &hub.client).await;
    // Asked once, although the hub was killed.
    assert_eq!(only_open(&hub.client).await, id);
    answer(&hub.client, &id, "yes").await;
    let ended = |it: &Value| !it["ended_at"].is_null();
    let execution = hub.client.wait_for(&format!("/api/exec/{task}"), ended).await;
    assert_eq!(execution["status"], "completed", "{execution}");
    let log = std::fs::read_to_string(directory.path().join("logs/task-1.log")).expect("the log");
    assert!(log.ends_with("got yes\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_finds_no_hub_is_asked_when_there_is_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start(directory.path(), &[]).await;
    let task = hub.client.create(json!({ "title": "t" })).await;
    hub.kill();
    let child = asking(&hub.client, &task, &["Deploy?"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let hub = again(directory.path(), &hub.client).await;
    let id = only_open(&hub.client).await;
    answer(&hub.client, &id, "any text").await;
    let (code, printed, said) = ended(child).await;
    assert_eq!((code, printed.as_str()), (Some(0), "any text\n"));
    assert!(said.contains("the hub is away"), "{said}");
}
