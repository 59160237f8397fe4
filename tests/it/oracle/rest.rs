//! Brings a hub to rest before the end is written: nothing is to happen by itself after the last event.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, all_pages};

/// Renews every lease, so that none ends by itself any more. That is told to nobody.
pub async fn rest(client: &Client) {
    for task in all_pages(client, "/api/tasks?limit=500".into()).await {
        if let Some(lease) = task["lease"]["id"].as_str() {
            // One that has ended meanwhile is refused.
            let body = json!({ "lease_seconds": 3600 });
            client.with_body(Method::PUT, &format!("/api/leases/{lease}"), body).await;
        }
    }
}
