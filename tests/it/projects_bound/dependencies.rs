//! A visible task that waits for a hidden one tells that it waits and for which id, and nothing else.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{World, held, history};
use crate::harness::{Answer, Client};

async fn patch(client: &Client, task: &str, patch: Value) -> Answer {
    client.with_body(Method::PATCH, &format!("/api/tasks/{task}"), patch).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_for_a_hidden_one_shows_its_id_alone() {
    let World { owner, bound, .. } = &World::with(&[]).await;
    let early = bound.create(json!({ "project": "alpha", "title": "early" })).await;
    let hidden =
        json!({ "project": "bravo", "title": "bravo", "tags": ["bravo-tag"], "blocked_by": [early] });
    let hidden = owner.create(hidden).await;
    let late = bound.create(json!({ "project": "alpha", "title": "late" })).await;
    assert_eq!(patch(owner, &late, json!({ "blocked_by": [hidden] })).await.status, StatusCode::OK);

    let (path, why) = (format!("/api/tasks/{late}"), format!("/api/tasks/{late}/why"));
    let shown = bound.get(&path).await.body;
    assert_eq!((&shown["blocked_by"], &shown["ready"]), (&json!([hidden]), &json!(false)));
    let told = bound.get(&why).await.body;
    assert_eq!((&told["blocked_by"], &told["ready"]), (&json!([]), &json!(false)));
    assert!(!told.to_string().contains("bravo") && !told.to_string().contains(&hidden), "{told}");
    assert_eq!(owner.get(&why).await.body["blocked_by"][0]["task_id"], *hidden);
    let waited = bound.get(&format!("{path}/wait?until=ready")).await;
    assert_eq!(waited.body["met"], false);

    // It names no task that is hidden, and no task waits for itself by one that is.
    let refused = patch(bound, &early, json!({ "blocked_by": [late] })).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("dependency_cycle")));
    let text = refused.body.to_string();
    assert!(text.contains("a task that you may not see"), "{text}");
    assert!(!text.contains("bravo") && !text.contains(&hidden), "{text}");
    let seen = patch(owner, &early, json!({ "blocked_by": [late] })).await;
    assert!(seen.body.to_string().contains("bravo-"), "{}", seen.body);

    // Its id may stay. Who has taken it out cannot put it back.
    let both = patch(bound, &late, json!({ "blocked_by": [hidden, early] })).await;
    assert_eq!(both.status, StatusCode::OK);
    // All that can happen with the hidden one, which its work cannot begin before.
    assert_eq!(bound.set_status(&early, "done").await.status, StatusCode::OK);
    held(owner, "bravo", &hidden).await;
    assert_eq!(bound.get(&path).await.body["ready"], false);
    assert_eq!(owner.set_status(&hidden, "done").await.status, StatusCode::OK);
    assert_eq!(bound.get(&path).await.body["ready"], true);
    assert_eq!(bound.get(&format!("{path}/wait?until=ready")).await.body["met"], true);
    owner.send(owner.request(Method::DELETE, &format!("/api/tasks/{hidden}"))).await;
    assert_eq!(patch(bound, &late, json!({ "blocked_by": [early] })).await.status, StatusCode::OK);
    let again = patch(bound, &late, json!({ "blocked_by": [early, hidden] })).await;
    assert_eq!((again.status, &again.body["field"]), (StatusCode::BAD_REQUEST, &json!("blocked_by[1]")));

    let all = history(bound, "").await;
    assert!(!all.iter().any(|event| event.to_string().contains("bravo")), "{all:?}");
    let became_ready = |event: &Value| event["data"]["task_id"] == *late && event["data"]["ready"] == true;
    assert!(all.iter().any(became_ready), "{all:?}");
}
