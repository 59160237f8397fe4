//! The crate eventsource-client. It comes back after a break by itself, and waits as long as `retry:` says.
//!
//!     eventsource_client URL-OF-THE-STREAM

use std::time::Duration;

use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
use futures_util::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use serde_json::{json, value::RawValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("the address of a stream is missing")?;
    let reconnect = ReconnectOptions::reconnect(true)
        .retry_initial(true)
        .delay_max(Duration::from_secs(5))
        .build();
    let transport = HyperTransport::builder().build_http()?;
    let client = ClientBuilder::for_url(&url)?.reconnect(reconnect).build_with_transport(transport);
    let mut stream = client.stream();
    while let Some(received) = stream.next().await {
        match received {
            Ok(SSE::Event(event)) => {
                let envelope: &RawValue = serde_json::from_str(&event.data)?;
                let line = json!({ "id": event.id, "type": event.event_type });
                println!("{},\"envelope\":{envelope}}}", line.to_string().trim_end_matches('}'));
            }
            Ok(_) => {}
            // It tells of each break, and goes on.
            Err(error) => eprintln!("{error}"),
        }
    }
    Err("the client has given up".into())
}
