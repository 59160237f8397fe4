//! Secrets: the text that the hub shows to a caller once, and the digest that it keeps.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::token::TokenDigest;

/// Tells a person who finds a secret what it is, and lets scanners find leaked secrets.
const TOKEN_PREFIX: &str = "taskhub_";
const TICKET_PREFIX: &str = "ticket_";
/// As many bytes as SHA-256 keeps.
const SECRET_BYTES: usize = 32;

/// A new secret and its digest.
pub struct Secret {
    pub text: String,
    pub digest: TokenDigest,
}

/// Hides the text: the hub shows it once and nowhere else.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new token.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn token() -> Result<Self, getrandom::Error> {
        Self::new(TOKEN_PREFIX)
    }

    /// A new ticket.
    ///
    /// # Errors
    /// When the system gives no random bytes.
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

/// The digest of a secret, which is all that the hub keeps.
pub(super) fn digest(secret: &str) -> TokenDigest {
    Sha256::digest(secret).into()
}
