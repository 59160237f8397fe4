//! The crate reqwest-eventsource. It comes back after a break by itself, and waits as long as `retry:` says.
//!
//!     reqwest_eventsource URL-OF-THE-STREAM

use std::time::Duration;

use futures_util::StreamExt;
use reqwest_eventsource::retry::Constant;
use reqwest_eventsource::{Event, EventSource};
use serde_json::{json, value::RawValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("the address of a stream is missing")?;
    let mut stream = EventSource::get(url);
    // As it is, it waits longer and longer.
    stream.set_retry_policy(Box::new(Constant::new(Duration::from_secs(1), None)));
    while let Some(received) = stream.next().await {
        match received {
            Ok(Event::Message(message)) => {
                let envelope: &RawValue = serde_json::from_str(&message.data)?;
                let line = json!({ "id": message.id, "type": message.event });
                println!("{},\"envelope\":{envelope}}}", line.to_string().trim_end_matches('}'));
            }
            Ok(Event::Open) => {}
            // It tells of each break, and goes on.
            Err(error) => eprintln!("{error}"),
        }
    }
    Err("the client has given up".into())
}
