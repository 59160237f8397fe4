//! The state that moves when a stream passes between a subscriber and a fan-out thread.

use std::sync::Arc;

use super::options::StreamOptions;
use super::registry::Registration;

/// What a client asked for, and how much of it the client has.
#[derive(Debug)]
pub struct Handover {
    pub options: Arc<StreamOptions>,
    /// Whether the client gets a snapshot before changes, also after a gap.
    pub with_snapshots: bool,
    /// The seq of the last message that the client got. It would resume after it.
    pub last_sent: u64,
    /// The head of the log at the handover. Older events say nothing about the latency.
    pub live_after: u64,
    pub registration: Registration,
}
