//! Who was let in, or why not.

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::domain::text::TokenName;
use crate::domain::token::Scope;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("a token is needed")]
    Missing,
    #[error("the token is unknown, revoked or expired")]
    Unknown,
    #[error("the ticket is unknown, used or expired")]
    UnknownTicket,
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The token's name; none where no token is asked for.
    pub name: Option<TokenName>,
    pub scope: Scope,
    /// Cancelled when the principal is no longer let in.
    pub gone: CancellationToken,
}
