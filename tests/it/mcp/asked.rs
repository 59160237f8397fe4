//! Questions of agents: an answer reaches who asked, also when the call that waited for it was lost.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub};

use super::Agent;

async fn answer(client: &Client, question: &Value, text: &str) {
    let path = format!("/api/questions/{}/answer", question.as_str().expect("an id"));
    let answered = client.with_body(Method::PUT, &path, json!({ "answer": text })).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_repeated_after_its_answer_gets_that_answer() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let (key, lease) = agent.claim("ada").await;
    for under in [None, Some(&lease)] {
        let text = if under.is_some() { "Ship it?" } else { "Paint it?" };
        let mut ask = json!({ "task": key, "text": text, "options": ["yes", "no"], "wait_seconds": 0 });
        if let Some(lease) = under {
            ask["lease"] = json!(lease);
        }
        let asked = agent.data("ask_person", ask.clone()).await;
        assert_eq!(asked["status"], "open");
        assert_eq!(agent.data("ask_person", ask.clone()).await, asked, "it is the same while it is open");
        answer(&hub.client, &asked["question"], "no").await;
        let expected = json!({ "question": asked["question"], "status": "answered", "answer": "no" });
        for _ in 0..2 {
            assert_eq!(agent.data("ask_person", ask.clone()).await, expected);
        }
        // Another choice is another question.
        ask["options"] = json!(["yes", "no", "later"]);
        let other = agent.data("ask_person", ask).await;
        assert_eq!(other["status"], "open");
        assert_ne!(other["question"], asked["question"]);
        answer(&hub.client, &other["question"], "later").await;
    }
    let questions = hub.client.get("/api/questions").await.body;
    assert_eq!(questions.as_array().map(Vec::len), Some(4), "each was asked once");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_ask_once() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    let mut asking = Vec::new();
    for _ in 0..16 {
        let (agent, ask) = (agent.clone(), json!({ "task": key, "text": "Who?", "wait_seconds": 0 }));
        asking.push(tokio::spawn(async move { agent.data("ask_person", ask).await["question"].clone() }));
    }
    let mut asked = Vec::new();
    for question in asking {
        asked.push(question.await.expect("no panic"));
    }
    asked.dedup();
    assert_eq!(asked.len(), 1, "{asked:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_worker_asks_anew() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    agent.create(json!({ "title": "t" })).await;
    let mut asked = Vec::new();
    for worker in ["ada", "bob"] {
        let (key, lease) = agent.claim(worker).await;
        let ask = json!({ "task": key, "text": "Again?", "lease": lease, "wait_seconds": 0 });
        let question = agent.data("ask_person", ask).await;
        assert_eq!(question["status"], "open", "{worker}");
        answer(&hub.client, &question["question"], "yes").await;
        asked.push(question["question"].clone());
        agent.data("fail_task", json!({ "lease": lease, "reason": "r" })).await;
    }
    assert_ne!(asked[0], asked[1]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_its_latest_answers() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let key = agent.create(json!({ "title": "t" })).await;
    assert!(!agent.text("get_task", json!({ "task": key })).await.contains("question"));
    for number in 0..7 {
        let ask = json!({ "task": key, "text": format!("Which {number}?\n- more"), "wait_seconds": 0 });
        let asked = agent.data("ask_person", ask).await;
        answer(&hub.client, &asked["question"], &format!("That {number}.")).await;
    }
    let open = agent.data("ask_person", json!({ "task": key, "text": "Open?", "wait_seconds": 0 })).await;
    let text = agent.text("get_task", json!({ "task": key })).await;
    for number in 0..7 {
        let shown = text.contains(&format!("Which {number}?\n  - more -> That {number}."));
        assert_eq!(shown, number >= 2, "{number}: {text}");
    }
    assert!(text.find("Which 6?") < text.find("Which 5?"), "the latest first: {text}");
    let open = open["question"].as_str().expect("an id");
    assert!(text.contains(&format!("## Open questions\n- {open}: Open?")), "{text}");
    hub.stop().await;
}
