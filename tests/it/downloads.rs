//! Downloading a log: the very bytes, whole or in part, and only if they are the wanted ones.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Hub};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_had_whole_in_part_or_only_when_it_is_another() {
    let hub = Hub::start().await;
    let task = hub.client.create(json!({ "title": "t", "script": "printf 0123456789" })).await;
    hub.client.post(&format!("/api/exec/{task}"), json!({})).await;
    hub.client.wait_for(&format!("/api/exec/{task}"), |it| it["status"] == "completed").await;
    let path = format!("/api/exec/{task}/logs/raw");
    let ask = async |name: &'static str, value: &str| -> Answer {
        hub.client.send(hub.client.request(Method::GET, &path).header(name, value)).await
    };

    let whole = hub.client.get(&path).await;
    assert_eq!((whole.status.as_u16(), &whole.bytes[..]), (200, &b"0123456789"[..]));
    let etag = whole.header("etag");
    let modified = whole.header("last-modified");
    for (name, value, status, bytes) in [
        ("range", "bytes=2-4", 206, "234"),
        ("range", "bytes=-3", 206, "789"),
        ("range", "lines=1-2", 200, "0123456789"),
        ("if-match", etag, 200, "0123456789"),
        ("if-match", "*", 200, "0123456789"),
        ("if-none-match", "\"another\"", 200, "0123456789"),
        ("if-none-match", etag, 304, ""),
        ("if-modified-since", modified, 304, ""),
    ] {
        let answer = ask(name, value).await;
        let seen = (answer.status.as_u16(), String::from_utf8_lossy(&answer.bytes));
        assert_eq!(seen, (status, bytes.into()), "{name}: {value}");
    }
    assert_eq!(ask("range", "bytes=2-4").await.header("content-range"), "bytes 2-4/10");
    for (name, value, status, code) in [
        ("range", "bytes=10-", 416, "range_not_satisfiable"),
        ("if-match", "\"another\"", 412, "version_mismatch"),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 412, "version_mismatch"),
    ] {
        let answer = ask(name, value).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{name}: {value}");
    }
}
