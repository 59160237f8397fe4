//! A task in the hands of an agent: its lease, what it reports, and what is refused.

use std::time::SystemTime;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::claims::{history, phases};
use crate::harness::Hub;

use super::Agent;

fn done(lease: &str) -> Value {
    json!({ "lease": lease, "summary": "It is done", "proof": "The tests pass" })
}

/// How many seconds a time is away.
fn seconds_until(time: &Value) -> i64 {
    let time: taskhub::domain::clock::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    (time.ms() - i64::try_from(now.as_millis()).expect("a time of ours")) / 1000
}

/// The task as the API shows it.
async fn task(agent: &Agent, key: &str) -> Value {
    let found = agent.client.get(&format!("/api/tasks?key={key}")).await;
    found.body[0].clone()
}

async fn set_status(agent: &Agent, key: &str, status: &str) -> StatusCode {
    let id = task(agent, key).await["id"].as_str().expect("an id").to_owned();
    agent.client.set_status(&id, status).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_completed_with_proof_alone() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    for (report, argument) in [
        (json!({ "lease": lease, "summary": "Done" }), "proof"),
        (json!({ "lease": lease, "summary": "Done", "proof": "" }), "proof"),
        (json!({ "lease": lease, "summary": "Done", "proof": " \n" }), "proof"),
        (json!({ "lease": lease, "summary": "", "proof": "Seen" }), "summary"),
        (json!({ "lease": lease, "summary": "Done", "proof": "Seen", "artifacts": [""] }), "artifacts"),
    ] {
        let refused = agent.refused_by("invalid_field", "complete_task", report).await;
        assert!(refused["detail"].as_str().is_some_and(|it| it.starts_with(argument)), "{refused}");
    }
    let before = task(&agent, &key).await;
    assert_eq!((&before["status"], &before["lease"]["worker"]), (&json!("inprogress"), &json!("ada")));

    let report =
        json!({ "lease": lease, "summary": "Built", "proof": "42 tests pass", "artifacts": ["out.tar"] });
    let state = agent.data("complete_task", report).await;
    let after = task(&agent, &key).await;
    assert_eq!(state, json!({ "key": key, "status": "done", "version": after["version"] }));
    let seen = (&after["lease"], &after["artifacts"], &after["assignee"]);
    assert_eq!(seen, (&Value::Null, &json!(["out.tar"]), &json!("ada")));
    let path = format!("/api/tasks/{}/comments", after["id"].as_str().expect("an id"));
    let comment = hub.client.get(&path).await.body[0].clone();
    assert_eq!(comment["author"], "ada");
    let words = comment["text"].as_str().expect("words");
    assert!(words.contains("Built") && words.contains("42 tests pass"), "{words}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_question_holds_a_task_back_from_an_agent_and_not_from_a_person() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    for is_person in [false, true] {
        agent.create(json!({ "title": "t" })).await;
        let (key, lease) = agent.claim("ada").await;
        let question = json!({ "task": key, "text": "Ship it?", "lease": lease, "wait_seconds": 0 });
        let question = agent.data("ask_person", question).await["question"].clone();
        let refused = agent.refused_by("questions_open", "complete_task", done(&lease)).await;
        assert!(refused["next"].as_str().is_some_and(|it| it.contains("ask_person")), "{refused}");
        assert_eq!(task(&agent, &key).await["status"], "inprogress");
        if is_person {
            assert_eq!(set_status(&agent, &key, "done").await, StatusCode::OK);
            agent.refused_by("lease_lost", "complete_task", done(&lease)).await;
        } else {
            let path = format!("/api/questions/{}/answer", question.as_str().expect("an id"));
            let answer = hub.client.with_body(Method::PUT, &path, json!({ "answer": "yes" })).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(agent.data("complete_task", done(&lease)).await["status"], "done");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_repeated_answers_the_same_and_changes_nothing() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    for tool in ["complete_task", "fail_task"] {
        let key = agent.create(json!({ "title": tool })).await;
        let claimed = agent.data("claim_task", json!({ "worker": "ada", "task": key })).await;
        let lease = claimed["lease"].as_str().expect("a lease");
        let report = match tool {
            "complete_task" => done(lease),
            _ => json!({ "lease": lease, "reason": "No access", "retry": false }),
        };
        let state = agent.data(tool, report.clone()).await;
        let before = task(&agent, &key).await;
        for _ in 0..2 {
            assert_eq!(agent.data(tool, report.clone()).await, state);
        }
        assert_eq!(task(&agent, &key).await, before);
        let comments = format!("/api/tasks/{}/comments", before["id"].as_str().expect("an id"));
        let comments = hub.client.get(&comments).await.body;
        assert_eq!(comments.as_array().map(Vec::len), Some(1), "it is said once");
        // Another report under the same lease comes too late.
        let other = json!({ "lease": lease, "summary": "Other", "proof": "Other" });
        let lost = agent.refused_by("lease_lost", "complete_task", other).await;
        assert!(lost["detail"].as_str().is_some_and(|it| it.contains(&key)), "{lost}");
        // Also when the task has gone on since.
        assert_eq!(set_status(&agent, &key, "todo").await, StatusCode::OK);
        assert_eq!(agent.data(tool, report).await, state);
        assert_eq!(task(&agent, &key).await["status"], "todo");
        set_status(&agent, &key, "done").await;
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_is_refused_with_the_name_of_its_task() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    assert_eq!(set_status(&agent, &key, "todo").await, StatusCode::OK);
    let (again, newer) = agent.claim("bob").await;
    assert_eq!(again, key);
    let before = task(&agent, &key).await;

    let beat = agent.data("heartbeat", json!({ "lease": lease, "progress": "on" })).await;
    assert_eq!(beat["stop"], true);
    assert!(beat["reason"].as_str().is_some_and(|it| it.contains(&key) && it.contains("bob")), "{beat}");
    for (tool, arguments) in [
        ("complete_task", done(&lease)),
        ("fail_task", json!({ "lease": lease, "reason": "r" })),
        ("comment", json!({ "task": key, "text": "c", "lease": lease })),
        ("update_task", json!({ "task": key, "title": "u", "lease": lease })),
        ("ask_person", json!({ "task": key, "text": "q", "lease": lease, "wait_seconds": 0 })),
        ("run_task", json!({ "task": key, "script": "true", "lease": lease, "wait_seconds": 0 })),
    ] {
        let lost = agent.refused_by("lease_lost", tool, arguments).await;
        let detail = lost["detail"].as_str().expect("words");
        assert!(detail.contains(&format!("task {key} ")) && detail.contains("bob"), "{tool}: {lost}");
        assert!(lost["next"].as_str().is_some_and(|it| it.contains("claim_task")), "{lost}");
    }
    assert_eq!(task(&agent, &key).await, before);

    // A lease of another task does not help.
    let other = agent.create(json!({ "title": "other" })).await;
    let foreign = json!({ "task": other, "title": "u", "lease": newer });
    let refused = agent.refused_by("invalid_field", "update_task", foreign).await;
    assert!(
        refused["detail"].as_str().is_some_and(|it| it.contains(&key) && it.contains(&other)),
        "{refused}"
    );
    let id = before["id"].as_str().expect("an id");
    hub.client.send(hub.client.request(Method::DELETE, &format!("/api/tasks/{id}"))).await;
    let lost = agent.refused_by("lease_lost", "complete_task", done(&newer)).await;
    assert!(lost["detail"].as_str().is_some_and(|it| it.contains(&key)), "{lost}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_too_often_goes_to_review() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    for attempt in 1..=3 {
        let claimed = agent.data("claim_task", json!({ "worker": "ada" })).await;
        assert_eq!((&claimed["key"], &claimed["attempts"]), (&json!(key), &json!(attempt - 1)));
        let report = json!({ "lease": claimed["lease"], "reason": format!("Attempt {attempt} failed") });
        let state = agent.data("fail_task", report).await;
        let now = task(&agent, &key).await;
        assert_eq!((&now["attempts"], &now["assignee"]), (&json!(attempt), &Value::Null));
        assert_eq!(state["status"], if attempt < 3 { "todo" } else { "review" });
    }
    assert_eq!(agent.data("claim_task", json!({ "worker": "ada" })).await, json!({}));
    let last = history(&hub.client, task(&agent, &key).await["id"].as_str().expect("an id")).await;
    let reasons: Vec<_> = last.iter().filter_map(|event| event["data"]["reason"].as_str()).collect();
    assert_eq!(reasons, ["attempts_exhausted"]);
    assert_eq!(phases(&last), ["claimed", "returned", "claimed", "returned", "claimed"]);

    // Without another try it goes there at once, and counts as none.
    let key = agent.create(json!({ "title": "u" })).await;
    let (_, lease) = agent.claim("ada").await;
    let report = json!({ "lease": lease, "reason": "It cannot be done", "retry": false });
    assert_eq!(agent.data("fail_task", report).await["status"], "review");
    let now = task(&agent, &key).await;
    assert_eq!((&now["attempts"], &now["assignee"]), (&json!(0), &json!("ada")));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_short_until_the_first_heartbeat() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    let wish = json!({ "worker": "ada", "lease_seconds": 900 });
    let claimed = agent.data("claim_task", wish.clone()).await;
    let left = seconds_until(&claimed["expires_at"]);
    assert!((100..=120).contains(&left), "{left}");
    // The answer was lost: the same task under the same lease, and as short.
    let again = agent.data("claim_task", wish).await;
    assert_eq!((&again["key"], &again["lease"]), (&json!(key), &claimed["lease"]));
    assert!((100..=120).contains(&seconds_until(&again["expires_at"])));

    let beat = agent.data("heartbeat", json!({ "lease": claimed["lease"], "progress": "3 of 7" })).await;
    let left = seconds_until(&beat["expires_at"]);
    assert!((880..=900).contains(&left), "{left}");
    let now = task(&agent, &key).await;
    assert_eq!(
        (&now["lease"]["progress"], &now["lease"]["expires_at"]),
        (&json!("3 of 7"), &beat["expires_at"])
    );
    // A shorter one stays as it is.
    agent.create(json!({ "title": "u" })).await;
    let short = agent.data("claim_task", json!({ "worker": "bob", "lease_seconds": 30 })).await;
    assert!((20..=30).contains(&seconds_until(&short["expires_at"])));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_ends_takes_no_task_from_its_worker() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t", "script": "true" })).await;
    let (key, lease) = agent.claim("ada").await;
    for is_under_lease in [true, false] {
        if is_under_lease {
            let run = json!({ "task": key, "lease": lease });
            assert_eq!(agent.data("run_task", run).await["status"], "completed");
        } else {
            let at = format!("/api/exec/{}", task(&agent, &key).await["id"].as_str().expect("an id"));
            hub.client.post(&at, json!({})).await;
            hub.client.wait_for(&at, |execution| execution["status"] == "completed").await;
        }
        let now = task(&agent, &key).await;
        assert_eq!((&now["status"], &now["lease"]["worker"]), (&json!("inprogress"), &json!("ada")), "{now}");
    }
    assert_eq!(agent.data("heartbeat", json!({ "lease": lease })).await["stop"], false);
    assert_eq!(agent.data("complete_task", done(&lease)).await["status"], "done");

    // One that nobody holds goes on to review.
    let key = agent.create(json!({ "title": "u", "script": "true" })).await;
    assert_eq!(agent.data("run_task", json!({ "task": key })).await["status"], "completed");
    assert_eq!(task(&agent, &key).await["status"], "review");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_ask_for_one_task() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let pressing = agent.create(json!({ "title": "pressing", "priority": "high" })).await;
    let wanted = agent.create(json!({ "title": "wanted" })).await;
    let blocked = agent.create(json!({ "title": "blocked", "blocked_by": [pressing] })).await;
    let claim = |worker: &'static str, task: &str| json!({ "worker": worker, "task": task });
    let claimed = agent.data("claim_task", claim("ada", &wanted.to_uppercase())).await;
    assert_eq!(claimed["key"], json!(wanted));
    assert_eq!(
        agent.data("claim_task", claim("ada", &wanted)).await["lease"],
        claimed["lease"],
        "its own again"
    );
    for (in_vain, reason) in [(&wanted, "ada has claimed it"), (&blocked, "it waits for")] {
        let answer = agent.data("claim_task", claim("bob", in_vain)).await;
        assert!(answer.get("lease").is_none(), "{answer}");
        assert!(answer["reason"].as_str().is_some_and(|words| words.contains(reason)), "{answer}");
    }
    agent.refused_by("task_not_found", "claim_task", claim("bob", "default-99")).await;
    assert!(claimed.get("reason").is_none(), "{claimed}");
    // A worker that holds one may ask for another by its name, and is told that it has two then.
    let second = agent.data("claim_task", claim("ada", &pressing)).await;
    assert_eq!(second["key"], json!(pressing));
    let reason = second["reason"].as_str().expect("words");
    assert!(reason.contains(&format!("you hold {wanted} too")), "{reason}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_misspelt_is_not_lost() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    let digit = if lease.ends_with('0') { '1' } else { '0' };
    let other_digit = format!("{}{digit}", &lease[..lease.len() - 1]);
    for wrong in [other_digit, lease.replace(".1.", ".2.")] {
        for (tool, arguments) in [
            ("heartbeat", json!({ "lease": wrong })),
            ("complete_task", done(&wrong)),
            ("comment", json!({ "task": key, "text": "c", "lease": wrong })),
        ] {
            let refused = agent.refused_by("lease_not_found", tool, arguments).await;
            assert!(refused["next"].as_str().is_some_and(|it| it.contains("spelling")), "{tool}: {refused}");
            assert!(!refused.to_string().contains(&lease), "{tool}: {refused}");
        }
    }
    // One in capitals is the same.
    assert_eq!(agent.data("heartbeat", json!({ "lease": lease.to_uppercase() })).await["stop"], false);
    hub.stop().await;
}

/// A worker that waits for a person or a script cannot call heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_asks_or_runs_keeps_its_lease() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let mut question = Value::Null;
    for tool in ["ask_person", "ask_person again", "run_task"] {
        let key = agent.create(json!({ "title": tool })).await;
        let claimed =
            agent.data("claim_task", json!({ "worker": "ada", "task": key, "lease_seconds": 900 })).await;
        let (id, lease) = (task(&agent, &key).await["id"].clone(), &claimed["lease"]);
        let left = async || {
            let path = format!("/api/tasks/{}/why", id.as_str().expect("an id"));
            seconds_until(&hub.client.get(&path).await.body["lease"]["expires_at"])
        };
        assert!(left().await <= 120, "{tool}: short at first");
        match tool {
            "ask_person" => {
                let ask = json!({ "task": key, "text": "q", "lease": lease, "wait_seconds": 0 });
                question = agent.data("ask_person", ask).await["question"].clone();
            }
            "ask_person again" => {
                let wait = json!({ "question": question, "lease": lease, "wait_seconds": 0 });
                agent.data("ask_person", wait).await;
            }
            _ => {
                let run = json!({ "task": key, "script": "true", "lease": lease });
                agent.data("run_task", run).await;
            }
        }
        assert!(left().await > 850, "{tool}: renewed for as long as was asked for");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_under_a_short_lease_ends_before_it() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    let claimed = agent.data("claim_task", json!({ "worker": "ada", "lease_seconds": 6 })).await;
    let ask = json!({ "task": key, "text": "q", "lease": claimed["lease"] });
    for _ in 0..3 {
        assert_eq!(agent.data("ask_person", ask.clone()).await["status"], "open");
    }
    assert_eq!(agent.data("heartbeat", json!({ "lease": claimed["lease"] })).await["stop"], false);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_comments_and_runs_once() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    let note = json!({ "task": key, "text": "c", "request_id": "note" });
    let run = json!({ "task": key, "script": "true", "request_id": "run" });
    let first = agent.data("run_task", run.clone()).await;
    for _ in 0..2 {
        agent.data("comment", note.clone()).await;
        let again = agent.data("run_task", run.clone()).await;
        assert_eq!((&again["execution"], &again["status"]), (&first["execution"], &json!("completed")));
    }
    let id = task(&agent, &key).await["id"].as_str().expect("an id").to_owned();
    let comments = hub.client.get(&format!("/api/tasks/{id}/comments")).await.body;
    assert_eq!(comments.as_array().map(Vec::len), Some(1), "{comments}");
    let other = json!({ "task": key, "text": "d", "request_id": "note" });
    let refused = agent.refused_by("idempotency_key_reused", "comment", other).await;
    assert!(refused["next"].as_str().is_some_and(|it| it.contains("request_id")), "{refused}");
    hub.stop().await;
}
