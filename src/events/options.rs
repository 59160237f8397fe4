//! The options of a stream: what a client wants to see, and how.

use crate::domain::filter::EventFilter;

use super::frame::Format;

/// What a stream was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamOptions {
    pub filter: EventFilter,
    pub format: Format,
    /// Longest line that it takes, in bytes; what is longer loses its lists (`fit.rs`).
    pub line_bytes_max: Option<usize>,
    /// Seconds between its keepalives; without it the usual ones.
    pub keepalive_seconds: Option<u64>,
}

impl StreamOptions {
    pub fn new(filter: EventFilter, format: Format) -> Self {
        Self { filter, format, line_bytes_max: None, keepalive_seconds: None }
    }

    /// Whether it gets events just as the ring holds them.
    pub fn is_plain(&self) -> bool {
        self.format == Format::Sse && self.line_bytes_max.is_none()
    }
}
