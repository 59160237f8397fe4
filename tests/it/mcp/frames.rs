//! Requests of `/mcp` as HTTP carries them: which are let in, and how each of the others is refused.

use futures_util::stream;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Hub};

use super::{Agent, Era, message};

/// More than the hub takes, whatever the limit.
const LARGE: usize = 20 << 20;

fn post(client: &Client) -> RequestBuilder {
    client.request(Method::POST, "/mcp").header(CONTENT_TYPE, "application/json")
}

/// The newer era's request, whose headers may say something else.
fn with_headers(client: &Client, headers: &[(&str, &str)], body: &Value) -> RequestBuilder {
    headers.iter().fold(post(client), |it, (name, value)| it.header(*name, *value)).json(body)
}

fn assert_error(answer: &Answer, status: u16, code: i32) {
    let seen = (answer.status.as_u16(), answer.body["error"]["code"].as_i64());
    assert_eq!(seen, (status, Some(code.into())), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_post_is_answered_and_the_older_route_is_gone() {
    let hub = Hub::start().await;
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let answer = hub.client.send(hub.client.request(method, "/mcp")).await;
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
    let answer = hub.client.post("/mcp/messages", json!({})).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::GONE, &json!("route_gone")));
    assert!(answer.body["detail"].as_str().expect("words").contains("POST /mcp"));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_with_a_code() {
    let hub = Hub::start().await;
    let message = message("tools/list", json!({}));
    let nested = |open: &str, close: &str| {
        let (open, close) = (open.repeat(10_000), close.repeat(10_000));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"a":{open}{close}}}}}"#)
    };
    for (body, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"#.to_owned(), -32700),
        (String::new(), -32700),
        ("tools/list".to_owned(), -32700),
        (nested("[", "]"), -32700),
        (nested(r#"{"a":"#, "}").replace("}}}}", "1}}}}"), -32700),
        ("[".repeat(10_000), -32700),
        (format!("[{message}]"), -32600),
        (format!("[{message},{message}]"), -32600),
        ("[]".to_owned(), -32600),
        ("null".to_owned(), -32600),
        (r#"{"id":1,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":7}}"#.to_owned(), -32600),
    ] {
        let start: String = body.chars().take(60).collect();
        let answer = hub.client.send(post(&hub.client).body(body)).await;
        assert_error(&answer, 400, code);
        assert!(!answer.body["error"]["message"].as_str().expect("words").is_empty(), "{start}");
    }
    // The hub answers as before.
    assert!(!Agent::of(&hub.client).await.tools().await.is_empty());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_with_and_without_a_length() {
    let hub = Hub::start().await;
    let large = || {
        let pieces = (0..LARGE >> 16).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
        reqwest::Body::wrap_stream(stream::iter(pieces))
    };
    for request in [post(&hub.client).body(large()), post(&hub.client).body(vec![b' '; LARGE])] {
        // The hub may close the connection before all is sent; then the client saw no answer.
        match hub.client.try_send(request).await {
            Ok(answer) => {
                assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert_eq!(answer.body["code"], "body_too_large");
            }
            Err(error) => panic!("the answer was cut off: {error}"),
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_say_something_else_than_the_body_are_refused() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let list = message("tools/list", json!({}));
    let call = message("tools/call", json!({ "name": "list_tasks", "arguments": {} }));
    let version = ("MCP-Protocol-Version", "2026-07-28");
    for (headers, body) in [
        (vec![version, ("Mcp-Method", "tools/call")], &list),
        (vec![version], &list),
        (vec![("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", "tools/list")], &list),
        (vec![("Mcp-Method", "tools/list")], &list),
        (vec![version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "get_task")], &call),
        (vec![version, ("Mcp-Method", "tools/call")], &call),
    ] {
        let answer = client.send(with_headers(client, &headers, body)).await;
        assert_error(&answer, 400, -32020);
    }
    let right = [version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "list_tasks")];
    let answer = client.send(with_headers(client, &right, &call)).await;
    assert_eq!(answer.body["result"]["structuredContent"], json!({ "tasks": [] }));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_served_is_refused_with_those_that_are() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut unknown = message("tools/list", json!({}));
    unknown["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2027-01-01");
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for body in [unknown, bare] {
        let headers = [("MCP-Protocol-Version", "2027-01-01"), ("Mcp-Method", "tools/list")];
        let answer = client.send(with_headers(client, &headers, &body)).await;
        assert_error(&answer, 400, -32022);
        let data = &answer.body["error"]["data"];
        assert_eq!(data["requested"], "2027-01-01");
        let supported = data["supported"].as_array().expect("versions");
        for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
            assert!(supported.contains(&json!(version)), "{version}");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_lacks_what_its_era_asks_for_is_refused() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let mut incapable = message("tools/list", json!({}));
    let meta = incapable["params"]["_meta"].as_object_mut().expect("an object");
    meta.remove("io.modelcontextprotocol/clientCapabilities");
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    for body in [incapable, bare] {
        let answer = client.send(with_headers(client, &headers, &body)).await;
        assert_error(&answer, 400, -32602);
        let words = answer.body["error"]["message"].as_str().expect("words");
        assert!(words.contains("clientCapabilities"), "{words}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_tools_that_do_not_exist_are_refused_in_both_eras() {
    let hub = Hub::start().await;
    for (era, status) in [(Era::Alone, 404), (Era::Initialized, 200)] {
        let agent = Agent::in_era(&hub.client, era).await;
        // A client of the older era takes any other status for the end of its connection.
        let unknown = agent.ask("tools/fly", json!({})).await;
        assert_error(&unknown, status, -32601);
        let words = unknown.body["error"]["message"].as_str().expect("words");
        assert!(words.starts_with("there is no method tools/fly"), "{words}");
        let unknown = agent.ask("tools/call", json!({ "name": "fly", "arguments": {} })).await;
        assert_error(&unknown, 200, -32602);
        assert!(unknown.body["error"]["message"].as_str().expect("words").contains("fly"));
        let odd = agent.ask("tools/call", json!({ "name": "list_tasks", "arguments": [] })).await;
        assert_error(&odd, 200, -32602);
        assert!(odd.body["error"]["message"].as_str().expect("words").contains("arguments"));
        assert_eq!(odd.body["id"], 1);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_and_other_names_are_refused() {
    let hub = Hub::start().await;
    let list = message("tools/list", json!({}));
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let request = || with_headers(&hub.client, &headers, &list);
    let foreign = hub.client.send(request().header(ORIGIN, "http://evil.example")).await;
    assert_eq!((foreign.status, &foreign.body["code"]), (StatusCode::FORBIDDEN, &json!("cross_site")));
    let other = hub.client.send(request().header(HOST, "evil.example")).await;
    assert_eq!(
        (other.status, &other.body["code"]),
        (StatusCode::MISDIRECTED_REQUEST, &json!("host_not_allowed"))
    );
    assert_eq!(hub.client.send(request()).await.status, StatusCode::OK);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_need_not_say_what_it_takes() {
    let hub = Hub::start().await;
    let list = message("tools/list", json!({}));
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let request = || with_headers(&hub.client, &headers, &list);
    let expected =
        hub.client.send(request().header(ACCEPT, "application/json, text/event-stream")).await.body;
    for accept in [None, Some("*/*"), Some("application/json"), Some("text/html"), Some("")] {
        let request = match accept {
            Some(accept) => request().header(ACCEPT, accept),
            None => request(),
        };
        let answer = hub.client.send(request).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected), "{accept:?}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_eras_list_the_same_tools() {
    let hub = Hub::start().await;
    let alone = Agent::of(&hub.client).await;
    let older = Agent::in_era(&hub.client, Era::Initialized).await;
    let client = json!({ "name": "t", "version": "1" });
    let start = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    let start = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start });
    let started = hub.client.send(post(&hub.client).json(&start)).await.body["result"].clone();
    assert_eq!(started["protocolVersion"], "2025-06-18");
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = hub.client.send(post(&hub.client).json(&told)).await;
    assert_eq!((told.status, told.bytes.len()), (StatusCode::ACCEPTED, 0));
    let found = alone.ask("server/discover", json!({})).await.body["result"].clone();
    assert_eq!(found["instructions"], started["instructions"]);

    let tools = alone.tools().await;
    assert_eq!(tools, older.tools().await);
    assert_eq!(tools, alone.tools().await, "in the same order each time");
    let result = alone.ask("tools/list", json!({})).await.body["result"].clone();
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].as_i64() > Some(0));
    for tool in ["list_tasks", "wait_events"] {
        let arguments = json!({ "wait_seconds": 0 });
        let arguments = if tool == "list_tasks" { json!({}) } else { arguments };
        assert_eq!(alone.call(tool, arguments.clone()).await, older.call(tool, arguments).await);
    }
    hub.stop().await;
}
