//! The error of the domain: which value breaks a rule, and what the caller can send instead.

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
