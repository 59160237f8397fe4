//! A lease from its claim to its end.

use std::time::SystemTime;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Hub};
use crate::sse::Stream;

use super::{LEASE, claim, claimed, claims_in_vain, history, phases, report, text};

async fn lease(client: &Client, method: Method, lease: &str) -> Answer {
    client.send(client.request(method, &format!("/api/leases/{lease}"))).await
}

async fn renew(client: &Client, lease: &str, body: Value) -> Answer {
    client.with_body(Method::PUT, &format!("/api/leases/{lease}"), body).await
}

/// A task that is claimed: its id and the lease's.
async fn held(client: &Client, worker: &str, seconds: u32) -> (String, String) {
    let task = client.create(json!({ "title": worker })).await;
    let body = json!({ "worker": worker, "lease_seconds": seconds });
    let claimed = claimed(client, body).await;
    assert_eq!(text(&claimed, "/id"), task);
    (task, text(&claimed, "/lease/id").to_owned())
}

fn assert_lost(answer: &Answer) {
    assert_eq!((answer.status, text(&answer.body, "/code")), (StatusCode::CONFLICT, "lease_lost"));
}

async fn assert_over(client: &Client, id: &str) {
    assert_eq!(lease(client, Method::GET, id).await.status, StatusCode::NOT_FOUND);
    assert_lost(&renew(client, id, json!({})).await);
    assert_lost(&lease(client, Method::DELETE, id).await);
}

async fn head(client: &Client) -> String {
    text(&client.get("/api/events/status").await.body, "/head").to_owned()
}

