//! `subscriptions/listen`: a client that follows boards and tasks at once hears of each, and of no others.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use crate::harness::{Answered, DEADLINE, Hub};
use crate::parser::Parser;

use super::Agent;

#[tokio::test(flavor = "multi_thread")]
async fn a_board_and_a_task_of_another_project_are_followed_together() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    hub.client.post("/api/projects", json!({ "project": "shop" })).await;
    let followed = agent.create(json!({ "title": "followed" })).await;
    let other = agent.create(json!({ "title": "other" })).await;
    let (board, task) = ("taskhub://board/shop".to_owned(), format!("taskhub://tasks/{followed}"));
    let nowhere = "taskhub://tasks/default-99";
    let params = json!({ "notifications": { "resourceSubscriptions": [board, task, nowhere] } });
    let answer = agent.request("subscriptions/listen", params).answered().await;
    assert_eq!(answer.status(), 200);
    let (mut parser, mut body) = (Parser::default(), answer.bytes_stream());

    agent.data("update_task", json!({ "task": other, "title": "changed" })).await;
    agent.data("comment", json!({ "task": followed, "text": "c" })).await;
    agent.create(json!({ "title": "new", "project": "shop" })).await;
    let mut told = BTreeSet::new();
    let both = BTreeSet::from([board, task]);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while told != both {
        let bytes = tokio::time::timeout_at(deadline, body.next()).await.expect("both are told");
        parser.feed(&bytes.expect("it goes on").expect("bytes"));
        let messages = parser.messages.iter().map(|it| it.json());
        let updated = messages.filter(|it| it["method"] == "notifications/resources/updated");
        told = updated.map(|it| it["params"]["uri"].as_str().expect("a URI").to_owned()).collect();
        assert!(told.is_subset(&both), "{told:?}");
    }
    drop(body);
    tokio::time::timeout(Duration::from_secs(20), hub.stop()).await.expect("it stops");
}
