//! What the domain refuses, in words a caller can act on.

use thiserror::Error;

/// A value that breaks a rule of the domain.
///
/// `field` is the path of the value in the request (`title`, `tags[2]`); `message` says what to send instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    pub field: String,
    pub message: String,
}

impl Invalid {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
