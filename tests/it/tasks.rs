//! Tasks over HTTP: what is answered, what is told to everybody, and what several clients at once get.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Hub};
use crate::sse::{Stream, seq};

pub fn path(id: &str) -> String {
    format!("/api/tasks/{id}")
}

async fn patch(client: &Client, id: &str, body: Value) -> Answer {
    client.with_body(Method::PATCH, &path(id), body).await
}

/// A patch on condition; each value is a header line of its own.
async fn patch_if(client: &Client, id: &str, if_match: &[&[u8]], body: Value) -> Answer {
    let mut request = client.request(Method::PATCH, &path(id)).json(&body);
    for value in if_match {
        request = request.header("If-Match", HeaderValue::from_bytes(value).expect("a header"));
    }
    client.send(request).await
}

async fn create_with_key(client: &Client, key: &[u8], body: Value) -> Answer {
    let key = HeaderValue::from_bytes(key).expect("a header");
    let name = HeaderName::from_static("idempotency-key");
    client.send(client.request(Method::POST, "/api/tasks").header(name, key).json(&body)).await
}

pub fn ids(tasks: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<_> = tasks.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids.len(), tasks.len(), "one came twice");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_created_read_changed_and_deleted() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut stream = Stream::open(client, "").await;
    let body = json!({
        "title": "a\r\nb\u{0}\u{2028}", "description": "# d", "status": "review", "priority": "low",
        "assignee": "Ada Lovelace", "tags": ["y", "x", "y"], "artifacts": ["b", "a"], "script": "true\n",
    });
    let created = client.post("/api/tasks", body.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let (id, task) = (created.id(), created.body.clone());
    assert_eq!((created.header("location"), created.header("etag")), (path(&id).as_str(), "\"1\""));
    assert_eq!(task["tags"], json!(["y", "x"]), "once each, in the order given");
    for (field, value) in body.as_object().expect("an object").iter().filter(|(name, _)| *name != "tags") {
        assert_eq!(task[field], *value, "{field}");
    }
    let read = client.get(created.header("location")).await;
    assert_eq!((&read.body, read.header("etag")), (&task, "\"1\""));

    let patched = patch(client, &id, json!({ "title": "new", "artifacts": ["c"] })).await;
    assert_eq!((patched.status, patched.header("etag")), (StatusCode::OK, "\"2\""));
    let mut expected = task.clone();
    (expected["title"], expected["artifacts"], expected["version"]) = (json!("new"), json!(["c"]), json!(2));
    expected["updated_at"] = patched.body["updated_at"].clone();
    assert_eq!(patched.body, expected);
    assert_eq!(client.get(&path(&id)).await.body, expected);

    let merge = client.request(Method::PATCH, &path(&id)).body(r#"{"title":"newer"}"#);
    let merged = client.send(merge.header("content-type", "application/merge-patch+json")).await;
    assert_eq!(merged.body["title"], "newer");

    let deleted = client.send(client.request(Method::DELETE, &path(&id))).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(client.send(client.request(method, &path(&id))).await.status, StatusCode::NOT_FOUND);
    }
    let told = ["task_created", "task_updated", "task_updated", "task_deleted"];
    for (number, word) in told.into_iter().enumerate() {
        let event = stream.next().await;
        assert_eq!((event["event"].as_str(), seq(&event["id"])), (Some(word), number as u64 + 1));
        assert_eq!(event["data"]["task_id"], id.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_patch_clears() {
    let hub = Hub::start().await;
    let full = json!({
        "title": "t", "description": "d", "priority": "high", "assignee": "ada", "tags": ["x"],
        "artifacts": ["a"], "script": "true",
    });
    let id = hub.client.create(full).await;
    let nulls = json!({
        "description": null, "priority": null, "assignee": null, "tags": null, "artifacts": null,
        "script": null,
    });
    let cleared = patch(&hub.client, &id, nulls.clone()).await;
    assert_eq!(cleared.status, StatusCode::OK);
    for (field, empty) in [
        ("description", json!("")),
        ("priority", json!(null)),
        ("assignee", json!(null)),
        ("tags", json!([])),
        ("artifacts", json!([])),
        ("script", json!(null)),
        ("title", json!("t")),
        ("version", json!(2)),
    ] {
        assert_eq!(cleared.body[field], empty, "{field}");
    }
    assert_eq!(patch(&hub.client, &id, nulls).await.body["version"], 2, "there is nothing left to clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_changes_nothing_bumps_nothing_and_emits_nothing() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let fields =
        json!({ "title": "t", "priority": "low", "assignee": "ada", "artifacts": ["a"], "tags": ["x"] });
    let id = client.create(fields.clone()).await;
    let before = client.get(&path(&id)).await.body;
    let mut stream = Stream::open(client, "").await;
    for same in [json!({}), fields, before_without_the_hubs_own(&before), json!({ "tags": ["x", "x"] })] {
        let answer = patch(client, &id, same).await;
        assert_eq!((&answer.body, answer.header("etag")), (&before, "\"1\""));
    }
    for same in [
        json!({ "new_status": "todo" }),
        json!({ "new_status": "todo", "priority": null, "assignee": null, "artifacts": null }),
        json!({ "new_status": "todo", "priority": "low", "assignee": "ada", "artifacts": ["a"] }),
    ] {
        let answer = client.with_body(Method::PUT, &format!("/api/tasks/status/{id}"), same).await;
        assert_eq!((&answer.body, answer.header("etag")), (&before, "\"1\""));
    }
    client.create(json!({ "title": "marker" })).await;
    let next = stream.next().await;
    assert_eq!((next["data"]["title"].as_str(), seq(&next["id"])), (Some("marker"), 2));
}

/// What of a task only the hub sets.
const HUBS_OWN: [&str; 10] = [
    "id",
    "project",
    "key",
    "ready",
    "lease",
    "attempts",
    "waiting_for",
    "version",
    "created_at",
    "updated_at",
];

/// What of a task a client may send back.
fn before_without_the_hubs_own(task: &Value) -> Value {
    let mut fields = task.as_object().expect("an object").clone();
    fields.retain(|name, _| !HUBS_OWN.contains(&name.as_str()));
    Value::Object(fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn task_updated_carries_the_whole_task_whichever_field_was_named() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let fields = json!({
        "title": "t", "priority": "high", "assignee": "ada", "artifacts": ["a"], "tags": ["x"],
        "script": "true", "description": "d",
    });
    let id = client.create(fields).await;
    let mut stream = Stream::open(client, "").await;
    client.set_status(&id, "review").await;
    patch(client, &id, json!({ "description": "other" })).await;
    patch(client, &id, json!({ "priority": null, "script": null, "title": "t" })).await;
    let names = [
        "task_id",
        "project",
        "key",
        "title",
        "status",
        "priority",
        "assignee",
        "tags",
        "artifacts",
        "blocked_by",
        "ready",
        "auto_start",
        "lease",
        "attempts",
        "attempts_max",
        "waiting_for",
        "version",
        "created_at",
        "changed",
        "reason",
        "actor",
    ];
    let changes =
        [("high", json!(["status"])), ("high", json!(["description"])), ("", json!(["priority", "script"]))];
    for (number, (priority, changed)) in changes.into_iter().enumerate() {
        let event = stream.next().await;
        assert_eq!(event["event"], "task_updated");
        let data = event["data"].as_object().expect("an object");
        assert_eq!(data.keys().collect::<Vec<_>>(), names);
        assert_eq!(data["priority"].as_str().unwrap_or_default(), priority);
        assert_eq!((&data["assignee"], &data["artifacts"]), (&json!("ada"), &json!(["a"])));
        assert_eq!((&data["status"], &data["version"]), (&json!("review"), &json!(number + 2)));
        assert_eq!(data["changed"], changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creates_at_once_give_a_hundred_ids_and_events_without_a_gap() {
    let hub = Hub::start().await;
    let mut stream = Stream::open(&hub.client, "").await;
    let creates = (0..100).map(|n| hub.client.create(json!({ "title": format!("{n}") })));
    let created: BTreeSet<_> = join_all(creates).await.into_iter().collect();
    assert_eq!(created.len(), 100);
    let mut told = BTreeSet::new();
    for number in 1..=100 {
        let event = stream.next().await;
        assert_eq!((event["event"].as_str(), seq(&event["id"])), (Some("task_created"), number));
        told.insert(event["data"]["task_id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(told, created);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updates_with_the_same_if_match_give_one_200_and_one_412() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "0" })).await;
    for version in 1..=20 {
        let tag = format!("\"{version}\"");
        let update = |who: &'static str| {
            let body = json!({ "title": format!("{who} {version}") });
            let (client, id, tag) = (hub.client.clone(), id.clone(), tag.clone());
            tokio::spawn(async move { patch_if(&client, &id, &[tag.as_bytes()], body).await })
        };
        let (one, other) = tokio::join!(update("one"), update("other"));
        let (one, other) = (one.expect("no panic"), other.expect("no panic"));
        let (won, lost) = if one.status == StatusCode::OK { (one, other) } else { (other, one) };
        assert_eq!((won.status, lost.status), (StatusCode::OK, StatusCode::PRECONDITION_FAILED));
        assert_eq!(lost.body["code"], "version_mismatch");
        assert_eq!(hub.client.get(&path(&id)).await.body, won.body);
        assert_eq!(won.body["version"], version + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_takes_a_star_and_lists_and_never_a_weak_or_foreign_tag() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let refused: [&[&[u8]]; 7] = [
        &[b"\"2\""],
        &[b"W/\"1\""],
        &[b"1"],
        &[b"\"0\", \"2\", W/\"1\""],
        &[b""],
        &[b"\"one\""],
        &[b"\"2\"", b"\"3\""],
    ];
    for tags in refused {
        let answer = patch_if(&hub.client, &id, tags, json!({ "title": "changed" })).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{tags:?}");
    }
    let odd = patch_if(&hub.client, &id, &[b"\"\xe9\""], json!({ "title": "changed" })).await;
    assert!(odd.status.is_client_error(), "a condition that does not read is none that holds");
    let delete = hub.client.request(Method::DELETE, &path(&id)).header("If-Match", "\"9\"");
    assert_eq!(hub.client.send(delete).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(hub.client.get(&path(&id)).await.body["version"], 1);

    let taken: [&[&[u8]]; 5] =
        [&[b"*"], &[b"\"7\", \"2\""], &[b"\"3\",W/\"9\""], &[b"\"9\"", b"\"4\""], &[b" \"5\" "]];
    for (round, tags) in taken.into_iter().enumerate() {
        let answer = patch_if(&hub.client, &id, tags, json!({ "title": format!("{round}") })).await;
        assert_eq!(answer.status, StatusCode::OK, "{tags:?}");
    }
    let gone = patch_if(&hub.client, "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e", &[b"\"1\""], json!({})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_idempotency_key_creates_once_and_another_body_is_refused() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut stream = Stream::open(client, "").await;
    let body = json!({ "title": "once", "tags": ["x"] });
    let first = create_with_key(client, b"my key", body.clone()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, "false"));
    client.set_status(&first.id(), "done").await;
    let again = create_with_key(client, b"my key", body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(again.body, first.body, "what the first one was answered");
    assert_eq!(again.header("location"), first.header("location"));
    let other = create_with_key(client, b"my key", json!({ "title": "twice" })).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.body["code"], "idempotency_key_reused");
    for unusable in [&b"\xe9"[..], b"", b"  ", &[b'k'; 256]] {
        let answer = create_with_key(client, unusable, json!({ "title": "t" })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{unusable:?}");
    }
    let longest = create_with_key(client, &[b'k'; 255], json!({ "title": "t" })).await;
    assert_eq!(longest.status, StatusCode::CREATED);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(stream.next().await["event"].as_str().expect("a word").to_owned());
    }
    assert_eq!(told, ["task_created", "task_updated", "task_created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_twenty_times_at_once_creates_one_task() {
    let hub = Hub::start().await;
    let creates = (0..20).map(|_| create_with_key(&hub.client, b"k", json!({ "title": "t" })));
    let answers = join_all(creates).await;
    assert!(answers.iter().all(|it| it.status == StatusCode::CREATED && it.body == answers[0].body));
    let fresh = answers.iter().filter(|it| it.header("idempotency-replayed") == "false");
    assert_eq!(fresh.count(), 1);
    assert_eq!(hub.client.get("/api/tasks").await.body.as_array().map(Vec::len), Some(1));
    assert_eq!(hub.client.get("/api/events").await.body.as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_report_in_the_query_works_as_one_in_the_body() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t", "priority": "low", "assignee": "ada" })).await;
    let reports = [
        ("new_status=inprogress", json!(["inprogress", "low", "ada", []])),
        ("new_status=review&priority=high&assignee=Bo%20B", json!(["review", "high", "Bo B", []])),
        (
            "new_status=done&artifacts=a.txt,b%20c&artifacts=d",
            json!(["done", "high", "Bo B", ["a.txt", "b c", "d"]]),
        ),
    ];
    for (slash, (query, expected)) in ["", "/", ""].into_iter().zip(reports) {
        let address = format!("/api/tasks/status/{id}{slash}?{query}");
        let answer = hub.client.send(hub.client.request(Method::PUT, &address)).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
        let task = answer.body;
        let fields = json!([task["status"], task["priority"], task["assignee"], task["artifacts"]]);
        assert_eq!(fields, expected, "{query}");
    }
    for wrong in ["new_status=nope", "priority=high", "new_status=todo&artifacts=", ""] {
        let address = format!("/api/tasks/status/{id}?{wrong}");
        let answer = hub.client.send(hub.client.request(Method::PUT, &address)).await;
        assert!(answer.status.is_client_error(), "{wrong}: {answer:?}");
    }
    let body = json!({ "new_status": "todo" });
    let address = format!("/api/tasks/status/{id}?new_status=review");
    let both = hub.client.with_body(Method::PUT, &address, body).await;
    assert_eq!((&both.body["status"], &both.body["version"]), (&json!("todo"), &json!(5)), "the body counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_not_deleted_while_it_is_executed() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t", "script": "exec sleep 60" })).await;
    let execution = format!("/api/exec/{id}");
    let started = hub.client.send(hub.client.request(Method::POST, &execution)).await;
    assert_eq!(started.status, StatusCode::OK);
    let delete = || hub.client.request(Method::DELETE, &path(&id));
    let refused = hub.client.send(delete()).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("execution_live")));
    assert_eq!(hub.client.get(&path(&id)).await.body["status"], "inprogress");

    let stop = hub.client.request(Method::POST, &format!("{execution}/stop"));
    assert_eq!(hub.client.send(stop).await.status, StatusCode::OK);
    hub.client.wait_for(&execution, |it| it["status"] == "stopped").await;
    assert_eq!(hub.client.send(delete()).await.status, StatusCode::NO_CONTENT);
}
