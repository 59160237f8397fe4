//! Every operation answers a bound token alike, whether it names what is hidden or what never existed.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use taskhub::api::spec::DOCUMENT;
use tokio::task::JoinHandle;

use super::agents::OF_AGENTS;
use super::attempts::{Attempt, Body, Names, TRIED, Tried};
use super::work_attempts::OF_WORK;
use super::{Held, World};
use crate::harness::{Answered, Client};
use crate::mcp::Agent;

/// What was answered, without what is always different.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: String,
}

impl World {
    fn hidden(&self, held: &Held) -> Names {
        Names {
            project: "bravo".into(),
            task: self.hidden.clone(),
            gone: self.gone.clone(),
            spare: held.spare.clone(),
            lease: held.lease.clone(),
            handle: format!("bravo-2.1.{}", &held.lease[30..]),
            question: held.question.clone(),
            comment: held.comment.clone(),
            key: "bravo-2".into(),
            execution: self.execution["id"].as_str().expect("an id").into(),
            number: self.execution["number"].to_string(),
            word: "bravo".into(),
            tag: "bravo-tag".into(),
            assignee: "bravo-name".into(),
            own: self.own.clone(),
        }
    }

    fn never(&self) -> Names {
        Names {
            project: "ghost".into(),
            task: "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e".into(),
            gone: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e1f".into(),
            spare: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e3f".into(),
            lease: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e4f".into(),
            handle: "ghost-2.1.7c2e4f".into(),
            question: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e5f".into(),
            comment: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e6f".into(),
            key: "ghost-2".into(),
            execution: "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e2f".into(),
            number: "9".into(),
            word: "ghost".into(),
            tag: "ghost-tag".into(),
            assignee: "ghost-name".into(),
            own: self.own.clone(),
        }
    }
}

fn request(client: &Client, attempt: &Attempt) -> reqwest::RequestBuilder {
    let mut request = client.request(attempt.method.clone(), &attempt.path).timeout(Duration::MAX);
    if let Some((name, value)) = &attempt.header {
        request = request.header(*name, value);
    }
    match &attempt.body {
        Some(Body::Json(body)) => request.json(body),
        Some(Body::Lines(all)) => {
            let text: String = all.iter().map(|it| format!("{it}\n")).collect();
            request.header("Content-Type", "application/x-ndjson").body(text)
        }
        None => request,
    }
}

/// The text without the names, which the caller has sent, and without times.
fn unnamed(text: &str, names: &Names) -> String {
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z").expect("a pattern"));
    let named = names.all().into_iter().filter(|name| name.len() > 1);
    let text = named.fold(text.to_owned(), |text, name| text.replace(name, "<name>"));
    TIME.replace_all(&text, "<time>").into_owned()
}

async fn told(client: &Client, attempt: &Attempt, names: &Names) -> Told {
    let answer = request(client, attempt).answered().await;
    let status = answer.status();
    // An agent's answer that takes long comes without its length: that tells how busy the hub is. The bodies are compared.
    let differing = ["date", "content-length", "transfer-encoding"];
    let headers = answer.headers().iter().filter(|(name, _)| !differing.contains(&name.as_str()));
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), unnamed(value.to_str().expect("ASCII"), names)))
        .collect();
    headers.sort();
    Told { status, headers, body: unnamed(&answer.text().await.expect("a body"), names) }
}

/// Opens a stream and reads it to its end, without what differs between any two streams.
async fn open(client: &Client, attempt: &Attempt, names: Names) -> JoinHandle<String> {
    let answer = request(client, attempt).answered().await;
    assert_eq!(answer.status(), StatusCode::OK);
    tokio::spawn(async move {
        let text = answer.text().await.expect("it ends in order");
        let whole = text.split("\n\n").filter(|message| !message.contains("\"goodbye\""));
        unnamed(&whole.collect::<Vec<_>>().join("\n\n"), &names)
    })
}