fn milliseconds(time: &str) -> i64 {
    let time: taskhub::domain::clock::Timestamp = time.parse().expect("a time");
    time.ms()
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("a time of ours")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_told_to_nobody_unless_it_is_announced() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, id) = held(client, "w", 60).await;
    let (first, before) = (lease(client, Method::GET, &id).await.body, head(client).await);
    let renewed = renew(client, &id, json!({ "lease_seconds": 600 })).await;
    assert_eq!((renewed.status, text(&renewed.body, "/id")), (StatusCode::OK, id.as_str()));
    let gained = milliseconds(text(&renewed.body, "/expires_at")) - milliseconds(text(&first, "/expires_at"));
    assert!((540_000..600_000).contains(&gained), "{gained}");
    assert_eq!(lease(client, Method::GET, &id).await.body, renewed.body);
    assert_eq!(client.get(&format!("/api/tasks/{task}/why")).await.body["lease"], renewed.body);
    assert_eq!(head(client).await, before);

    let announced = renew(client, &id, json!({ "announce": true })).await;
    let gained =
        milliseconds(text(&announced.body, "/expires_at")) - milliseconds(text(&renewed.body, "/expires_at"));
    assert!((0..20_000).contains(&gained), "as long as it was renewed last: {gained}");
    let history = history(client, &task).await;
    assert_eq!(phases(&history), ["claimed", "renewed"]);
    let [.., updated, told] = history.as_slice() else { panic!("{history:?}") };
    assert_eq!(updated["data"]["changed"], json!(["lease"]));
    assert_eq!(updated["data"]["lease"], announced.body);
    assert_eq!(told["data"]["expires_at"], announced.body["expires_at"]);
    for odd in [json!({ "lease_seconds": 4 }), json!({ "lease_seconds": 3601 })] {
        assert_eq!(renew(client, &id, odd).await.status, StatusCode::BAD_REQUEST);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_given_back_is_there_for_the_next_one() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, first) = held(client, "ada", 60).await;
    assert_eq!(lease(client, Method::DELETE, &first).await.status, StatusCode::NO_CONTENT);
    assert_over(client, &first).await;
    let (_, second) = {
        let again = claimed(client, json!({ "worker": "bob" })).await;
        assert_eq!((text(&again, "/id"), &again["lease"]["number"]), (task.as_str(), &json!(2)));
        (task.clone(), text(&again, "/lease/id").to_owned())
    };
    // A report of `todo` does the same.
    let reported = report(client, &task, &second, "todo").await;
    assert_eq!(reported.status, StatusCode::OK);
    assert_eq!((&reported.body["assignee"], &reported.body["ready"]), (&Value::Null, &json!(true)));
    assert_over(client, &second).await;
    let history = history(client, &task).await;
    assert_eq!(phases(&history), ["claimed", "returned", "claimed", "returned"]);
    let changed = json!(["status", "assignee", "ready", "lease"]);
    assert_eq!(history[3]["data"]["changed"], changed);
    assert_eq!(history[3]["data"]["attempts"], 0, "nothing has failed");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_under_a_lease_are_taken_until_one_ends_it() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, id) = held(client, "w", 60).await;
    let request = client.request(Method::PATCH, &format!("/api/tasks/{task}"));
    let patched = client.send(request.header(LEASE, &id).json(&json!({ "artifacts": ["a"] }))).await;
    assert_eq!((patched.status, text(&patched.body, "/lease/id")), (StatusCode::OK, id.as_str()));
    assert_eq!(report(client, &task, &id, "inprogress").await.body["version"], patched.body["version"]);

    let done = report(client, &task, &id, "done").await;
    assert_eq!((done.status, &done.body["lease"]), (StatusCode::OK, &Value::Null));
    assert_eq!(text(&done.body, "/assignee"), "w", "who has done it");
    let after = head(client).await;
    // The answer was lost: the same report is answered the same, and any other one is too late.
    for _ in 0..2 {
        assert_eq!(report(client, &task, &id, "done").await.body, done.body);
    }
    assert_lost(&report(client, &task, &id, "review").await);
    // The task has gone on since.
    assert_eq!(client.set_status(&task, "review").await.status, StatusCode::OK);
    assert_eq!(report(client, &task, &id, "done").await.body, done.body);
    assert_eq!(client.get(&format!("/api/tasks/{task}")).await.body["status"], "review");
    assert_ne!(head(client).await, after);
    assert_eq!(phases(&history(client, &task).await), ["claimed"], "its worker's report ends it");
    assert_over(client, &id).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_under_a_lease_that_is_not_the_tasks_changes_nothing() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, old) = held(client, "old", 60).await;
    assert_eq!(lease(client, Method::DELETE, &old).await.status, StatusCode::NO_CONTENT);
    claimed(client, json!({ "worker": "new" })).await;
    let (_, foreign) = held(client, "foreign", 60).await;
    let (before, at) = (client.get(&format!("/api/tasks/{task}")).await.body, head(client).await);
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for lost in [old.as_str(), foreign.as_str(), unknown] {
        for status in ["done", "inprogress", "todo"] {
            assert_lost(&report(client, &task, lost, status).await);
        }
        let request = client.request(Method::PATCH, &format!("/api/tasks/{task}"));
        assert_lost(&client.send(request.header(LEASE, lost).json(&json!({ "title": "no" }))).await);
    }
    let odd = report(client, &task, "no-lease", "done").await;
    assert_eq!((odd.status, text(&odd.body, "/code")), (StatusCode::BAD_REQUEST, "invalid_parameter"));
    assert_eq!(client.get(&format!("/api/tasks/{task}")).await.body, before);
    assert_eq!(head(client).await, at);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_a_claimed_task_another_status_or_assignee_takes_it_away() {
    let hub = Hub::start().await;
    let client = &hub.client;
    for (patch, status, assignee) in [
        (json!({ "status": "todo" }), "todo", Value::Null),
        (json!({ "status": "review" }), "review", json!("w")),
        (json!({ "status": "done" }), "done", json!("w")),
        (json!({ "assignee": "ada" }), "inprogress", json!("ada")),
        (json!({ "assignee": null }), "inprogress", Value::Null),
        (json!({ "status": "todo", "assignee": "ada" }), "todo", json!("ada")),
    ] {
        let (task, id) = held(client, "w", 60).await;
        let path = format!("/api/tasks/{task}");
        let edited =
            client.with_body(Method::PATCH, &path, json!({ "title": "better", "tags": ["x"] })).await;
        assert_eq!(text(&edited.body, "/lease/id"), id, "what else somebody changes leaves the lease alone");
        let taken = client.with_body(Method::PATCH, &path, patch.clone()).await;
        let seen = (text(&taken.body, "/status"), &taken.body["assignee"], &taken.body["lease"]);
        assert_eq!(seen, (status, &assignee, &Value::Null), "{patch}");
        assert_over(client, &id).await;
        assert_lost(&report(client, &task, &id, "done").await);
        assert_eq!(phases(&history(client, &task).await), ["claimed", "taken_away"], "{patch}");
        assert_eq!(lease_event_at_end(client, &task).await, id);
        client.send(client.request(Method::DELETE, &path)).await;
    }
    hub.stop().await;
}

