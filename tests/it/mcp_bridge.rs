//! `taskhub mcp`: the binary as an agent starts it, with lines in and lines out.

mod agent;
mod answering;
mod refusals;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::claims::{claim, text};
use crate::harness::{Client, DEADLINE, Hub};
use crate::wire::{CERTIFICATE, Wire};

use agent::{Agent, Era};
use answering::Answering;

const TOOLS: usize = 13;

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// How many requests the hub works on besides the one that asks.
async fn wait_for_requests(client: &Client, count: u32) {
    let line = format!("\ntaskhub_http_requests_in_flight {}\n", count + 1);
    client.wait_for_text("/metrics", |text| text.contains(&line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_either_era_finds_and_uses_the_tools() {
    let hub = Hub::start().await;
    for era in Era::ALL {
        let mut agent = Agent::start(&url(hub.client.address), era);
        agent.begin().await;
        let list = agent.call("tools/list", json!({})).await;
        assert_eq!(list["result"]["tools"].as_array().map(Vec::len), Some(TOOLS), "{list}");
        let made = agent.use_tool("create_tasks", json!({ "tasks": [{ "title": "größer\n\"neu\"" }] })).await;
        let key = text(&made, "/result/structuredContent/tasks/0/key").to_owned();
        let shown = agent.use_tool("get_task", json!({ "task": key })).await;
        assert!(text(&shown, "/result/content/0/text").contains("größer"), "{shown}");
        let refused = agent.use_tool("größe", json!({})).await;
        assert!(text(&refused, "/error/message").contains("there is no tool größe"), "{refused}");
        let (code, said) = agent.end().await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agreed_revision_goes_with_each_later_request_and_a_named_one_comes_first() {
    let hub = Answering::start(|body| {
        let version = if body["method"] == "initialize" {
            json!({ "protocolVersion": "2025-06-18" })
        } else {
            json!({})
        };
        // Whitespace and keys are the hub's matter, as long as it is one line.
        let text = format!("{{\"jsonrpc\": \"2.0\",\r\n \"id\": {}, \"result\": {version}}}\n", body["id"]);
        ("200 OK", "application/json", text)
    })
    .await;
    let mut agent = Agent::start(&url(hub.address), Era::Initialize);
    let version = |head: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix("mcp-protocol-version: "));
        line.map(str::to_owned)
    };
    agent.call("initialize", json!({ "protocolVersion": "2025-11-25" })).await;
    agent.call("tools/list", json!({})).await;
    let own = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    agent.call("tools/call", json!({ "name": "get_task", "_meta": own })).await;
    agent.call("initialize", json!({ "protocolVersion": "2025-11-25" })).await;
    let heads = hub.heads();
    let versions: Vec<_> = heads.iter().map(|head| version(head)).collect();
    let agreed = Some("2025-06-18".to_owned());
    assert_eq!(versions, [None, agreed, Some("2026-07-28".to_owned()), None]);
    assert!(heads[2].contains("mcp-method: tools/call\r\n") && heads[2].contains("mcp-name: get_task\r\n"));
    assert!(heads.iter().all(|head| head.starts_with("POST /mcp ") && !head.contains("authorization")));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_before_the_answer_it_is_about() {
    let hub = Hub::start().await;
    let mut agents = Vec::new();
    for era in Era::ALL {
        let mut agent = Agent::start(&url(hub.client.address), era);
        agent.begin().await;
        let arguments = json!({ "worker": format!("{era:?}"), "wait_seconds": 40 });
        let params =
            json!({ "name": "claim_task", "arguments": arguments, "_meta": { "progressToken": "p" } });
        let id = agent.ask("tools/call", params).await;
        agents.push((agent, id));
    }
    for (agent, id) in &mut agents {
        let progress = agent.next().await;
        assert_eq!(progress["method"], "notifications/progress", "{progress}");
        assert_eq!(progress["params"]["progressToken"], "p");
        // The other one still waits.
        hub.client.create(json!({ "title": "t" })).await;
        let answer = loop {
            let line = agent.next().await;
            if line["method"].is_null() {
                break line;
            }
        };
        assert_eq!(answer["id"], *id, "{answer}");
        assert!(answer["result"]["structuredContent"]["lease"].is_string(), "{answer}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_cancelled_takes_nothing_and_is_not_answered() {
    let hub = Hub::start().await;
    for (era, meta) in [
        (Era::Initialize, json!({})),
        (Era::Stateless, json!({})),
        (Era::Initialize, json!({ "progressToken": 1 })),
        (Era::Stateless, json!({ "progressToken": 1 })),
    ] {
        let mut agent = Agent::start(&url(hub.client.address), era);
        agent.begin().await;
        let arguments = json!({ "worker": "impatient", "wait_seconds": 40 });
        let params = json!({ "name": "claim_task", "arguments": arguments, "_meta": meta });
        let id = agent.ask("tools/call", params).await;
        wait_for_requests(&hub.client, 1).await;
        // Another id, and one of another type: neither is the claim.
        agent.notify("notifications/cancelled", json!({ "requestId": 4711 })).await;
        agent.notify("notifications/cancelled", json!({ "requestId": id.to_string() })).await;
        let list = agent.call("tools/list", json!({})).await;
        assert!(list["result"].is_object(), "{list}");
        wait_for_requests(&hub.client, 1).await;

        agent.notify("notifications/cancelled", json!({ "requestId": id, "reason": "too long" })).await;
        wait_for_requests(&hub.client, 0).await;
        hub.client.create(json!({ "title": "t" })).await;
        let taken = claim(&hub.client, json!({ "worker": "patient", "another": true })).await;
        assert_eq!(text(&taken.body, "/assignee"), "patient");
        // The next line is the next answer.
        let list = agent.call("tools/list", json!({})).await;
        assert!(list["result"].is_object(), "{list}");
        assert_eq!(agent.end().await, (Some(0), String::new()), "{era:?} {meta}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_connection_is_made_as_by_the_other_commands() {
    let hub = Wire::Tls1.hub(&[]).await;
    let hub_url = format!("https://{}", hub.client.address);
    let mut agent = Agent::with(&hub_url, Era::Stateless, |command| {
        command.env("TASKHUB_CA_CERT", CERTIFICATE.cert());
    });
    let list = agent.call("tools/list", json!({})).await;
    assert!(list["result"].is_object(), "{list}");
    let mut agent = Agent::start(&hub_url, Era::Stateless);
    let distrusted = agent.call("tools/list", json!({})).await;
    assert!(text(&distrusted, "/error/message").contains("--ca-cert"), "{distrusted}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_input_ends_it_and_what_is_in_flight() {
    let hub = Hub::start().await;
    let mut agent = Agent::start(&url(hub.client.address), Era::Stateless);
    let arguments = json!({ "worker": "gone", "wait_seconds": 40 });
    agent.ask("tools/call", json!({ "name": "claim_task", "arguments": arguments })).await;
    wait_for_requests(&hub.client, 1).await;
    let closed = Instant::now();
    assert_eq!(agent.end().await, (Some(0), String::new()));
    assert!(closed.elapsed() < Duration::from_secs(10), "{:?}", closed.elapsed());
    wait_for_requests(&hub.client, 0).await;
    hub.client.create(json!({ "title": "t" })).await;
    let taken = claim(&hub.client, json!({ "worker": "here" })).await;
    assert_eq!(text(&taken.body, "/assignee"), "here");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_piped_in_is_answered_after_the_end_of_the_input() {
    let hub = Hub::start().await;
    for era in Era::ALL {
        let mut agent = Agent::start(&url(hub.client.address), era);
        let asked = [
            agent.ask("tools/list", json!({})).await,
            agent.ask("tools/call", json!({ "name": "list_tasks", "arguments": {} })).await,
        ];
        agent.end_input();
        let answered = [agent.next().await, agent.next().await].map(|answer| {
            assert!(answer["result"].is_object(), "{answer}");
            answer["id"].clone()
        });
        assert!(asked.iter().all(|id| answered.contains(id)), "{answered:?}");
        assert_eq!(agent.end().await, (Some(0), String::new()));
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_are_each_answered_by_a_whole_line() {
    const CALLS: usize = 200;
    let hub = Hub::start().await;
    let description = "ä".repeat(6_000);
    hub.client.create(json!({ "title": "t", "description": description })).await;
    let mut agent = Agent::start(&url(hub.client.address), Era::Stateless);
    let begun = Instant::now();
    let mut open = std::collections::BTreeSet::new();
    for _ in 0..CALLS {
        let id = agent
            .ask("tools/call", json!({ "name": "get_task", "arguments": { "task": "default-1" } }))
            .await;
        open.insert(id.as_u64().expect("a number"));
    }
    while !open.is_empty() {
        let answer = agent.next().await;
        assert!(text(&answer, "/result/content/0/text").contains(&description));
        assert!(open.remove(&answer["id"].as_u64().expect("a number")), "{}", answer["id"]);
    }
    println!("{CALLS} calls at once took {:?}", begun.elapsed());
    assert_eq!(agent.end().await, (Some(0), String::new()));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_run_side_by_side() {
    let hub = Hub::start().await;
    let mut agent = Agent::start(&url(hub.client.address), Era::Stateless);
    let arguments = json!({ "worker": "w", "wait_seconds": 40 });
    let waiting = agent.ask("tools/call", json!({ "name": "claim_task", "arguments": arguments })).await;
    wait_for_requests(&hub.client, 1).await;
    let arguments = json!({ "tasks": [{ "title": "t" }] });
    let made = agent.ask("tools/call", json!({ "name": "create_tasks", "arguments": arguments })).await;
    // Which of the two is answered first is open.
    let answers = [agent.next().await, agent.next().await];
    assert!(answers.iter().all(|answer| answer["result"].is_object()), "{answers:?}");
    assert!([waiting, made].iter().all(|id| answers.iter().any(|it| it["id"] == *id)), "{answers:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_nobody_reads_what_it_writes() {
    let hub = Hub::start().await;
    let mut agent = Agent::start(&url(hub.client.address), Era::Stateless);
    agent.stop_reading();
    agent.ask("tools/list", json!({})).await;
    let (code, said) = tokio::time::timeout(DEADLINE, agent.ended()).await.expect("though its input is open");
    assert_eq!((code, said.as_str()), (Some(141), ""));
    hub.stop().await;
}
