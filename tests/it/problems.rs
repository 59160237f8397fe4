//! Wrong requests: each gets the right status, a problem that says what is wrong, and changes nothing. Never
//! is it the hub's fault, and never does the hub go down with it.

use std::collections::BTreeSet;

use futures_util::stream;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use taskhub::api::spec::DOCUMENT;
use taskhub::domain::event::EventId;

use crate::harness::{Answer, Answered, Client, Hub};
use crate::sse::Stream;

const NOBODY: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
const BODY_BYTES_MAX: usize = 1_572_864;

/// A hub with one task, which nothing here may change.
pub struct Bench {
    hub: Hub,
    id: String,
}

impl Bench {
    pub async fn new() -> Self {
        let hub = Hub::with(&["--request-seconds-max", "1"]).await;
        let id = hub.client.create(json!({ "title": "t", "assignee": "ada" })).await;
        Self { hub, id }
    }

    pub fn client(&self) -> &Client {
        &self.hub.client
    }

    /// All tasks, all executions and the head of the log.
    pub async fn standing(&self) -> [Value; 3] {
        let [tasks, executions, status] =
            ["/api/tasks", "/api/executions", "/api/events/status"].map(|path| self.client().get(path));
        [tasks.await.body, executions.await.body, status.await.body["head"].clone()]
    }

    /// Sends what must be refused, with `status` and a code that starts with `code`.
    async fn refuse(&self, request: RequestBuilder, status: u16, code: &str) -> Answer {
        let told = format!("{request:?}");
        let before = self.standing().await;
        let answer = self.client().send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{told}: {answer:?}");
        let text = |field: &str| answer.body[field].as_str().unwrap_or_default();
        assert!(text("code").starts_with(code), "{told}: {answer:?}");
        assert!(!text("detail").is_empty(), "{told}: {answer:?}");
        assert_eq!(answer.body["status"], status);
        assert_eq!(self.standing().await, before, "{told}");
        answer
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().expect("a method");
        self.client().request(method, &path.replace("{id}", &self.id))
    }

