//! What HTTP itself says of requests: conditions, ranges, encodings, forms of an answer, names of hosts.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Answered, Client, DEADLINE, Hub};
use crate::tokens::{create, until};

async fn ask(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

async fn status(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
    ask(client, method, path, headers).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_is_not_sent_again() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let executed = hub.client.create(json!({ "title": "e", "script": "true" })).await;
    let execution = format!("/api/exec/{executed}");
    assert_eq!(hub.client.post(&execution, json!({})).await.status, 200);
    hub.client.wait_for(&execution, |it| it["status"] == "completed").await;
    let (task, list) = (format!("/api/tasks/{id}"), "/api/tasks?status=todo".to_owned());
    let executions = "/api/executions?limit=1";
    let pages = ["/", "/docs", "/test_sse.html", "/favicon.ico", "/openapi.json"];
    let (log, events) = (format!("{execution}/logs"), "/api/events?limit=2");
    for path in pages.into_iter().chain([&task, &list, &execution, executions, &log, events]) {
        let first = hub.client.get(path).await;
        let tag = first.header("etag").to_owned();
        let weak = format!("W/{}", tag.trim_start_matches("W/"));
        for known in [tag.clone(), weak, format!("\"x\", {tag}"), "*".to_owned()] {
            let spared = ask(&hub.client, Method::GET, path, &[("if-none-match", &known)]).await;
            assert_eq!((spared.status.as_u16(), spared.bytes.len()), (304, 0), "{path}: {known}");
            assert_eq!(spared.header("etag"), tag, "{path}");
            // A browser takes over what a 304 says.
            for name in ["content-security-policy", "cache-control"] {
                assert_eq!(spared.headers.get(name), first.headers.get(name), "{path}");
            }
        }
        assert_eq!(status(&hub.client, Method::HEAD, path, &[("if-none-match", &tag)]).await, 304, "{path}");
        assert_eq!(
            status(&hub.client, Method::GET, path, &[("if-none-match", "\"x\"")]).await,
            200,
            "{path}"
        );
    }
    let tag = hub.client.get(&list).await.header("etag").to_owned();
    hub.client.set_status(&id, "done").await;
    assert_eq!(status(&hub.client, Method::GET, &list, &[("if-none-match", &tag)]).await, 200, "a task left");
    let latest = "/api/events?limit=1000";
    let changing = [&execution[..], executions, &log, latest];
    let mut tags = Vec::new();
    for path in changing {
        tags.push(hub.client.get(path).await.header("etag").to_owned());
    }
    assert_eq!(hub.client.post(&execution, json!({})).await.status, 200);
    for (path, tag) in changing.into_iter().zip(tags) {
        assert_eq!(status(&hub.client, Method::GET, path, &[("if-none-match", &tag)]).await, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_only_under_its_conditions() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/{id}");
    for (name, value) in [
        ("if-none-match", "*"),
        ("if-none-match", "\"1\""),
        ("if-none-match", "W/\"1\""),
        ("if-match", "\"+1\""),
        ("if-match", "\"01\""),
        ("if-match", "W/\"1\""),
        ("if-match", "1"),
    ] {
        assert_eq!(
            status(&hub.client, Method::DELETE, &path, &[(name, value)]).await,
            412,
            "{name}: {value}"
        );
        for (method, path, body) in [
            (Method::PATCH, path.clone(), json!({ "title": "other" })),
            (Method::PUT, format!("/api/tasks/status/{id}"), json!({ "new_status": "done" })),
        ] {
            let request = hub.client.request(method, &path).header(name, value).json(&body);
            assert_eq!(
                hub.client.send(request).await.status,
                StatusCode::PRECONDITION_FAILED,
                "{name}: {value}"
            );
        }
    }
    assert_eq!(hub.client.get(&path).await.body["version"], 1);
    let conditions = [("if-match", "\"9\", \"1\""), ("if-none-match", "\"2\"")];
    assert_eq!(status(&hub.client, Method::DELETE, &path, &conditions).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_log_is_never_put_behind_this_one() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let raw = format!("/api/exec/{id}/logs/raw");
    let mut tags = Vec::new();
    for text in ["first execution", "second execution"] {
        let request = json!({ "script_content": format!("printf '{text}!'") });
        hub.client.post(&format!("/api/exec/{id}"), request).await;
        hub.client.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "completed").await;
        tags.push(hub.client.get(&raw).await.header("etag").to_owned());
    }
    let part = |tag: &str| [("range", "bytes=10-".to_owned()), ("if-range", tag.to_owned())];
    for (tag, expected) in [(&tags[0], 200), (&tags[1], 206), (&format!("W/{}", tags[1]), 200)] {
        let headers = part(tag);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(status(&hub.client, Method::GET, &raw, &headers).await, expected, "{tag}");
    }
    let beyond = ask(&hub.client, Method::GET, &raw, &[("range", "bytes=99-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */17"));
    let head = ask(&hub.client, Method::HEAD, &raw, &[("range", "bytes=3-5")]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "17"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused_and_told_what_is_taken() {
    let hub = Hub::start().await;
    for coding in ["gzip", "br", "deflate, gzip", "identity, gzip"] {
        let request = hub.client.request(Method::POST, "/api/tasks").header("content-encoding", coding);
        let answer = hub.client.send(request.json(&json!({ "title": "t" }))).await;
        assert_eq!((answer.status.as_u16(), answer.header("accept-encoding")), (415, "identity"), "{coding}");
    }
    let request = hub.client.request(Method::POST, "/api/tasks").header("content-encoding", "Identity");
    assert_eq!(hub.client.send(request.json(&json!({ "title": "t" }))).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_the_form_that_is_more_welcome() {
    let hub = Hub::start().await;
    for (accept, kind) in [
        ("Application/X-NDJSON", "application/x-ndjson"),
        ("application/x-ndjson;q=0.0", "text/event-stream"),
        ("application/x-ndjson;Q=0, */*", "text/event-stream"),
        ("text/event-stream, application/x-ndjson;q=0.1", "text/event-stream"),
    ] {
        let request = hub.client.request(Method::GET, "/api/events/stream").header(ACCEPT, accept);
        assert_eq!(request.answered().await.headers()[CONTENT_TYPE], kind, "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_opens_in_spite_of_parameters_that_libraries_add() {
    let hub = Hub::start().await;
    hub.client.create(json!({ "title": "first" })).await;
    let first = hub.client.get("/api/events").await.body[0]["id"].as_str().expect("an id").to_owned();
    hub.client.create(json!({ "title": "second" })).await;
    let query = format!("?stream=messages&lastEventId={first}&_=17");
    let mut stream = crate::sse::Stream::connect(&hub.client, &query, None).await;
    assert_eq!(stream.next().await["data"]["resumed"], true);
    assert_eq!(stream.next().await["data"]["title"], "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_used_up_by_the_stream_that_it_opens() {
    let hub = Hub::start().await;
    let reader = hub.client.with_token(&create(hub.directory.path(), "reader", "read"));
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    let ticket = reader.post("/api/events/tickets", json!({})).await.body["ticket"].clone();
    let stream = format!("/api/events/stream?ticket={}", ticket.as_str().expect("a ticket"));
    assert_eq!(status(&hub.client, Method::HEAD, &stream, &[]).await, 200);
    assert_eq!(status(&hub.client, Method::GET, &format!("{stream}&status=nope"), &[]).await, 400);
    assert_eq!(status(&hub.client, Method::POST, &stream, &[]).await, 401);
    // The proxy in front has asked for a password.
    let request = hub.client.request(Method::GET, &stream).header("authorization", "Basic dTpw");
    let open = request.answered().await;
    assert_eq!(open.status(), StatusCode::OK);
    assert_eq!(status(&hub.client, Method::GET, &stream, &[]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_callers_own_and_only_for_what_is_new() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let secrets = ["a", "b"].map(|name| create(hub.directory.path(), name, "exec"));
    let clients = secrets.map(|secret| hub.client.with_token(&secret));
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    until(&clients[1], StatusCode::OK).await;
    let mut made = Vec::new();
    for (client, title) in clients.iter().zip(["mine", "yours"]) {
        for _ in 0..2 {
            let request = client.request(Method::POST, "/api/tasks").header("idempotency-key", "k");
            let answer = client.send(request.json(&json!({ "title": title }))).await;
            assert_eq!((answer.status.as_u16(), &answer.body["title"]), (201, &json!(title)));
            made.push(answer.id());
        }
    }
    assert!(made[0] == made[1] && made[2] == made[3] && made[0] != made[2], "{made:?}");
    let path = format!("/api/tasks/{id}");
    for (method, path, body) in [
        (Method::PATCH, &*path, json!({ "title": "x" })),
        (Method::DELETE, &path, Value::Null),
        (Method::GET, &path, Value::Null),
    ] {
        let request = clients[0].request(method, path).header("idempotency-key", "k");
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = clients[0].send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (400, &json!("Idempotency-Key")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_clients_report_artifacts_as_a_list() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t" })).await;
    let path = format!("/api/tasks/status/{id}?new_status=review");
    let answer = hub.client.with_body(Method::PUT, &path, json!(["a.txt", "b,c"])).await;
    assert_eq!((answer.status.as_u16(), &answer.body["artifacts"]), (200, &json!(["a.txt", "b,c"])));
    let path = format!("/api/tasks/status/{id}?new_status=done&artifacts=%5B%22d.txt%22%5D");
    let answer = hub.client.send(hub.client.request(Method::PUT, &path)).await;
    assert_eq!(answer.body["artifacts"].as_array().expect("a list").last(), Some(&json!("d.txt")));
    assert_eq!(answer.body["status"], "done");
    for odd in [json!("a.txt"), json!(5)] {
        assert_eq!(hub.client.with_body(Method::PUT, &path, odd).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_paths_are_told_of_in_the_words_of_json_and_http() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t", "script": "true" })).await;
    let answer = hub.client.post(&format!("/api/exec/{id}"), json!({ "timeout_seconds": 5.0 })).await;
    let detail = answer.body["detail"].as_str().expect("words");
    assert!(answer.status == 400 && detail.contains("a whole number") && !detail.contains("u32"), "{detail}");
    let same = hub.client.get("/api/%74asks?assignee=%20bob,%20t").await;
    assert_eq!((same.status.as_u16(), same.body), (200, json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_holds_up_nobody() {
    use tokio::io::AsyncWriteExt;
    let hub = Hub::with(&["--bodies-bytes-max", "4194304"]).await;
    let holder = hub.client.with_token(&create(hub.directory.path(), "holder", "write"));
    let other = hub.client.with_token(&create(hub.directory.path(), "other", "write"));
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    until(&other, StatusCode::OK).await;
    let secret = "Authorization: Bearer x\r\n";
    let mut held = Vec::new();
    for head in
        ["GET / HTTP/1.1\r\n", "GET /nowhere HTTP/1.1\r\n", &format!("POST /api/tasks HTTP/1.1\r\n{secret}")]
    {
        for _ in 0..6 {
            let mut socket = tokio::net::TcpStream::connect(hub.client.address).await.expect("connected");
            let length = 1_572_864;
            let head = format!(
                "{head}Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.expect("written");
            // A client that was answered already may be cut off.
            let _ = socket.write_all(&vec![b' '; length - 1]).await;
            held.push(socket);
        }
    }
    let asking = holder.post("/api/tasks", json!({ "title": "t" }));
    let answer = tokio::time::timeout(DEADLINE / 4, asking).await.expect("at once");
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_twice_with_a_key_is_done_once() {
    let hub = Hub::start().await;
    let id = hub.client.create(json!({ "title": "t", "script": "sleep 0.2" })).await;
    let send = async |path: &str, key: &str, body: Value| {
        let request = hub.client.request(Method::POST, path).header("idempotency-key", key).json(&body);
        hub.client.send(request).await
    };
    let path = format!("/api/exec/{id}");
    let (first, second) = (send(&path, "k", json!({})).await, send(&path, "k", json!({})).await);
    assert_eq!((first.status.as_u16(), second.status.as_u16(), first.id()), (200, 200, second.id()));
    hub.client.wait_for(&path, |it| it["status"] == "completed").await;
    assert_eq!(send(&path, "k", json!({})).await.id(), first.id());
    let all = hub.client.get(&format!("/api/executions?task_id={id}")).await.body;
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    let other = send(&path, "k", json!({ "script_content": "true" })).await;
    assert_eq!((other.status.as_u16(), &other.body["code"]), (422, &json!("idempotency_key_reused")));

    let words = json!({ "level": "info", "message": "m" });
    let announce = "/api/events/announcements";
    let (first, second) =
        (send(announce, "a", words.clone()).await, send(announce, "a", words.clone()).await);
    assert_eq!((first.status.as_u16(), first.id()), (201, second.id()));
    assert_eq!(send(announce, "k", words).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_token_holds_ends_with_it_and_what_it_runs_goes_on() {
    let hub = Hub::with(&["--executions-max", "1"]).await;
    let directory = hub.directory.path();
    let owner = hub.client.with_token(&create(directory, "owner", "exec"));
    let leaver = hub.client.with_token(&create(directory, "leaver", "exec"));
    until(&hub.client, StatusCode::UNAUTHORIZED).await;
    until(&leaver, StatusCode::OK).await;
    let running = owner.create(json!({ "title": "runs", "script": "sleep 3; exit 7" })).await;
    let queued = owner.create(json!({ "title": "waits", "script": "true" })).await;
    leaver.post(&format!("/api/exec/{running}"), json!({})).await;
    owner.wait_for(&format!("/api/exec/{running}"), |it| it["status"] == "running").await;
    leaver.post(&format!("/api/exec/{queued}"), json!({})).await;
    crate::tokens::revoke(directory, "leaver");
    let stopped = owner.wait_for(&format!("/api/exec/{queued}"), |it| it["status"] == "stopped").await;
    assert!(stopped["reason"].as_str().expect("words").contains("revoked"), "{stopped}");
    let ended = owner.wait_for(&format!("/api/exec/{running}"), |it| !it["ended_at"].is_null()).await;
    assert_eq!(ended["exit_code"], 7);

    // Nothing happens any more that could end the wait.
    let waiter = hub.client.with_token(&create(directory, "waiter", "read"));
    until(&waiter, StatusCode::OK).await;
    let head = owner.get("/api/events/status").await.body["head"].clone();
    let poll = format!("/api/events?wait=30&since={}", head.as_str().expect("an id"));
    let polling = tokio::spawn(async move { waiter.get(&poll).await });
    crate::tokens::revoke(directory, "waiter");
    let answer = tokio::time::timeout(DEADLINE / 2, polling).await.expect("in time").expect("no panic");
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
