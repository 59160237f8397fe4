//! The options of a stream: which events a client wants, and in which form.

use crate::domain::filter::EventFilter;

use super::frame::Format;

/// What a stream was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamOptions {
    pub filter: EventFilter,
    pub format: Format,
    /// The longest line that the client accepts, in bytes. `fit.rs` shortens longer ones.
    pub line_bytes_max: Option<usize>,
    /// Seconds between its keepalives; `None` for the usual period.
    pub keepalive_seconds: Option<u64>,
}

impl StreamOptions {
    pub fn new(filter: EventFilter, format: Format) -> Self {
        Self { filter, format, line_bytes_max: None, keepalive_seconds: None }
    }

    /// Whether the client gets events exactly as the ring holds them.
    pub fn is_plain(&self) -> bool {
        self.format == Format::Sse && self.line_bytes_max.is_none()
    }
}
