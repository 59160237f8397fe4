//! Projects and keys: what groups tasks, counts them, and what people call them by.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub};
use crate::sse::Stream;

async fn project(client: &Client, name: &str) -> Value {
    let answer = client.post("/api/projects", json!({ "project": name })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body
}

async fn key(client: &Client, project: &str) -> String {
    let answer = client.post("/api/tasks", json!({ "title": "t", "project": project })).await;
    answer.body["key"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

async fn keys(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("/api/tasks?{query}")).await.body;
    let key = |task: &Value| task["key"].as_str().expect("a key").to_owned();
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_created_changed_archived_and_deleted_and_the_stream_tells() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let mut stream = Stream::open(client, "?project=web").await;
    let created = client.post("/api/projects", json!({ "project": "web", "title": "Web shop" })).await;
    assert_eq!((created.status, created.header("location")), (StatusCode::CREATED, "/api/projects/web"));
    assert_eq!(created.body["title"], "Web shop");
    let again = client.post("/api/projects", json!({ "project": "web" })).await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("project_exists")));

    let patch = |body: Value| client.with_body(Method::PATCH, "/api/projects/web", body);
    assert_eq!(patch(json!({ "description": "d" })).await.body["version"], 2);
    let same = patch(json!({ "description": "d" })).await;
    assert_eq!((same.header("etag"), &same.body["version"]), ("\"2\"", &json!(2)));
    let stale = client.request(Method::PATCH, "/api/projects/web").header("if-match", "\"1\"");
    let stale = client.send(stale.json(&json!({ "title": "x" }))).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch(json!({ "archived": true })).await.body["archived"], true);
    let refused = client.post("/api/tasks", json!({ "title": "t", "project": "web" })).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("project_archived")));
    assert_eq!(patch(json!({ "archived": false })).await.status, StatusCode::OK);

    let task = client.create(json!({ "title": "t", "project": "web" })).await;
    let delete = || client.send(client.request(Method::DELETE, "/api/projects/web"));
    let in_use = delete().await;
    assert_eq!((in_use.status, &in_use.body["code"]), (StatusCode::CONFLICT, &json!("project_in_use")));
    client.send(client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;
    assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
    assert_eq!(client.get("/api/projects/web").await.status, StatusCode::NOT_FOUND);
    let default = client.send(client.request(Method::DELETE, "/api/projects/default")).await;
    assert_eq!(default.status, StatusCode::CONFLICT);
    let names = client.get("/api/projects").await.body;
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{names}");

    let mut seen = Vec::new();
    while seen.last().is_none_or(|kind| kind != "project_deleted") {
        let event = stream.next().await;
        assert_eq!(event["data"]["project"], "web");
        seen.push(event["event"].as_str().expect("a kind").to_owned());
    }
    let told = [
        "project_created",
        "project_updated",
        "project_archived",
        "project_updated",
        "task_created",
        "task_deleted",
        "project_deleted",
    ];
    assert_eq!(seen, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_counted_for_each_project_and_never_given_twice() {
    let hub = Hub::start().await;
    let client = &hub.client;
    project(client, "web").await;
    assert_eq!(key(client, "web").await, "web-1");
    assert_eq!(client.post("/api/tasks", json!({ "title": "t" })).await.body["key"], "default-1");
    let mut many = join_all((0..50).map(|_| key(client, "web"))).await;
    many.sort_by_key(|key| key.rsplit_once('-').and_then(|(_, number)| number.parse::<u32>().ok()));
    assert_eq!(many, (2..=51).map(|number| format!("web-{number}")).collect::<Vec<_>>());
    // Neither after its task, nor after its project.
    let tasks = client.get("/api/tasks?project=web&limit=500").await.body;
    for task in tasks.as_array().expect("a list") {
        let path = format!("/api/tasks/{}", task["id"].as_str().expect("an id"));
        client.send(client.request(Method::DELETE, &path)).await;
    }
    assert_eq!(key(client, "web").await, "web-52");
    let last = client.get("/api/tasks?key=web-52").await.body[0]["id"].clone();
    let path = format!("/api/tasks/{}", last.as_str().expect("an id"));
    client.send(client.request(Method::DELETE, &path)).await;
    client.send(client.request(Method::DELETE, "/api/projects/web")).await;
    let refused = client.post("/api/tasks", json!({ "title": "t", "project": "web" })).await;
    assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!("project")));
    project(client, "web").await;
    let hub = hub.restart().await;
    assert_eq!(key(&hub.client, "web").await, "web-53");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_streams_and_history_are_of_a_project_or_of_keys() {
    let hub = Hub::start().await;
    let client = &hub.client;
    for name in ["web", "api"] {
        project(client, name).await;
        for _ in 0..3 {
            key(client, name).await;
        }
    }
    assert_eq!(keys(client, "project=web").await, ["web-1", "web-2", "web-3"]);
    assert_eq!(keys(client, "project=web,api&key=api-2,web-3,default-9").await, ["web-3", "api-2"]);
    assert_eq!(keys(client, "q=API-2").await, ["api-2"], "as people type it");
    assert_eq!(keys(client, "project=nowhere").await, [""; 0]);
    assert_eq!(keys(client, "ready=true&project=api&limit=2").await, ["api-1", "api-2"]);
    assert_eq!(keys(client, "ready=false").await, [""; 0]);
    for (query, field) in [("project=Web", "project"), ("key=web", "key"), ("ready=yes", "ready")] {
        let refused = client.get(&format!("/api/tasks?{query}")).await;
        assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!(field)));
    }
    let history = client.get("/api/events?project=api&events=task_created").await.body;
    assert_eq!(history.as_array().map(Vec::len), Some(3));
    let mut stream = Stream::open(client, "?since=earliest&key=web-2,api-3").await;
    for key in ["web-2", "api-3"] {
        assert_eq!(stream.next().await["data"]["key"], key);
    }
}