async fn lease_event_at_end(client: &Client, task: &str) -> String {
    let history = history(client, task).await;
    text(history.last().expect("events"), "/data/lease_id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_deleted_task_ends_with_it() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (task, id) = held(client, "w", 60).await;
    let deleted = client.send(client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_over(client, &id).await;
    assert_lost(&report(client, &task, &id, "done").await);
    let history = history(client, &task).await;
    let words: Vec<_> = history.iter().map(|event| text(event, "/event")).collect();
    assert_eq!(words, ["task_created", "task_updated", "lease_event", "lease_event", "task_deleted"]);
    assert_eq!(phases(&history), ["claimed", "taken_away"]);
    // The worker is free for another one.
    let (_, next) = held(client, "w", 60).await;
    assert_ne!(next, id);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_renews_expires_and_is_counted() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut stream = Stream::open(client, "?events=task_updated,lease_event").await;
    let patient = client.create(json!({ "title": "patient", "priority": "high" })).await;
    let failing = client.create(json!({ "title": "failing", "attempts_max": 1 })).await;
    let renewed = client.create(json!({ "title": "renewed" })).await;
    let mut leases = Vec::new();
    for task in [&patient, &failing, &renewed] {
        let claimed = claimed(client, json!({ "worker": task, "lease_seconds": 5 })).await;
        assert_eq!(text(&claimed, "/id"), task);
        leases.push(text(&claimed, "/lease/id").to_owned());
    }
    let claimed_at = now_ms();
    assert_eq!(renew(client, &leases[2], json!({ "lease_seconds": 60 })).await.status, StatusCode::OK);
    // It gets the task at its end.
    let waiting = claim(client, json!({ "worker": "next", "wait_seconds": 15, "lease_seconds": 60 })).await;
    assert_eq!((text(&waiting.body, "/id"), &waiting.body["attempts"]), (patient.as_str(), &json!(1)));
    assert_eq!(waiting.body["lease"]["number"], 2);

    let mut ends = Vec::new();
    while ends.len() < 2 {
        let updated = stream.next_event().await;
        let Some(reason) = updated["data"]["reason"].as_str().map(str::to_owned) else { continue };
        assert!(milliseconds(text(&updated, "/timestamp")) - claimed_at >= 4_900, "not before its time");
        let told = stream.next_event().await;
        assert_eq!(text(&told, "/data/lease_event"), "expired");
        assert_eq!(
            (&told["data"]["task_id"], &updated["data"]["lease"]),
            (&updated["data"]["task_id"], &Value::Null)
        );
        let status = text(&updated, "/data/status").to_owned();
        ends.push((
            text(&updated, "/data/task_id").to_owned(),
            status,
            reason,
            updated["data"]["assignee"].clone(),
        ));
    }
    let end =
        |task: &String, status: &str, reason: &str| (task.clone(), status.into(), reason.into(), Value::Null);
    assert_eq!(ends, [end(&patient, "todo", "lease_expired"), end(&failing, "review", "attempts_exhausted")]);
    for (task, lost) in [(&patient, &leases[0]), (&failing, &leases[1])] {
        assert_over(client, lost).await;
        assert_lost(&report(client, task, lost, "done").await);
    }
    assert_eq!(lease(client, Method::GET, &leases[2]).await.status, StatusCode::OK, "it was renewed in time");
    claims_in_vain(client, json!({ "worker": "x" })).await;
    let path = format!("/api/tasks/{failing}");
    assert_eq!(client.get(&path).await.body["attempts"], 1);
    let again = client.set_status(&failing, "todo").await.body;
    assert_eq!(
        (&again["attempts"], &again["ready"]),
        (&json!(0), &json!(true)),
        "from review it starts anew"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_comes_back_gives_each_lease_its_whole_time_again() {
    let hub = Hub::start().await;
    let (task, id) = held(&hub.client, "w", 5).await;
    let before = lease(&hub.client, Method::GET, &id).await.body;
    // So late that without a new term it would end soon.
    let end = milliseconds(text(&before, "/expires_at"));
    hub.client.wait_for("/health", |_| now_ms() > end - 2_000).await;
    let hub = hub.restart().await;
    let started = now_ms();
    let client = &hub.client;
    let renewed = |lease: &Value| milliseconds(text(lease, "/expires_at")) > end + 1_000;
    client.wait_for(&format!("/api/leases/{id}"), renewed).await;
    assert_eq!(phases(&history(client, &task).await), ["claimed"], "that is no event");

    let claimed = claimed(client, json!({ "worker": "next", "wait_seconds": 15 })).await;
    assert_eq!((text(&claimed, "/id"), &claimed["attempts"]), (task.as_str(), &json!(1)));
    let history = history(client, &task).await;
    assert_eq!(phases(&history), ["claimed", "expired", "claimed"]);
    let expired = history.iter().find(|event| event["data"]["lease_event"] == "expired").expect("an event");
    let lasted = milliseconds(text(expired, "/timestamp")) - started;
    assert!(lasted > 3_500, "{lasted} ms after the hub was back");
    hub.stop().await;
}
