//! Secrets that are planted, and searched for in everything that the hub wrote: its log at the most talkative, its
//! answers, its metrics, its streams, its database.

use std::path::Path;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Client, HubProcess};
use crate::sse::Stream;
use crate::tokens::{create, until};

const IN_A_SCRIPTS_ENVIRONMENT: &str = "PLANTED-environment-6f1c";
const IN_A_SCRIPT: &str = "PLANTED-script-6f1c";
const IN_A_DESCRIPTION: &str = "PLANTED-description-6f1c";

/// Every file below a directory that holds one of these.
fn files_with(directory: &Path, secrets: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_with(&path, secrets, found);
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let holds = |secret: &&&str| memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
            found
                .extend(secrets.iter().filter(holds).map(|secret| format!("{secret} in {}", path.display())));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_the_hub_writes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let token = create(&data, "planted", "exec");
    let mut command = HubProcess::command(&data, "127.0.0.1:0");
    command.args(["--log", "trace"]);
    let hub = HubProcess::spawn_with_log(command, &log).await;
    let client = hub.client.with_token(&token);
    let bare = Client::new(client.address);
    let mut stream = Stream::open(&client, "").await;
    let mut answers = Vec::new();

    // As it should be sent, and as it should not.
    let id =
        client.create(json!({ "title": "t", "description": IN_A_DESCRIPTION, "script": IN_A_SCRIPT })).await;
    let misplaced = [
        bare.request(Method::GET, &format!("/api/events/stream?ticket={token}")),
        bare.request(Method::GET, &format!("/api/tasks?token={token}")),
        bare.request(Method::GET, "/api/tasks").header(AUTHORIZATION, format!("Basic {token}")),
        bare.request(Method::GET, "/api/tasks").header(AUTHORIZATION, format!("Bearer {token}x")),
        bare.request(Method::GET, "/api/tasks").header(AUTHORIZATION, &token),
        client.request(Method::GET, "/api/tasks").header(AUTHORIZATION, HeaderValue::from_static("Bearer x")),
        client.request(Method::GET, &format!("/api/tasks?limit={token}")),
        client.request(Method::POST, "/api/tasks").json(&json!({ "title": token, "no_such_field": 1 })),
    ];
    for request in misplaced {
        let answer = bare.send(request).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        answers.push(String::from_utf8(answer.bytes.to_vec()).expect("UTF-8"));
    }
    let ticket = client.send(client.request(Method::POST, "/api/events/tickets")).await;
    let ticket = ticket.body["ticket"].as_str().expect("a ticket").to_owned();
    drop(Stream::open(&bare, &format!("?ticket={ticket}")).await);
    let env = json!({ "TASKHUB_TOKEN": token, "SECRET": IN_A_SCRIPTS_ENVIRONMENT });
    let script = "test -n \"$TASKHUB_TOKEN\" && test -n \"$SECRET\"";
    client.post(&format!("/api/exec/{id}"), json!({ "script_content": script, "env": env })).await;
    client.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "completed").await;
    for path in
        ["/metrics", "/api/events?since=earliest", "/api/events/status?clients=true", "/api/executions"]
    {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        answers.push(String::from_utf8(answer.bytes.to_vec()).expect("UTF-8"));
    }
    until(&client, StatusCode::OK).await;
    while stream.next_event().await["data"]["execution_event"] != "completed" {}
    answers.push(format!("{:?}", stream.parser));
    assert_eq!(hub.terminate().await, Some(0));

    let secrets = [token.as_str(), ticket.as_str(), IN_A_SCRIPTS_ENVIRONMENT];
    let mut found = Vec::new();
    files_with(directory.path(), &secrets, &mut found);
    assert_eq!(found, Vec::<String>::new());
    // The log tells of each request, so it is the right one, and of no body.
    let told = std::fs::read_to_string(&log).expect("the log");
    assert!(told.contains("\"http.path\":\"/api/tasks\"") && told.contains("taskhub::audit"), "{told}");
    for text in [IN_A_SCRIPT, IN_A_DESCRIPTION] {
        assert!(!told.contains(text), "{text} is in the log");
    }
    // `limit=…` is told to whoever sent it, and to nobody else.
    answers.retain(|answer| !answer.contains("\"limit\""));
    for answer in &answers {
        assert!(!secrets.iter().any(|secret| answer.contains(secret)), "{answer}");
    }
}
