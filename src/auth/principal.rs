//! The caller that the hub accepted, or why it refused one.

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::text::TokenName;
use crate::domain::token::Scope;

/// Why the hub refuses a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("a token is needed")]
    Missing,
    #[error("the token is unknown, revoked or expired")]
    Unknown,
    #[error("the ticket is unknown, used or expired")]
    UnknownTicket,
}

/// A caller that the hub accepted.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The token's name. `None` when the hub asks for no token.
    pub name: Option<TokenName>,
    pub scope: Scope,
    pub projects: AllowedProjects,
    /// Cancelled when the hub no longer accepts this caller.
    pub gone: CancellationToken,
}
