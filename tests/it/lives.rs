//! A hub that is killed and comes back, as its clients see it.

use bytes::Bytes;
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

    /// Who to ask in this life, as soon as there is one.
    pub async fn client(&mut self) -> Client {
        let client = self.0.wait_for(Option::is_some).await.expect("there will be a hub").clone();
        client.expect("waited for")
    }

    /// Asks until there is an answer, in this life or a later one.
    pub async fn ask(&mut self, request: impl Fn(&Client) -> RequestBuilder) -> (StatusCode, Value) {
        loop {
            let client = self.client().await;
            if let Ok(answer) = client.try_send(request(&client)).await
                && answer.status != StatusCode::SERVICE_UNAVAILABLE
            {
                return (answer.status, answer.body);
            }
            self.end().await;
        }
    }

    /// The same without the check against the specification, for very many requests: the check takes longer than they do.
    pub async fn ask_unchecked(
        &mut self,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> (StatusCode, Bytes) {
        loop {
            let answer = send_unchecked(request(&self.client().await)).await;
            if let Some((status, body)) =
                answer.ok().filter(|(status, _)| *status != StatusCode::SERVICE_UNAVAILABLE)
            {
                return (status, body);
            }
            self.end().await;
        }
    }

    /// The end of a life that does not answer any more: the hub is gone, or about to go.
    async fn end(&mut self) {
        self.0.changed().await.expect("there will be a hub");
    }
}

/// Sends a request without the check against the specification.
///
/// # Errors
/// When there is no whole answer.
pub async fn send_unchecked(request: RequestBuilder) -> reqwest::Result<(StatusCode, Bytes)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.bytes().await?))
}
