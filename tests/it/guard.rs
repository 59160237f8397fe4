//! Pages of other sites get nothing here: not by a name of their own that leads to this machine, not by a
//! request across sites. Every route is tried, so that a new one cannot stay outside the guard.

use reqwest::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use taskhub::api::spec::DOCUMENT;
use taskhub::web;

use crate::harness::{Answered, Hub};
use crate::tokens::{create, until};

const NOBODY: &str = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";

/// A hub with one task that has a script, and every route of it.
struct Bench {
    hub: Hub,
    routes: Vec<(Method, String)>,
}

impl Bench {
    async fn new() -> Self {
        let hub = Hub::start().await;
        let id = hub.client.create(json!({ "title": "t", "script": "true" })).await;
        let mut routes = vec![(Method::GET, "/nowhere".to_owned()), (Method::POST, "/nowhere".to_owned())];
        let operations = DOCUMENT["paths"].as_object().expect("paths").keys();
        let paths = operations.map(|path| {
            let path = path.replace("{task_id}", &id).replace("{project}", "evil");
            path.replace("{lease_id}", NOBODY).replace("{question_id}", NOBODY)
        });
        let pages = web::paths().map(str::to_owned).chain(["/mcp".to_owned()]);
        let paths: Vec<_> = paths.chain(pages).collect();
        assert!(paths.len() > 35, "the routes are found");
        // With each method, whether or not the route has it: one that it gets later must not stay outside.
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            routes.extend(paths.iter().map(|path| (method.clone(), path.clone())));
        }
        Self { hub, routes }
    }

    fn unsafe_routes(&self) -> impl Iterator<Item = &(Method, String)> {
        self.routes.iter().filter(|(method, _)| *method != Method::GET)
    }

    fn request(&self, route: &(Method, String)) -> RequestBuilder {
        self.hub.client.request(route.0.clone(), &route.1)
    }

    /// All tasks, all executions and the head of the log.
    async fn standing(&self) -> [Value; 3] {
        let [tasks, executions, status] =
            ["/api/tasks", "/api/executions", "/api/events/status"].map(|path| self.hub.client.get(path));
        [tasks.await.body, executions.await.body, status.await.body["head"].clone()]
    }
}

/// A call of a tool that changes something.
const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_tasks","arguments":{"tasks":[{"title":"evil"}]}}}"#;

