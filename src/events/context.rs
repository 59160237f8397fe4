//! What all streams share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::Latency;

use super::feed::Feed;
use super::keepalives::Keepalives;
use super::snapshot::Snapshots;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct StreamContext {
    pub feed: Feed,
    pub snapshots: Snapshots,
    /// Changes when something was published.
    pub news: watch::Receiver<()>,
    /// Ticks when a keepalive is due.
    pub ticks: watch::Receiver<()>,
    pub keepalives: Keepalives,
    pub draining: CancellationToken,
    pub latency: Arc<Latency>,
}
