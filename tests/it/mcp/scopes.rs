//! What a token may do by MCP: the list of tools shows exactly that.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, DEADLINE, Hub};
use crate::tokens::{create, revoke, until};

use super::waits::until_waiting;
use super::{Agent, agent::Outcome, message};

/// Said once more by hand: the table must not grow more generous unseen.
const NEEDED: [(&str, &str); 13] = [
    ("list_tasks", "read"),
    ("get_task", "read"),
    ("create_tasks", "write"),
    ("update_task", "write"),
    ("claim_task", "write"),
    ("heartbeat", "write"),
    ("complete_task", "write"),
    ("fail_task", "write"),
    ("comment", "write"),
    ("ask_person", "write"),
    ("run_task", "exec"),
    ("read_log", "read"),
    ("wait_events", "read"),
];

async fn client(hub: &Hub, scope: &str) -> Client {
    let client = hub.client.with_token(&create(hub.directory.path(), scope, scope));
    // Before its first token the hub lets everybody in.
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    until(&client, StatusCode::OK).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_that_is_good_nothing_is_told() {
    let hub = Hub::start().await;
    client(&hub, "read").await;
    let stranger = hub.client.with_token("taskhub_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for client in [&hub.client, &stranger] {
        let list = client.request(Method::POST, "/mcp").json(&message("tools/list", json!({})));
        let answer = client.send(list).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").starts_with("Bearer "), "{answer:?}");
        assert_eq!(client.get("/mcp").await.status, StatusCode::UNAUTHORIZED);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_lists_exactly_the_tools_that_it_may_call() {
    let hub = Hub::start().await;
    let rank = |scope: &str| ["read", "write", "exec"].iter().position(|it| *it == scope);
    for scope in ["read", "write", "exec"] {
        let agent = Agent::of(&client(&hub, scope).await).await;
        let tools = agent.tools().await;
        let listed: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
        let allowed = NEEDED.iter().filter(|(_, needed)| rank(needed) <= rank(scope));
        assert_eq!(listed, allowed.map(|(name, _)| *name).collect::<Vec<_>>(), "{scope}");
        for (name, _) in NEEDED {
            // None of them waits, and most refuse it for what it lacks.
            let arguments = if name == "wait_events" { json!({ "wait_seconds": 0 }) } else { json!({}) };
            let answer = agent.client.send(agent.call_request(name, arguments)).await;
            let result = &answer.body["result"];
            let is_refused = result["structuredContent"]["code"] == "scope_missing";
            assert_eq!(is_refused, !listed.contains(&name), "{name} with {scope}: {result}");
            assert!(!is_refused || result["isError"] == true, "{result}");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_instructions_are_about_what_the_token_may_do() {
    let hub = Hub::start().await;
    for (scope, claims, runs) in [("read", false, false), ("write", true, false), ("exec", true, true)] {
        let agent = Agent::of(&client(&hub, scope).await).await;
        let begin = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "tests", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin });
        let initialized = agent.client.post("/mcp", body).await;
        let discovered = agent.ask("server/discover", json!({})).await;
        for answer in [initialized, discovered] {
            let words = answer.body["result"]["instructions"].as_str().expect("instructions");
            assert_eq!(words.contains("claim_task"), claims, "{scope}: {words}");
            assert_eq!(words.contains("run_task"), runs, "{scope}: {words}");
            assert!(words.contains("wait_events"), "{scope}: {words}");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_run_is_given_with_exec_alone() {
    let hub = Hub::start().await;
    let [write, exec] = [client(&hub, "write").await, client(&hub, "exec").await];
    let (write, exec) = (Agent::of(&write).await, Agent::of(&exec).await);
    let task = write.create(json!({ "title": "t" })).await;
    let plan = json!({ "tasks": [{ "title": "t" }, { "title": "u", "script": "true" }] });
    let change = json!({ "task": task, "script": "true" });
    for (tool, arguments) in [("create_tasks", plan), ("update_task", change)] {
        let refused = write.refused_by("scope_missing", tool, arguments.clone()).await;
        assert!(refused["detail"].as_str().is_some_and(|it| it.contains("exec")), "{refused}");
        exec.data(tool, arguments).await;
    }
    let found = exec.data("list_tasks", json!({})).await;
    assert_eq!(found["tasks"].as_array().map(Vec::len), Some(3), "none of the refused plan: {found}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_every_wait() {
    let hub = Hub::start().await;
    let [holder, owner] = [client(&hub, "write").await, client(&hub, "exec").await];
    let (agent, owner) = (Agent::of(&holder).await, Agent::of(&owner).await);
    let task = owner.create(json!({ "title": "t", "assignee": "somebody" })).await;
    let waits: [(&str, Value); 3] = [
        ("wait_events", json!({ "events": ["announcement"] })),
        ("claim_task", json!({ "worker": "w", "wait_seconds": 45 })),
        ("ask_person", json!({ "task": task, "text": "Who?" })),
    ];
    let mut waiting = Vec::new();
    for (tool, arguments) in waits {
        let agent = agent.clone();
        waiting.push(tokio::spawn(async move { agent.call(tool, arguments).await }));
    }
    until_waiting(&owner.client, 3).await;
    revoke(hub.directory.path(), "write");
    for wait in waiting {
        let ended = tokio::time::timeout(DEADLINE / 2, wait).await.expect("soon").expect("no panic");
        let Outcome::Refused(refused) = ended else { panic!("{ended:?}") };
        assert_eq!(refused["code"], "token_invalid");
    }
    let answer = agent.ask("tools/list", json!({})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // Its claim waits no more.
    let task = owner.create(json!({ "title": "free" })).await;
    assert_eq!(owner.claim("other").await.0, task);
    hub.stop().await;
}
