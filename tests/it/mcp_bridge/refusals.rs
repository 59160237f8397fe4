//! What an agent is told when there is no hub, when it refuses, and when a line is no message.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::claims::text;
use crate::harness::{Hub, HubProcess};
use crate::tokens;

use super::agent::{Agent, Era};
use super::answering::Answering;
use super::{url, wait_for_requests};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_hub_each_request_says_so_until_there_is_one_again() {
    let directory = tempfile::tempdir().expect("a directory");
    // Nobody else gets the port of a listener that is still bound.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut agent = Agent::start(&url(address), Era::Stateless);
    agent.notify("notifications/progress", json!({})).await;
    let absent = agent.call("tools/list", json!({})).await;
    assert_eq!(absent["error"]["code"], -32000, "{absent}");
    let words = text(&absent, "/error/message");
    assert!(words.contains(&format!("cannot reach the hub at http://{address}")), "{words}");
    assert!(words.contains("start it with `taskhub`"), "{words}");

    for life in 0..2 {
        let mut hub = HubProcess::spawn(HubProcess::command(directory.path(), &address.to_string())).await;
        let list = agent.call("tools/list", json!({})).await;
        assert!(list["result"].is_object(), "{list}");
        let arguments = json!({ "worker": "w", "wait_seconds": 40 });
        let id = agent.ask("tools/call", json!({ "name": "claim_task", "arguments": arguments })).await;
        wait_for_requests(&hub.client, 1).await;
        if life == 0 {
            hub.kill();
        } else {
            assert_eq!(hub.terminate().await, Some(0));
        }
        let lost = agent.next().await;
        assert_eq!(lost["id"], id, "{lost}");
        if life == 0 {
            assert!(text(&lost, "/error/message").contains("cannot reach the hub"), "{lost}");
        }
    }
    let (code, said) = agent.end().await;
    assert_eq!((code, said.lines().count()), (Some(0), 1), "the notification that was lost: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_by_name_and_decides_what_is_listed() {
    let hub = Hub::start().await;
    let reader = tokens::create(hub.directory.path(), "reader", "read");
    let writer = tokens::create(hub.directory.path(), "writer", "write");
    tokens::until(&hub.client, reqwest::StatusCode::UNAUTHORIZED).await;
    tokens::until(&hub.client.with_token(&writer), reqwest::StatusCode::OK).await;
    let hub_url = url(hub.client.address);

    for (token, words) in
        [("", "asks for a token"), ("taskhub_nobody", "does not accept the token in TASKHUB_TOKEN")]
    {
        let mut agent = Agent::with(&hub_url, Era::Stateless, |command| {
            command.env("TASKHUB_TOKEN", token);
        });
        let refused = agent.call("tools/list", json!({})).await;
        let said = text(&refused, "/error/message");
        assert!(said.contains(words), "{said}");
        assert!(said.contains("taskhub token create") && said.contains("set TASKHUB_TOKEN"), "{said}");
        assert_eq!(refused["error"]["data"]["status"], 401, "{refused}");
        assert_eq!(agent.end().await, (Some(0), String::new()));
    }
    for (token, writes) in [(&reader, false), (&writer, true)] {
        let mut agent = Agent::with(&hub_url, Era::Stateless, |command| {
            command.env("TASKHUB_TOKEN", token);
        });
        let list = agent.call("tools/list", json!({})).await;
        assert_eq!(list.to_string().contains("claim_task"), writes, "{list}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_never_an_argument() {
    for (arguments, token, words) in [
        (&["--token", "taskhub_secret"][..], None, "unexpected argument '--token'"),
        (&[], Some("two words"), "TASKHUB_TOKEN is not a token"),
    ] {
        let (code, said) = Agent::with("http://localhost:1", Era::Stateless, |command| {
            command.args(arguments).envs(token.map(|token| ("TASKHUB_TOKEN", token)));
        })
        .end()
        .await;
        assert!(code != Some(0) && said.contains(words), "{code:?} {said}");
        assert!(!said.contains("taskhub_secret") && !said.contains("two words"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_message_costs_only_itself() {
    let hub = Hub::start().await;
    let mut agent = Agent::start(&url(hub.client.address), Era::Stateless);
    let deep = "[".repeat(10_000);
    let too_long = format!("\"{}\"", "x".repeat(16 << 20));
    for (line, code, words) in [
        ("{\"jsonrpc\":\"2.0\",", -32700, "the line is not a message"),
        ("hello", -32700, "the line is not a message"),
        (&deep, -32700, "the line is not a message"),
        (&too_long, -32700, "longer than 16 MiB"),
        ("[]", -32600, "batch"),
        ("{}", -32600, "jsonrpc"),
    ] {
        agent.send_line(line).await;
        let refused = agent.next().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &json!(code)), "{refused}");
        assert!(text(&refused, "/error/message").contains(words), "{refused}");
    }
    // A client that waits for its id gets it, though the hub could not read it.
    agent.send_line("{\"id\":\"a\",\"method\":\"tools/list\"}").await;
    let refused = agent.next().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("a"), &json!(-32600)), "{refused}");
    agent.send_line("").await;
    let large = json!({ "name": "get_task", "arguments": { "task": "x".repeat(4 << 20) } });
    let refused = agent.call("tools/call", large).await;
    assert!(text(&refused, "/error/message").contains("too large for the hub"), "{refused}");
    let list = agent.call("tools/list", json!({})).await;
    assert!(list["result"].is_object(), "{list}");
    assert_eq!(agent.end().await, (Some(0), String::new()));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_messages_become_errors_that_say_what_to_do() {
    let problem = |detail: &str| json!({ "code": "a_code", "detail": detail }).to_string();
    let stream = |event: &str| format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"a\"}}\n\n{event}");
    for (status, media_type, body, words) in [
        (
            "403 Forbidden",
            "application/problem+json",
            problem("not this Host"),
            "the hub refuses that: not this Host",
        ),
        ("404 Not Found", "application/problem+json", problem("no such path"), "set TASKHUB_URL"),
        ("413 Payload Too Large", "application/problem+json", problem("at most 1"), "send less in one call"),
        (
            "429 Too Many Requests",
            "application/problem+json",
            problem("too often"),
            "too often; call again in a few seconds",
        ),
        (
            "503 Service Unavailable",
            "application/problem+json",
            problem("the disk is full"),
            "the disk is full; call again",
        ),
        ("502 Bad Gateway", "text/html", "<p>".to_owned(), "502 Bad Gateway; call again"),
        ("200 OK", "text/html", "<p>".to_owned(), "does not speak as a TaskHub does"),
        ("200 OK", "application/json", "{}".to_owned(), "does not speak as a TaskHub does"),
        ("202 Accepted", "application/json", String::new(), "does not speak as a TaskHub does"),
        ("200 OK", "text/event-stream", stream(""), "the answer was cut off"),
        ("200 OK", "text/event-stream", stream("data: hello\n\n"), "does not speak as a TaskHub does"),
    ] {
        let hub = {
            let body = body.clone();
            Answering::start(move |_| (status, media_type, body.clone())).await
        };
        let mut agent = Agent::start(&url(hub.address), Era::Stateless);
        let id = agent.ask("tools/list", json!({})).await;
        let is_stream = media_type == "text/event-stream";
        if is_stream {
            assert_eq!(agent.next().await["method"], "a");
        }
        let failed = agent.next().await;
        assert_eq!((&failed["id"], &failed["error"]["code"]), (&id, &json!(-32000)), "{failed}");
        let said = text(&failed, "/error/message");
        assert!(said.contains(words), "{status} {body}: {said}");
        if !is_stream {
            // A notification gets nothing on standard output, whatever comes back.
            agent.notify("notifications/initialized", json!({})).await;
            agent.call("tools/list", json!({})).await;
        }
    }
}