/// A body that the operation would take.
fn fitting(path: &str) -> &'static str {
    match path {
        "/api/tasks" => r#"{"title":"evil"}"#,
        "/api/projects" => r#"{"project":"evil"}"#,
        "/api/tasks/batch" => r#"{"operations":[{"action":"create","task":{"title":"evil"}}]}"#,
        "/api/tasks/claim" => r#"{"worker":"evil"}"#,
        _ if path.starts_with("/api/leases/") => "{}",
        _ if path.starts_with("/api/questions/") => r#"{"answer":"evil"}"#,
        _ if path.ends_with("/comments") || path.ends_with("/questions") => r#"{"text":"evil"}"#,
        "/mcp" => MESSAGE,
        "/api/hooks/claude-code" => r#"{"session_id":"evil","hook_event_name":"SessionStart"}"#,
        "/api/events/announcements" => r#"{"level":"info","message":"evil"}"#,
        _ if path.starts_with("/api/tasks/status/") => r#"{"new_status":"done"}"#,
        _ if path.starts_with("/api/exec/") => r#"{"script_content":"true"}"#,
        _ => r#"{"title":"evil"}"#,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_a_host_that_is_not_its_own() {
    let bench = Bench::new().await;
    let before = bench.standing().await;
    for route in &bench.routes {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            for body in [None, Some(fitting(&route.1))] {
                let mut request = bench.request(route).header(HOST, host);
                if let Some(body) = body {
                    request = request.header(CONTENT_TYPE, "application/json").body(body);
                }
                let answer = bench.hub.client.send(request).await;
                assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host} {route:?}");
                assert_eq!(answer.body["code"], "host_not_allowed");
            }
        }
    }
    assert_eq!(bench.standing().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unsafe_route_refuses_a_page_of_another_site_with_and_without_a_body() {
    let bench = Bench::new().await;
    let before = bench.standing().await;
    let origin = |text: &'static [u8]| (ORIGIN.as_str(), HeaderValue::from_bytes(text).expect("a header"));
    let site = |text: &'static str| ("sec-fetch-site", HeaderValue::from_static(text));
    let marks = [
        origin(b"http://evil.example"),
        origin(b"https://evil.example"),
        origin(b"null"),
        origin(b""),
        origin(b"http://localhost:1"),
        origin("http://\u{e9}vil.example".as_bytes()),
        origin(b"\xff\xfe"),
        site("cross-site"),
        site("same-site"),
        site("whatever"),
    ];
    for route in bench.unsafe_routes() {
        for (name, value) in &marks {
            let marked = || bench.request(route).header(*name, value);
            let bodies = [
                marked(),
                marked().header(CONTENT_TYPE, "application/json").body(fitting(&route.1)),
                marked().header(CONTENT_TYPE, "text/plain").body(fitting(&route.1)),
                marked().header(CONTENT_TYPE, "application/x-www-form-urlencoded").body("title=evil"),
                marked().body(fitting(&route.1)),
            ];
            for request in bodies {
                let answer = bench.hub.client.send(request).await;
                let refused = [StatusCode::FORBIDDEN, StatusCode::UNSUPPORTED_MEDIA_TYPE];
                assert!(refused.contains(&answer.status), "{name}: {value:?} {route:?}: {answer:?}");
            }
        }
        let simple = bench.request(route).header(CONTENT_TYPE, "text/plain").body(fitting(&route.1));
        let answer = bench.hub.client.send(simple).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{route:?}");
    }
    let report =
        bench.unsafe_routes().find(|(_, path)| path.starts_with("/api/tasks/status/")).expect("a PUT");
    let by_query = format!("{}?new_status=done", report.1);
    let by_query = bench.hub.client.request(Method::PUT, &by_query).header(ORIGIN, "http://evil.example");
    assert_eq!(bench.hub.client.send(by_query).await.status, StatusCode::FORBIDDEN);
    assert_eq!(bench.standing().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_own_pages_may_change_things() {
    let bench = Bench::new().await;
    let address = bench.hub.client.address;
    let before = bench.standing().await;
    let names = [format!("127.0.0.1:{}", address.port()), format!("localhost:{}", address.port())];
    for (name, site) in names.iter().zip(["same-origin", "none"]) {
        for route in bench.unsafe_routes().filter(|(method, _)| *method != Method::DELETE) {
            let request = bench.request(route).header(HOST, name).header(ORIGIN, format!("http://{name}"));
            let request = request.header("sec-fetch-site", site).header(CONTENT_TYPE, "application/json");
            let status = bench.hub.client.send(request.body(fitting(&route.1))).await.status;
            let refused = [
                StatusCode::FORBIDDEN,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                StatusCode::MISDIRECTED_REQUEST,
                StatusCode::BAD_REQUEST,
            ];
            assert!(!refused.contains(&status), "{route:?}: {status}");
        }
    }
    assert_ne!(bench.standing().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_lets_another_site_read_it() {
    let bench = Bench::new().await;
    for route in &bench.routes {
        for method in [route.0.clone(), Method::OPTIONS] {
            let request = bench.request(&(method, route.1.clone())).header(ORIGIN, "http://evil.example");
            let request = request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type");
            let answer = request.answered().await;
            let names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
            assert!(!names.iter().any(|name| name.starts_with("access-control-")), "{route:?}: {names:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_answered_for_when_the_operator_allows_it() {
    let hub = Hub::with(&["--allow-host", "hub.example"]).await;
    for (host, status) in [
        ("hub.example", StatusCode::OK),
        ("HUB.example:8000", StatusCode::OK),
        ("localhost", StatusCode::OK),
        ("[::1]:1", StatusCode::OK),
        ("sub.hub.example", StatusCode::MISDIRECTED_REQUEST),
        ("hub.example.evil.example", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let answer = hub.client.send(hub.client.request(Method::GET, "/health").header(HOST, host)).await;
        assert_eq!(answer.status, status, "{host}");
    }
    let create = |origin: &str| {
        let request = hub.client.request(Method::POST, "/api/tasks").header(HOST, "hub.example");
        request.header(ORIGIN, origin).json(&json!({ "title": "t" }))
    };
    assert_eq!(hub.client.send(create("https://hub.example")).await.status, StatusCode::CREATED);
    assert_eq!(hub.client.send(create("https://other.example")).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_origin_that_is_named_exactly_may_use_the_hub() {
    let flags = ["--allow-origin", "https://app.example,http://localhost:3000", "--require-auth"];
    let hub = Hub::with(&flags).await;
    let client = hub.client.with_token(&create(hub.directory.path(), "page", "write"));
    until(&client, StatusCode::OK).await;
    let value = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned()).unwrap_or_default()
    };
    for origin in ["https://app.example", "http://localhost:3000"] {
        // A browser asks first, without a token.
        let preflight = hub.client.request(Method::OPTIONS, "/api/tasks").header(ORIGIN, origin);
        let preflight = preflight
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = preflight.header("sec-fetch-site", "cross-site").answered().await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(value(&answer, "access-control-allow-origin"), origin);
        assert!(value(&answer, "access-control-allow-methods").contains("PATCH"));
        assert!(value(&answer, "access-control-allow-headers").contains("authorization"));
        assert!(value(&answer, "vary").contains("origin"));

        let create = client.request(Method::POST, "/api/tasks").header(ORIGIN, origin);
        let create = create.header("sec-fetch-site", "cross-site").json(&json!({ "title": "t" }));
        let answer = create.answered().await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(value(&answer, "access-control-allow-origin"), origin);
        assert!(value(&answer, "access-control-expose-headers").contains("etag"));
        // A refusal can be read as well; credentials are never allowed.
        let refused = hub.client.request(Method::GET, "/api/tasks").header(ORIGIN, origin);
        let refused = refused.answered().await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(value(&refused, "access-control-allow-origin"), origin);
        assert_eq!(value(&refused, "access-control-allow-credentials"), "");
    }
    for origin in [
        "https://app.example.evil.example",
        "https://app.example:443",
        "http://app.example",
        "https://APP.example",
        "null",
        "https://app.example, http://localhost:3000",
    ] {
        for (method, status) in
            [(Method::OPTIONS, StatusCode::METHOD_NOT_ALLOWED), (Method::POST, StatusCode::FORBIDDEN)]
        {
            let request = client.request(method, "/api/tasks").header(ORIGIN, origin);
            let request =
                request.header("access-control-request-method", "POST").json(&json!({ "title": "t" }));
            let answer = request.answered().await;
            assert_eq!(answer.status(), status, "{origin}");
            assert_eq!(value(&answer, "access-control-allow-origin"), "", "{origin}");
            assert!(value(&answer, "vary").contains("origin"));
        }
    }
    // Two of them are none.
    let twice = client.request(Method::POST, "/api/tasks").json(&json!({ "title": "t" }));
    let twice = twice.header(ORIGIN, "https://app.example").header(ORIGIN, "http://evil.example");
    assert_eq!(client.send(twice).await.status, StatusCode::FORBIDDEN);

    let hub = Hub::with(&["--allow-origin", "null"]).await;
    let create =
        hub.client.request(Method::POST, "/api/tasks").header(ORIGIN, "null").json(&json!({ "title": "t" }));
    let answer = create.answered().await;
    assert_eq!(
        (answer.status(), value(&answer, "access-control-allow-origin").as_str()),
        (StatusCode::CREATED, "null")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_opened_in_a_browser_runs_nothing_of_others_and_stands_in_no_frame() {
    let bench = Bench::new().await;
    for route in bench.routes.iter().filter(|(_, path)| !path.ends_with("/stream")) {
        let answer = bench.request(route).answered().await;
        let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{route:?}"
        );
        let script = policy.split("; ").find(|it| it.starts_with("script-src"));
        assert!(script.is_none_or(|it| it == "script-src 'self'"), "{route:?}: {policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{route:?}");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin", "{route:?}");
    }
}
