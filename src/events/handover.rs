//! What goes along when a stream changes hands, between a subscriber and a fan-out thread.

use std::sync::Arc;

use super::options::StreamOptions;
use super::registry::Registration;

/// What a client has asked for, and how much of it the client has.
#[derive(Debug)]
pub struct Handover {
    pub options: Arc<StreamOptions>,
    /// Whether state is sent before changes, also after a gap.
    pub with_snapshots: bool,
    /// The seq of the last message it was sent, which it would resume after.
    pub last_sent: u64,
    /// The head when it came: what was published before it is no measure of how fast it is served.
    pub live_after: u64,
    pub registration: Registration,
}
