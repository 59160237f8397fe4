//! What is sent compressed, and what never is.

use std::io::Read;

use flate2::read::GzDecoder;
use poem::http::Method;
use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{Answered, Hub};

async fn ask(hub: &Hub, path: &str, accepted: &str) -> Response {
    hub.client.request(Method::GET, path).header("accept-encoding", accepted).answered().await
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_a_kilobyte_is_compressed_for_who_takes_it() {
    let hub = Hub::start().await;
    let small = hub.client.create(json!({ "title": "small" })).await;
    let large = hub.client.create(json!({ "title": "large", "description": "x".repeat(60_000) })).await;

    let plain = ask(&hub, &format!("/api/tasks/{large}"), "identity").await;
    let (tag, vary) = (header(&plain, "etag").to_owned(), header(&plain, "vary").to_owned());
    assert_eq!((header(&plain, "content-encoding"), &vary[..]), ("", "accept-encoding"));
    let plain: Value = plain.json().await.expect("JSON");

    let answer = ask(&hub, &format!("/api/tasks/{large}"), "gzip, br").await;
    assert_eq!((header(&answer, "content-encoding"), header(&answer, "vary")), ("gzip", "accept-encoding"));
    assert_eq!(header(&answer, "etag"), tag, "it goes back in If-Match");
    let bytes = answer.bytes().await.expect("a body");
    assert!(bytes.len() < 1000, "{} bytes", bytes.len());
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), plain);

    for (path, accepted) in [
        (format!("/api/tasks/{small}"), "gzip"),
        (format!("/api/tasks/{large}"), "br"),
        (format!("/api/tasks/{large}"), "gzip;q=0"),
    ] {
        let answer = ask(&hub, &path, accepted).await;
        assert_eq!(header(&answer, "content-encoding"), "", "{path}: {accepted}");
        answer.json::<Value>().await.expect("JSON");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_never_compressed() {
    let hub = Hub::start().await;
    for path in ["/api/events/stream", "/api/events/stream?snapshot=true"] {
        let answer = ask(&hub, path, "gzip, deflate, br, zstd").await;
        assert_eq!(header(&answer, "content-type"), "text/event-stream");
        assert_eq!((header(&answer, "content-encoding"), header(&answer, "vary")), ("", ""), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_a_tag_for_each_form_and_its_files_are_kept_for_good() {
    let hub = Hub::start().await;
    let mut tags = Vec::new();
    for (accepted, coding) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", "")] {
        let page = ask(&hub, "/", accepted).await;
        assert_eq!((header(&page, "content-encoding"), header(&page, "vary")), (coding, "accept-encoding"));
        assert_eq!(header(&page, "cache-control"), "no-cache");
        tags.push(header(&page, "etag").to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");

    let page = ask(&hub, "/", "identity").await.text().await.expect("text");
    let script = page.split('"').find(|it| it.starts_with("/assets/board-") && it.ends_with(".js"));
    let script = ask(&hub, script.expect("the board has a script"), "br").await;
    assert_eq!(header(&script, "content-encoding"), "br");
    assert_eq!(header(&script, "cache-control"), "public, max-age=31536000, immutable");

    let specification = ask(&hub, "/openapi.json", "gzip").await;
    assert_eq!(header(&specification, "content-encoding"), "gzip");
    let bytes = specification.bytes().await.expect("a body").len();
    assert!(bytes < 100_000, "{bytes} bytes");
}
