//! Waiting that cannot miss: cursors of writes, reads that are not older, and waiting for something to become true.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Hub};
use crate::sse::seq;

async fn wait(client: &Client, id: &str, query: &str) -> Answer {
    client.get(&format!("/api/tasks/{id}/wait?{query}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_answers_the_place_of_its_event() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let project = client.post("/api/projects", json!({ "project": "web" })).await;
    let created =
        client.post("/api/tasks", json!({ "title": "t", "project": "web", "script": "true" })).await;
    let id = created.id();
    let patched = client.with_body(Method::PATCH, &format!("/api/tasks/{id}"), json!({ "title": "u" })).await;
    let claimed = client.post("/api/tasks/claim", json!({ "worker": "w" })).await;
    let lease = claimed.body["lease"]["id"].as_str().expect("a lease").to_owned();
    let renewed = client.with_body(Method::PUT, &format!("/api/leases/{lease}"), json!({})).await;
    let returned = client.send(client.request(Method::DELETE, &format!("/api/leases/{lease}"))).await;
    let reported = client.set_status(&id, "done").await;
    let announced =
        client.post("/api/events/announcements", json!({ "level": "info", "message": "m" })).await;
    let deleted = client.send(client.request(Method::DELETE, &format!("/api/tasks/{id}"))).await;
    let places = [project, created, patched, claimed, renewed, returned, reported, announced, deleted]
        .map(|answer| seq(&json!(answer.header("taskhub-cursor"))));
    // A claim and the return of a lease are two events each; a quiet renewal is none.
    assert_eq!(places, [1, 2, 3, 5, 5, 7, 8, 9, 10]);
    let batch = client
        .post("/api/tasks/batch", json!({ "operations": [{ "action": "create", "task": { "title": "t" } }] }))
        .await;
    assert_eq!(seq(&json!(batch.header("taskhub-cursor"))), 11);
    let started = client.create(json!({ "title": "t", "script": "true" })).await;
    let started = client.post(&format!("/api/exec/{started}"), json!({})).await;
    assert!(seq(&json!(started.header("taskhub-cursor"))) >= 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_not_older_than_it_is_asked_to_be() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let created = client.post("/api/tasks", json!({ "title": "t" })).await;
    let (id, cursor) = (created.id(), created.header("taskhub-cursor"));
    let ahead = format!("{}-99", cursor.split_once('-').expect("a cursor").0);
    for path in ["/api/tasks".to_owned(), format!("/api/tasks/{id}"), format!("/api/tasks/{id}/why")] {
        let read = async |cursor: &str| client.get(&format!("{path}?min_cursor={cursor}")).await;
        let answer = read(cursor).await;
        assert_eq!((answer.status, answer.header("taskhub-cursor")), (StatusCode::OK, cursor), "{path}");
        for other in [&ahead, "00000000-1"] {
            let answer = read(other).await;
            assert_eq!((answer.status, &answer.body["field"]), (StatusCode::GONE, &json!("min_cursor")));
        }
        assert_eq!(read("x").await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_true_is_answered_at_once_and_what_becomes_true_when_it_does() {
    let hub = Hub::start().await;
    let client = hub.client.clone();
    let blocker = client.create(json!({ "title": "b" })).await;
    let id = client.create(json!({ "title": "t", "blocked_by": [blocker] })).await;
    let now = wait(&client, &id, "until=status:todo,done&seconds=60").await;
    assert_eq!((&now.body["met"], &now.body["task"]["status"]), (&json!(true), &json!("todo")));
    let late = wait(&client, &id, "until=ready&seconds=0").await;
    assert_eq!((late.status, &late.body["met"]), (StatusCode::OK, &json!(false)));

    let waits = ["ready", "status:done,review", "execution:ended"].map(|until| {
        let (client, id) = (client.clone(), id.clone());
        let cursor = late.header("taskhub-cursor").to_owned();
        tokio::spawn(async move {
            wait(&client, &id, &format!("until={until}&seconds=60&after={cursor}")).await.body
        })
    });
    // They may have asked or not: neither misses anything.
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.set_status(&blocker, "done").await;
    client.post(&format!("/api/exec/{id}"), json!({ "script_content": "true" })).await;
    for waiting in waits {
        let body: Value = waiting.await.expect("no panic");
        assert_eq!(body["met"], true, "{body}");
    }
    assert_eq!(wait(&client, &id, "until=execution:ended").await.body["met"], true);
    assert_eq!(wait(&client, &id, "until=question:answered").await.body["met"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_true_for_a_moment_is_not_missed() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let created = client.post("/api/tasks", json!({ "title": "t" })).await;
    let (id, before) = (created.id(), created.header("taskhub-cursor").to_owned());
    client.set_status(&id, "done").await;
    let after = client.set_status(&id, "review").await.header("taskhub-cursor").to_owned();
    let found = wait(client, &id, &format!("until=status:done&after={before}")).await;
    assert_eq!((&found.body["met"], &found.body["task"]["status"]), (&json!(true), &json!("review")));
    let missed = wait(client, &id, &format!("until=status:done&after={after}")).await;
    assert_eq!(missed.body["met"], false);
    assert_eq!(wait(client, &id, "until=status:done").await.body["met"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_when_none_is_open() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let created = client.post("/api/tasks", json!({ "title": "t" })).await;
    let (id, before) = (created.id(), created.header("taskhub-cursor").to_owned());
    let mut questions = Vec::new();
    for text in ["one?", "two?"] {
        questions
            .push(client.post(&format!("/api/tasks/{id}/questions"), json!({ "text": text })).await.id());
    }
    let query = format!("until=question:answered&after={before}");
    for (question, met) in questions.iter().zip([false, true]) {
        assert_eq!(wait(client, &id, &query).await.body["met"], false, "one is open");
        let path = format!("/api/questions/{question}/answer");
        client.with_body(Method::PUT, &path, json!({ "answer": "yes" })).await;
        assert_eq!(wait(client, &id, &query).await.body["met"], met);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_does_not_hold_up_the_end() {
    let hub = Hub::start().await;
    let client = hub.client.clone();
    let created = client.post("/api/tasks", json!({ "title": "t" })).await;
    let (id, before) = (created.id(), created.header("taskhub-cursor").to_owned());
    client.create(json!({ "title": "later" })).await;
    let waiting = tokio::spawn(async move {
        wait(&client, &id, &format!("until=status:done&seconds=60&after={before}")).await.body
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::timeout(Duration::from_secs(8), hub.stop()).await.expect("it ends in time");
    assert_eq!(waiting.await.expect("no panic")["met"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_its_task_and_refuses_what_it_cannot_wait_for() {
    let hub = Hub::start().await;
    let client = hub.client.clone();
    let id = client.create(json!({ "title": "t" })).await;
    for (query, status, field) in [
        ("until=done", StatusCode::BAD_REQUEST, "until"),
        ("until=status:doing", StatusCode::BAD_REQUEST, "until"),
        ("until=ready&seconds=61", StatusCode::BAD_REQUEST, "seconds"),
        ("until=status:done&after=00000000-1", StatusCode::GONE, "after"),
    ] {
        let refused = wait(&client, &id, query).await;
        assert_eq!((refused.status, &refused.body["field"]), (status, &json!(field)), "{query}");
    }
    let nobody = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
    assert_eq!(wait(&client, nobody, "until=ready").await.status, StatusCode::NOT_FOUND);
    let waiting = {
        let (client, id) = (client.clone(), id.clone());
        tokio::spawn(async move { wait(&client, &id, "until=status:done&seconds=60").await.status })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send(client.request(Method::DELETE, &format!("/api/tasks/{id}"))).await;
    assert_eq!(waiting.await.expect("no panic"), StatusCode::NOT_FOUND);
}
