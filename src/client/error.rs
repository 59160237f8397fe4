//! The error of a command that talks to a hub.

use thiserror::Error;

use super::hub::HubError;

/// Why a command could not do what it was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error("TASKHUB_TOKEN is not a token: {0}")]
    Token(&'static str),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
}