fn operations() -> BTreeSet<&'static str> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|operations| operations.as_object().expect("operations").values());
    operations.map(|operation| operation["operationId"].as_str().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_tells_what_is_hidden_from_what_never_existed() {
    let all = || OF_AGENTS.iter().chain(&OF_WORK).chain(&TRIED);
    let world = World::with(&[]).await;
    let tools = Agent::of(&world.owner).await.tools().await;
    let tools = tools.iter().map(|tool| format!("mcp {}", tool["name"].as_str().expect("a name")));
    let expected: BTreeSet<_> = operations().into_iter().map(str::to_owned).chain(tools).collect();
    let tried: BTreeSet<_> = all().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(
        tried, expected,
        "each operation and tool needs an entry in TRIED, OF_WORK or OF_AGENTS: what could a bound token learn by it?"
    );

    let held = world.hold().await;
    let (hidden, never) = (world.hidden(&held), world.never());
    let before = state(&world.owner, &hidden).await;
    let mut streams = Vec::new();
    for (id, tried) in all() {
        let (make, is_refused, is_stream) = match tried {
            Tried::Open => continue,
            Tried::Refused(make) => (make, true, false),
            Tried::Alike(make) => (make, false, false),
            Tried::Streams(make) => (make, false, true),
        };
        for (mut one, mut other) in make(&hidden).into_iter().zip(make(&never)) {
            let place = format!("{id}: {} {}", one.method, one.path);
            if is_stream {
                let pair = [
                    open(&world.bound, &one, world.hidden(&held)).await,
                    open(&world.bound, &other, world.never()).await,
                ];
                streams.push((place, pair));
                continue;
            }
            let told_one = told(&world.bound, &one, &hidden).await;
            assert_eq!(told_one, told(&world.bound, &other, &never).await, "{place}");
            if is_refused {
                assert_eq!(told_one.status, StatusCode::FORBIDDEN, "{place}");
            }
            if one.method == Method::GET
                && !told_one.headers.iter().any(|(_, value)| value == "text/event-stream")
            {
                (one.method, other.method) = (Method::HEAD, Method::HEAD);
                let told_one = told(&world.bound, &one, &hidden).await;
                assert_eq!(told_one, told(&world.bound, &other, &never).await, "HEAD of {place}");
            }
        }
    }
    assert_eq!(state(&world.owner, &hidden).await, before, "nothing was changed");

    // The attempts do tell the two apart, when somebody asks who sees everything.
    for (id, tried) in all() {
        let (Tried::Alike(make) | Tried::Refused(make)) = tried else { continue };
        // A report of failure would end the lease, which others are tried with.
        if ["announce", "metrics", "getEventStatus", "listProjects", "mcp fail_task"].contains(id) {
            continue;
        }
        let mut differs = false;
        for (one, other) in make(&hidden).iter().zip(&make(&never)) {
            differs |= told(&world.owner, one, &hidden).await != told(&world.owner, other, &never).await;
        }
        assert!(differs, "{id}: the attempts find nothing");
    }
    // All this has also happened while the streams were open.
    world.hub.stop().await;
    for (place, [one, other]) in streams {
        let (one, other) = (one.await.expect("read"), other.await.expect("read"));
        assert_eq!(one, other, "{place}");
        assert!(one.contains("connected"), "{place}: {one}");
    }
}

/// Everything that somebody who sees everything can list.
async fn state(owner: &Client, hidden: &Names) -> Vec<Value> {
    let Names { task, lease, .. } = hidden;
    let mut lists = Vec::new();
    for path in ["/api/projects", "/api/tasks", "/api/executions", "/api/questions", "/api/events?limit=1000"]
    {
        lists.push(owner.get(path).await.body);
    }
    for path in [format!("/api/leases/{lease}"), format!("/api/tasks/{task}/comments")] {
        lists.push(owner.get(&path).await.body);
    }
    lists
}
