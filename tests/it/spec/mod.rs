//! The specification: what is committed is what is served, and the pages that show it work.

mod compare;
mod examples;
mod released;
mod rules;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use taskhub::api::spec;

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

/// Generators write names as their languages do, so that what differs by case and hyphens becomes one; and Go's gives each
/// schema a constructor `New…`.
#[test]
fn no_two_names_become_one_in_a_generated_client() {
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let document: Value = serde_json::from_str(&spec::json()).expect("JSON");
    let operations = document["paths"].as_object().expect("paths").values().filter_map(Value::as_object);
    for operation in operations.flat_map(|methods| methods.values()) {
        let mut seen = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            assert!(seen.insert(plain(name)), "{}: `{name}` is there twice", operation["operationId"]);
        }
    }
    let schemas: Vec<_> = document["components"]["schemas"].as_object().expect("schemas").keys().collect();
    let mut seen = BTreeSet::new();
    for name in &schemas {
        assert!(seen.insert(plain(name)), "`{name}` is there twice");
        let of = name.strip_prefix("New").unwrap_or_default();
        assert!(!schemas.iter().any(|other| *other == of), "`{name}` is the constructor of `{of}` in Go");
    }
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
