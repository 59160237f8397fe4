//! Secrets: what is shown to a caller once, and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::token::TokenDigest;

/// Says what it is to anybody who finds one, and to those who search for secrets that got lost.
const TOKEN_PREFIX: &str = "taskhub_";
const TICKET_PREFIX: &str = "ticket_";
/// As much as SHA-256 keeps.
const SECRET_BYTES: usize = 32;

/// A new secret and what is kept of it.
pub struct Secret {
    pub text: String,
    pub digest: TokenDigest,
}

/// It is to be shown once, and nowhere else.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new token.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn token() -> Result<Self, getrandom::Error> {
        Self::new(TOKEN_PREFIX)
    }

    /// A new ticket.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn ticket() -> Result<Self, getrandom::Error> {
        Self::new(TICKET_PREFIX)
    }

    fn new(prefix: &str) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        Ok(Self { digest: digest(&text), text })
    }
}

/// What is kept of a secret.
pub(super) fn digest(secret: &str) -> TokenDigest {
    Sha256::digest(secret).into()
}
