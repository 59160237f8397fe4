//! The specification: what is committed is what is served, and the pages that show it work.

mod compare;
mod examples;
mod released;
mod rules;

use reqwest::Method;
use taskhub::http::spec;

use crate::harness::{Answered, Hub};

/// Renew with `cargo run -- openapi > openapi/taskhub.json`.
#[test]
fn the_committed_specification_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/taskhub.json");
    let committed = std::fs::read_to_string(path).expect("openapi/taskhub.json is there");
    assert!(
        committed == spec::json(),
        "openapi/taskhub.json is stale; renew it with `cargo run -- openapi > openapi/taskhub.json`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_specification_is_served_as_it_is_committed() {
    let hub = Hub::start().await;
    let served = hub.client.request(Method::GET, "/openapi.json").answered().await;
    assert_eq!(served.text().await.expect("text"), spec::json());
    let yaml = hub.client.request(Method::GET, "/openapi.yaml").answered().await;
    assert!(yaml.text().await.expect("text").starts_with("openapi: 3.0.3\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_served_with_a_policy_and_links_only_to_what_is_there() {
    let hub = Hub::start().await;
    for page in ["/", "/docs", "/docs/", "/test_sse.html"] {
        let answer = hub.client.request(Method::GET, page).answered().await;
        assert_eq!(answer.status(), 200, "{page}");
        let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{page}: {policy}");
        let text = answer.text().await.expect("text");
        let links = text.split(['"', '\'']).filter(|it| it.starts_with("/assets/")).map(str::to_owned);
        let links: Vec<_> = links.collect();
        assert!(!links.is_empty(), "{page}");
        for link in links {
            let asset = hub.client.request(Method::GET, &link).answered().await;
            assert_eq!(asset.status(), 200, "{page} -> {link}");
            assert!(!asset.bytes().await.expect("bytes").is_empty(), "{link}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_answer() {
    let hub = Hub::start().await;
    assert_eq!(hub.client.get("/health").await.body["status"], "ok");
    assert_eq!(hub.client.get("/ready").await.body["status"], "ok");
    let metrics = hub.client.request(Method::GET, "/metrics").answered().await;
    let text = metrics.text().await.expect("text");
    assert!(text.contains("taskhub_http_requests_total{method=\"GET\",status=\"200\"} 2"), "{text}");
}