    /// A request with JSON as it is written here.
    fn json(&self, method: &str, path: &str, body: impl Into<String>) -> RequestBuilder {
        self.request(method, path).header(CONTENT_TYPE, "application/json").body(body.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_is_refused_and_the_field_is_named() {
    let bench = Bench::new().await;
    let long = |chars| "é".repeat(chars);
    let list = |count| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let fields = [
        ("title", json!("")),
        ("title", json!(" \n\t\u{2028}")),
        ("title", json!("\u{200b}")),
        ("assignee", json!("\u{200b}\u{feff}")),
        ("assignee", json!("a\u{2028}b")),
        ("title", json!(long(501))),
        ("title", json!(5)),
        ("title", json!(true)),
        ("title", json!(null)),
        ("title", json!(["t"])),
        ("description", json!(7)),
        ("description", json!("d".repeat((1 << 20) + 1))),
        ("status", json!("doing")),
        ("status", json!("Todo")),
        ("status", json!(null)),
        ("status", json!(0)),
        ("priority", json!("urgent")),
        ("priority", json!(2)),
        ("assignee", json!("")),
        ("assignee", json!("  ")),
        ("assignee", json!("a,b")),
        ("assignee", json!("a\nb")),
        ("assignee", json!("a\u{0}")),
        ("assignee", json!("a\u{7f}")),
        ("assignee", json!("a\u{85}")),
        ("assignee", json!(long(201))),
        ("tags", json!("x")),
        ("tags", json!(list(51))),
        ("tags[1]", json!(["x", "a,b"])),
        ("tags[1]", json!(["x", "a\u{2028}b"])),
        ("tags[0]", json!([""])),
        ("tags[0]", json!([long(201)])),
        ("tags[2]", json!(["x", "y", 3])),
        ("tags[0]", json!([null])),
        ("artifacts", json!(list(1001))),
        ("artifacts[0]", json!([""])),
        ("artifacts[0]", json!(["a".repeat(4097)])),
        ("script", json!("")),
        ("script", json!(" \n")),
        ("script", json!("a\u{0}b")),
        ("script", json!("x".repeat((256 << 10) + 1))),
    ];
    for (field, value) in fields {
        let name = field.split('[').next().expect("a name");
        let mut body = json!({ "title": "t" });
        body[name] = value;
        for (method, path) in [("POST", "/api/tasks"), ("PATCH", "/api/tasks/{id}")] {
            let answer = bench.refuse(bench.json(method, path, body.to_string()), 400, "invalid_field").await;
            assert_eq!(answer.body["field"], field, "{answer:?}");
        }
    }
    let places = [
        ("POST", "/api/tasks", json!({}), "title"),
        ("PUT", "/api/tasks/status/{id}", json!({}), "new_status"),
        ("PUT", "/api/tasks/status/{id}", json!({ "new_status": "nope" }), "todo, inprogress, review, done"),
        ("PUT", "/api/tasks/status/{id}", json!({ "new_status": "done", "artifacts": list(1001) }), "1000"),
        ("POST", "/api/events/announcements", json!({ "level": "loud", "message": "m" }), "critical"),
        ("POST", "/api/events/announcements", json!({ "level": "info", "message": " " }), "blank"),
        ("POST", "/api/events/announcements", json!({ "level": "info", "message": long(2001) }), "2000"),
        ("POST", "/api/events/announcements", json!({ "level": "info" }), "message"),
        ("POST", "/api/tasks", json!({ "title": "t", "status": "doing" }), "todo, inprogress, review, done"),
        ("POST", "/api/tasks", json!({ "title": "t", "priority": "x" }), "low, medium, high"),
        (
            "POST",
            "/api/tasks",
            json!({ "titel": "t" }),
            "`titel`, expected one of `project`, `title`, `description`",
        ),
        ("PATCH", "/api/tasks/{id}", json!({ "version": 3 }), "`version`, expected one of `title`"),
        ("PATCH", "/api/tasks/{id}", json!({ "id": NOBODY }), "`id`, expected one of `title`"),
        ("PUT", "/api/tasks/status/{id}", json!({ "new_status": "done", "tags": [] }), "`tags`, expected"),
        ("POST", "/api/exec/{id}", json!({ "script": "true" }), "`script`, expected one of `script_content`"),
    ];
    for (method, path, body, words) in places {
        let answer = bench.refuse(bench.json(method, path, body.to_string()), 400, "invalid_field").await;
        assert!(answer.body["detail"].as_str().is_some_and(|it| it.contains(words)), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_execution_request_is_refused() {
    let bench = Bench::new().await;
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("A{n}"), json!("x"))).collect();
    for body in [
        json!({ "timeout_seconds": 0 }),
        json!({ "timeout_seconds": -1 }),
        json!({ "timeout_seconds": 2_592_001 }),
        json!({ "timeout_seconds": 1u64 << 40 }),
        json!({ "timeout_seconds": 1.5 }),
        json!({ "timeout_seconds": "5" }),
        json!({ "retries": -1 }),
        json!({ "retries": 11 }),
        json!({ "retries": null }),
        json!({ "retry_delay_seconds": 3601 }),
        json!({ "memory_bytes_max": 67_108_863 }),
        json!({ "memory_bytes_max": 1u64 << 51 }),
        json!({ "cwd": "/etc" }),
        json!({ "cwd": "a/../../b" }),
        json!({ "cwd": "a\u{0}" }),
        json!({ "cwd": "a/".repeat(2049) }),
        json!({ "cwd": 1 }),
        json!({ "env": { "": "x" } }),
        json!({ "env": { "1A": "x" } }),
        json!({ "env": { "A=B": "x" } }),
        json!({ "env": { "Ä": "x" } }),
        json!({ "env": { "TASKHUB_TASK_ID": "x" } }),
        json!({ "env": { "A": "a\u{0}" } }),
        json!({ "env": { "A": 1 } }),
        json!({ "env": { "A": null } }),
        json!({ "env": { "A": "x".repeat((32 << 10) + 1) } }),
        json!({ "env": many }),
        json!({ "env": [] }),
        json!({ "env": null }),
        json!({ "script_content": "" }),
        json!({ "script_content": "a\u{0}" }),
        json!({ "script_content": ["true"] }),
    ] {
        let answer =
            bench.refuse(bench.json("POST", "/api/exec/{id}", body.to_string()), 400, "invalid_field");
        assert!(answer.await.body["field"].is_string(), "{body}");
    }
    for request in [
        bench.request("POST", "/api/exec/{id}"),
        bench.json("POST", "/api/exec/{id}", "null"),
        bench.json("POST", "/api/exec/{id}", "{}"),
        bench.json("POST", "/api/exec/{id}", r#"{"script_content":null,"cwd":null,"timeout_seconds":null}"#),
    ] {
        bench.refuse(request, 409, "nothing_to_run").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_object_is_refused() {
    let bench = Bench::new().await;
    let bodies = [
        "",
        " ",
        "{",
        "{\"title\":\"t\"",
        "{title:1}",
        "{\"title\":\"t\"} x",
        "{\"title\":\"t\"}{}",
        "{\"title\":\"\\ud800\"}",
        "{\"title\":\"t\",}",
        "{'title':'t'}",
        "{\"title\":\"t\",\"title\":\"u\"}",
        "{\"title\":NaN}",
        "{\"title\":\"t\",\"priority\":1e999}",
        "\u{feff}{\"title\":\"t\"}",
        "null",
        "5",
        "\"t\"",
        "[]",
        "[\"t\"]",
        "[\"done\"]",
        "[{\"title\":\"t\"}]",
        "[\"t\",\"d\",\"todo\",null,null,[],[],null]",
    ];
    let deep = "[".repeat(100_000);
    let places = [("POST", "/api/tasks"), ("PATCH", "/api/tasks/{id}"), ("PUT", "/api/tasks/status/{id}")];
    for body in bodies.into_iter().chain([deep.as_str()]) {
        for (method, path) in places.into_iter().chain([("POST", "/api/events/announcements")]) {
            bench.refuse(bench.json(method, path, body), 400, "invalid_").await;
        }
    }
    for body in ["[]", "[\"true\"]", "5", "\"true\"", "{", "null null"] {
        bench.refuse(bench.json("POST", "/api/exec/{id}", body), 400, "invalid_").await;
    }
    let not_utf8 = bench.request("POST", "/api/tasks").header(CONTENT_TYPE, "application/json");
    bench.refuse(not_utf8.body(b"{\"title\":\"\xff\"}".to_vec()), 400, "invalid_json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_declared_as_json_or_is_too_large_is_refused() {
    let bench = Bench::new().await;
    let operations = [
        ("POST", "/api/tasks"),
        ("PATCH", "/api/tasks/{id}"),
        ("PUT", "/api/tasks/status/{id}"),
        ("POST", "/api/exec/{id}"),
        ("POST", "/api/events/announcements"),
    ];
    for (method, path) in operations {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "json",
            "",
        ] {
            let request = bench.request(method, path).header(CONTENT_TYPE, kind).body("{}");
            bench.refuse(request, 415, "unsupported_media_type").await;
        }
        bench.refuse(bench.request(method, path).body("{}"), 415, "unsupported_media_type").await;
        let large = format!("{{\"title\":\"{}\"}}", "x".repeat(2 << 20));
        bench.refuse(bench.json(method, path, large.clone()), 413, "body_too_large").await;
        let chunks = large
            .into_bytes()
            .chunks(65_536)
            .map(|it| Ok::<_, std::io::Error>(it.to_vec()))
            .collect::<Vec<_>>();
        let chunked = bench.request(method, path).header(CONTENT_TYPE, "application/json");
        let chunked = chunked.body(reqwest::Body::wrap_stream(stream::iter(chunks)));
        bench.refuse(chunked, 413, "body_too_large").await;
    }
    bench.refuse(bench.request("POST", "/api/tasks"), 415, "unsupported_media_type").await;
    let over = " ".repeat(BODY_BYTES_MAX - 12) + r#"{"title":"t"}"#;
    bench.refuse(bench.json("POST", "/api/tasks", over.clone()), 413, "body_too_large").await;
    let fits = bench.json("POST", "/api/tasks", &over[1..]);
    assert_eq!(bench.client().send(fits).await.status, StatusCode::CREATED, "the limit itself is allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_refused_and_named() {
    let bench = Bench::new().await;
    let (names, many, long) = ("a%01b", vec!["x"; 101].join(","), "x".repeat(201));
    let mut cases: Vec<(String, &str)> = Vec::new();
    let filters = [
        ("status", vec!["nope", "todo,nope"]),
        ("priority", vec!["urgent"]),
        ("assignee", vec![names, &long, &many]),
        ("tag", vec![names, &long, &many]),
    ];
    for list in ["/api/tasks", "/api/events", "/api/events/stream"] {
        for (name, values) in &filters {
            cases.extend(values.iter().map(|value| (format!("{list}?{name}={value}"), *name)));
        }
    }
    for list in ["/api/events", "/api/events/stream"] {
        cases.push((format!("{list}?events=task_created,nope"), "events"));
        cases.push((format!("{list}?task_id={NOBODY},x"), "task_id"));
    }
    for (list, beyond) in [("/api/tasks", 501), ("/api/executions", 501), ("/api/events", 1001)] {
        let beyond = beyond.to_string();
        for limit in ["0", "-1", "x", "", "1.5", "99999999999", &beyond] {
            cases.push((format!("{list}?limit={limit}"), "limit"));
        }
    }
    let cursor = format!("created_at.asc.1.{NOBODY}");
    for (path, name) in [
        ("/api/tasks?asignee=anna", "asignee"),
        ("/api/tasks?limit=1&limit=3", "limit"),
        ("/api/events?assignee=", "assignee"),
        ("/api/events/stream?status=", "status"),
        ("/api/tasks?tag=", "tag"),
        ("/api/tasks?priority=high,", "priority"),
        ("/health?x", "x"),
        ("/api/tasks?sort=title", "sort"),
        ("/api/tasks?order=up", "order"),
        ("/api/tasks?cursor=x", "cursor"),
        ("/api/tasks?cursor=", "cursor"),
        (&format!("/api/tasks?sort=updated_at&cursor={cursor}"), "cursor"),
        (&format!("/api/tasks?order=desc&cursor={cursor}"), "cursor"),
        (&format!("/api/tasks?cursor={cursor}.1"), "cursor"),
        (&format!("/api/tasks?q={long}"), "q"),
        ("/api/executions?status=todo", "status"),
        ("/api/executions?task_id=x", "task_id"),
        ("/api/executions?cursor=0", "cursor"),
        ("/api/executions?cursor=x", "cursor"),
        ("/api/events?wait=61", "wait"),
        ("/api/events?wait=-1", "wait"),
        ("/api/events/status?clients=maybe", "clients"),
        ("/api/events/stream?named=maybe", "named"),
        ("/api/exec/{id}/logs?tail=0", "tail"),
        ("/api/exec/{id}/logs?tail=10001", "tail"),
        ("/api/exec/{id}/logs?offset=-1", "offset"),
    ] {
        cases.push((path.to_owned(), name));
    }
    for (path, name) in cases {
        let answer = bench.refuse(bench.request("GET", &path), 400, "invalid_parameter").await;
        assert_eq!(answer.body["field"], name, "{path}: {answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|it| it.starts_with(name)), "{answer:?}");
    }
}

/// Every documented path with the methods that it has.
fn operations() -> Vec<(String, BTreeSet<String>)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let methods =
        |it: &Value| it.as_object().expect("operations").keys().map(|it| it.to_uppercase()).collect();
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_it_has() {
    let bench = Bench::new().await;
    let pages = ["/", "/docs", "/test_sse.html", "/openapi.json", "/openapi.yaml", "/favicon.ico"];
    let pages = pages.map(|page| (page.to_owned(), BTreeSet::from(["GET".to_owned()])));
    for (path, mut methods) in operations().into_iter().chain(pages) {
        let path = path.replace("{task_id}", &bench.id);
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
            let ask = |method| bench.client().request(method, &path).answered();
            let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
            assert_eq!(head.status(), get.status(), "HEAD {path}");
            assert_eq!(head.headers()[CONTENT_TYPE], get.headers()[CONTENT_TYPE], "HEAD {path}");
            assert!(head.bytes().await.expect("an end").is_empty(), "HEAD {path}");
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            for slash in if methods.contains(method) { &[][..] } else { &["", "/"] } {
                let request = bench.request(method, &format!("{}{slash}", path.trim_end_matches('/')));
                let answer = bench.refuse(request, 405, "method_not_allowed").await;
                let allow: BTreeSet<_> = answer.header("allow").split(", ").map(str::to_owned).collect();
                assert_eq!(allow, methods, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_not_to_be_there() {
    let bench = Bench::new().await;
    for (path, methods) in operations().into_iter().filter(|(path, _)| path.contains("{task_id}")) {
        for method in methods {
            let body = match (method.as_str(), path.starts_with("/api/exec")) {
                ("PUT", _) => Some(r#"{"new_status":"done"}"#),
                ("PATCH", _) => Some(r#"{"title":"u"}"#),
                ("POST", false) => Some(r#"{"text":"t"}"#),
                _ => None,
            };
            // What it has to be asked.
            let query = if path.ends_with("/wait") { "?until=ready" } else { "" };
            let ask = |id: &str| {
                let request = bench.request(&method, &(path.replace("{task_id}", id) + query));
                match body {
                    Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
                    None => request,
                }
            };
            bench.refuse(ask(NOBODY), 404, "task_not_found").await;
            let simple = bench.id.replace('-', "");
            let (braced, urn) = (format!("%7B{}%7D", bench.id), format!("urn:uuid:{}", bench.id));
            for wrong in
                [&simple, &braced, &urn, &bench.id[1..], &format!("{}0", bench.id), "x", "%00", "%FF"]
            {
                let answer = bench.refuse(ask(wrong), 400, "invalid_parameter").await;
                assert_eq!(answer.body["field"], "task_id", "{method} {path} {wrong}");
            }
        }
    }
    for path in ["/api/exec/{id}", "/api/exec/{id}/logs", "/api/exec/{id}/logs/raw"] {
        bench.refuse(bench.request("GET", path), 404, "execution_not_found").await;
    }
    bench.refuse(bench.request("POST", "/api/exec/{id}/stop"), 404, "execution_not_found").await;
    for path in [
        "/nowhere",
        "/api",
        "/api/",
        "/api/nowhere",
        "/api/tasks/{id}/x",
        "/api/events/x",
        "/assets/x",
        "/assets/..%2fboard.js",
        "/%FF",
        "/api/tasks%2F{id}",
        "/API/tasks",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            bench.refuse(bench.request(method, path), 404, "route_not_found").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_no_place_in_the_log_is_gone_for_a_list_and_a_reset_for_a_stream() {
    let bench = Bench::new().await;
    let head = bench.standing().await[2].as_str().expect("an id").to_owned();
    let epoch = head.split('-').next().expect("a part");
    let other = if epoch == "00000000" { "00000001-1" } else { "00000000-1" };
    let future = format!("{epoch}-99");
    for (cursor, reason) in [
        (other, "unknown_epoch"),
        (&future, "future"),
        ("x", "unknown_epoch"),
        ("-1", "unknown_epoch"),
        (&format!("{epoch}-01"), "unknown_epoch"),
        (&format!("{epoch}-9223372036854775807"), "future"),
        (&format!("{epoch}-9999999999999999999"), "unknown_epoch"),
    ] {
        let mut streams = vec![
            Stream::connect(bench.client(), &format!("?last_event_id={cursor}"), None).await,
            Stream::resume(bench.client(), cursor).await,
        ];
        let list = bench.request("GET", &format!("/api/events?since={cursor}"));
        if cursor.parse::<EventId>().is_ok() {
            bench.refuse(list, 410, "cursor_gone").await;
            streams.push(Stream::connect(bench.client(), &format!("?since={cursor}"), None).await);
        } else {
            // What a program remembered gets a reset; what a person has written is corrected.
            bench.refuse(list, 400, "invalid_parameter").await;
            let stream = bench.request("GET", &format!("/api/events/stream?since={cursor}"));
            bench.refuse(stream, 400, "invalid_parameter").await;
        }
        for mut stream in streams {
            let reset = stream.next().await;
            assert_eq!(reset["event"], "reset", "{cursor}");
            assert_eq!((&reset["data"]["reason"], &reset["data"]["head"]), (&json!(reason), &json!(head)));
            if reason == "unknown_epoch" {
                assert_eq!(reset["data"]["oldest"], reset["id"], "it starts before the oldest event");
                assert_eq!(stream.next_event().await["id"], head.as_str());
            } else {
                assert_eq!(reset["id"], head.as_str(), "it goes on live");
            }
        }
    }
    let odd = bench.client().request(Method::GET, "/api/events/stream");
    let odd = odd.header("Last-Event-ID", HeaderValue::from_bytes(b"\xe9").expect("a header"));
    let mut odd = odd.answered().await;
    let chunk = odd.chunk().await.expect("a chunk").expect("a chunk");
    assert!(String::from_utf8_lossy(&chunk).contains(r#""event":"reset""#), "{chunk:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_retention_has_passed_is_expired() {
    let hub = Hub::with(&["--retain-events-max", "3"]).await;
    for number in 1..=9 {
        hub.client.create(json!({ "title": format!("{number}") })).await;
    }
    // Retention spares what the ring holds, and runs at the start, when the ring is empty.
    let hub = hub.restart().await;
    let done = |status: &Value| status["oldest"].as_str().is_some_and(|it| it.ends_with("-6"));
    let status = hub.client.wait_for("/api/events/status", done).await;
    let [passed, oldest] = [5, 6].map(|seq| format!("{}-{seq}", status["epoch"].as_str().expect("an epoch")));
    let answer = hub.client.get(&format!("/api/events?since={passed}")).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::GONE, &json!("cursor_gone")));
    assert!(answer.body["detail"].as_str().is_some_and(|it| it.contains(&oldest)), "{answer:?}");
    let mut stream = Stream::resume(&hub.client, &passed).await;
    let reset = stream.next().await;
    assert_eq!((&reset["event"], &reset["data"]["reason"]), (&json!("reset"), &json!("expired")));
    assert_eq!((&reset["id"], &reset["data"]["oldest"]), (&json!(oldest), &json!(oldest)));
    for title in ["7", "8", "9"] {
        assert_eq!(stream.next_event().await["data"]["title"], title);
    }
    let list = hub.client.get(&format!("/api/events?since={oldest}")).await;
    assert_eq!(list.body.as_array().map(Vec::len), Some(3), "the oldest position itself is none too old");
}
