//! Streams of a bound token, on every path to its socket: what happens elsewhere never shows.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{World, executed, held};
use crate::harness::{Answered, Client};
use crate::sse::Stream;
use crate::wire::Wire;

/// Opens a stream and reads it to its end.
async fn open(client: &Client, query: &str, header: (&'static str, &str)) -> JoinHandle<String> {
    let request = client.request(Method::GET, &format!("/api/events/stream{query}")).timeout(Duration::MAX);
    let answer = request.header(header.0, header.1).answered().await;
    assert_eq!(answer.status(), 200, "{query}");
    tokio::spawn(async { answer.text().await.expect("it ends in order") })
}

/// Everything that can happen in a project.
async fn act(client: &Client, project: &str) {
    let (task, _) = executed(client, project).await;
    let [lease, question, _] = held(client, project, &task).await;
    let path = format!("/api/leases/{lease}");
    client.with_body(Method::PUT, &path, json!({ "announce": true })).await;
    client.send(client.request(Method::DELETE, &path)).await;
    let path = format!("/api/questions/{question}/answer");
    client.with_body(Method::PUT, &path, json!({ "answer": format!("{project} answer") })).await;
    client.set_status(&task, "done").await;
    // Held when it is deleted.
    held(client, project, &task).await;
    client.send(client.request(Method::DELETE, &format!("/api/tasks/{task}"))).await;
    let path = format!("/api/projects/{project}");
    client.with_body(Method::PATCH, &path, json!({ "title": format!("{project} renamed") })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stream_shows_another_project() {
    // By a thread of its own, and by the body of the answer.
    for threads in ["1", "0"] {
        let world = World::with(&["--fanout-threads", threads]).await;
        let World { owner, bound, .. } = &world;
        let earliest =
            owner.get("/api/events/status").await.body["oldest"].as_str().expect("an id").to_owned();
        let sse = ("Accept", "text/event-stream");
        let ndjson = (ACCEPT.as_str(), "application/x-ndjson");
        let h2 = Client::over(Wire::H2c, bound.address);
        let ticket = || async {
            let answer = bound.send(bound.request(Method::POST, "/api/events/tickets")).await;
            answer.body["ticket"].as_str().expect("a ticket").to_owned()
        };
        let mut streams = Vec::new();
        // What each has to show: of before, and of now.
        for (query, header, shows_past) in [
            ("", sse, false),
            ("?named=true", sse, false),
            ("?max_bytes=16384", sse, false),
            ("", ndjson, false),
            ("?since=earliest", sse, true),
            ("?since=earliest&max_bytes=16384", ndjson, true),
            ("?snapshot=true", sse, true),
            ("?snapshot=true", ndjson, true),
            ("?snapshot=true&status=review,done,todo,inprogress", sse, true),
            ("?project=alpha,bravo&since=earliest", sse, true),
            ("", ("Last-Event-ID", &earliest), true),
            (&format!("?last_event_id={earliest}"), sse, true),
            ("?snapshot=true", ("Last-Event-ID", "00000000-7"), true),
        ] {
            streams.push((format!("{query} {header:?}"), shows_past, open(bound, query, header).await));
        }
        for (client, place) in [(&h2, "h2"), (&Client::new(bound.address), "ticket")] {
            let query = format!("?ticket={}", ticket().await);
            streams.push((place.to_owned(), false, open(client, &query, sse).await));
        }
        // A stream of the owner shares nothing with them.
        let of_owner = open(owner, "", sse).await;
        // The last ones are live before anything happens.
        owner.wait_for("/api/events/status", |it| it["connected_clients"] == streams.len() + 1).await;
        let mut live = Stream::open(bound, "").await;

        act(owner, "bravo").await;
        act(bound, "alpha").await;
        act(owner, "bravo").await;
        owner.post("/api/events/announcements", json!({ "level": "info", "message": "at last" })).await;
        while live.next_event().await["data"]["message"] != "at last" {}
        world.hub.stop().await;
        for (place, shows_past, reading) in streams {
            let text = reading.await.expect("read");
            let place = format!("{place}, {threads} threads: {text}");
            assert!(!text.contains("bravo") && !text.contains(&world.hidden), "{place}");
            assert!(text.contains("alpha-2") && text.contains("connected"), "{place}");
            assert!(text.contains("alpha answer") && text.contains("\"renewed\""), "{place}");
            // A project has no status, and an announcement has no project either.
            let (of_project, of_status) = (place.starts_with("?project"), place.contains("status="));
            assert_eq!(text.contains("alpha renamed"), !of_status, "{place}");
            assert_eq!(text.contains("at last"), !of_status && !of_project, "{place}");
            assert_eq!(text.contains(&world.own), shows_past, "{place}");
        }
        let text = of_owner.await.expect("read");
        assert!(text.contains("bravo renamed") && text.contains("alpha renamed"), "{text}");
    }
}
