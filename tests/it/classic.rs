//! The first system's wire: its clients are answered as they were.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub, HubProcess};
use crate::tokens::create;

async fn ask(client: &Client, method: Method, path: &str) -> (u16, Value) {
    let answer = client.send(client.request(method, path)).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_first_system_does_its_work() {
    let hub = Hub::start().await;
    let client = &hub.client;
    for root in ["", "/api"] {
        let query = "title=a%20b&content=echo%20words&directory=web&priority=high&assignee=bob";
        let (status, made) = ask(client, Method::POST, &format!("{root}/tasks/create?{query}")).await;
        assert_eq!(status, 200, "{made}");
        let task = &made["task"];
        assert_eq!((&task["content"], &task["tags"]), (&json!("echo words"), &json!(["web"])));
        let id = task["id"].as_str().expect("an id");

        let (status, known) = ask(client, Method::GET, &format!("{root}/tasks/file/{id}")).await;
        assert_eq!((status, &known["title"], &known["content"]), (200, &json!("a b"), &json!("echo words")));

        let report = format!("{root}/tasks/status/{id}?new_status=review&priority=low");
        let answer = client.with_body(Method::PUT, &report, json!(["a.txt"])).await;
        assert_eq!((answer.status, &answer.body["artifacts"]), (StatusCode::OK, &json!(["a.txt"])));

        let script = json!({ "script_content": "echo one; echo two" });
        let started = client.post(&format!("{root}/exec/{id}"), script).await;
        assert_eq!(started.status, StatusCode::OK, "{}", started.body);
        let at = format!("{root}/exec/status/{id}");
        client.wait_for(&at, |execution| execution["status"] == "completed").await;
        let (status, log) = ask(client, Method::GET, &format!("{root}/exec/logs/{id}?tail=100")).await;
        let expected = json!({ "task_id": id, "logs": ["one", "two"], "line_count": 2 });
        assert_eq!((status, log), (200, expected));
        assert_eq!(ask(client, Method::POST, &format!("{root}/exec/stop/{id}")).await.0, 409);
        assert_eq!(ask(client, Method::GET, &format!("{root}/exec/attach/{id}")).await.0, 409);
        let (status, standing) = ask(client, Method::GET, &format!("{root}/events/status")).await;
        assert_eq!((status, &standing["status"]), (200, &json!("active")));
        for path in ["sync", "index?file_path=a.md"] {
            let (status, problem) = ask(client, Method::POST, &format!("{root}/tasks/{path}")).await;
            assert_eq!((status, &problem["code"]), (409, &json!("no_mirror")));
        }
    }
    let (_, todo) = ask(client, Method::GET, "/tasks/").await;
    assert_eq!(todo, json!([]), "what is to do, unless another status is asked for");
    let (_, review) = ask(client, Method::GET, "/tasks/?status=review").await;
    assert_eq!(review.as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_as_on_our_own_routes() {
    let hub = Hub::start().await;
    for (method, path, status) in [
        (Method::POST, "/tasks/create", 400),
        (Method::POST, "/tasks/create?title=a&colour=red", 400),
        (Method::GET, "/tasks/file/1", 400),
        (Method::GET, "/tasks/file/0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e", 404),
        (Method::GET, "/tasks/create", 404),
        (Method::GET, "/help/tools/nothing", 404),
        (Method::GET, "/mcp/messages", 410),
        (Method::POST, "/mcp/messages/", 410),
    ] {
        let (answered, problem) = ask(&hub.client, method, path).await;
        assert_eq!(answered, status, "{path}: {problem}");
    }
    let (status, help) = ask(&hub.client, Method::GET, "/help/").await;
    let tools = help["tools"].as_array().expect("a list");
    assert!(status == 200 && tools.iter().any(|tool| tool["name"] == "createTask"), "{help}");
    let (_, tool) = ask(&hub.client, Method::GET, "/help/tools/startExecution").await;
    assert_eq!((&tool["method"], &tool["path"]), (&json!("POST"), &json!("/api/exec/{task_id}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_allows_there_what_it_allows_here() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = create(directory.path(), "reader", "read");
    let hub = HubProcess::start(directory.path(), &[]).await;
    let reader = hub.client.with_token(&secret);
    for (method, path, without, with) in [
        (Method::POST, "/tasks/create?title=a", 401, 403),
        (Method::GET, "/tasks", 401, 200),
        (Method::GET, "/events/status", 401, 200),
        (Method::GET, "/help", 401, 200),
    ] {
        assert_eq!(ask(&hub.client, method.clone(), path).await.0, without, "{path}");
        assert_eq!(ask(&reader, method, path).await.0, with, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_systems_environment_says_where_to_listen() {
    let directory = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    command.args(["serve", "--log-format", "json", "--data-dir"]).arg(directory.path());
    command.env("TASKHUB_HOST", "127.0.0.1").env("TASKHUB_PORT", free.port().to_string());
    let hub = HubProcess::spawn(command).await;
    assert_eq!(hub.client.address, free);
}
