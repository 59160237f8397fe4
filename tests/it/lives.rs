//! A hub that is killed and comes back, as its clients see it.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use crate::harness::Client;

/// The hub's present life; none while it is down. Each life has another address.
#[derive(Clone)]
pub struct Lives(watch::Receiver<Option<Client>>);

impl Lives {
    pub fn of(lives: &watch::Sender<Option<Client>>) -> Self {
        Self(lives.subscribe())
    }

    /// Asks until there is an answer, in this life or a later one.
    pub async fn ask(&mut self, request: impl Fn(&Client) -> RequestBuilder) -> (StatusCode, Value) {
        loop {
            let client = self.0.wait_for(Option::is_some).await.expect("there will be a hub").clone();
            let client = client.expect("waited for");
            if let Ok(answer) = client.try_send(request(&client)).await
                && answer.status != StatusCode::SERVICE_UNAVAILABLE
            {
                return (answer.status, answer.body);
            }
            // It is gone, or about to go.
            self.0.changed().await.expect("there will be a hub");
        }
    }
}
