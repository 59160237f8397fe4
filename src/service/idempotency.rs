//! Doing once what is asked for twice.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::token::Actor;
use crate::store::Tx;

use super::ServiceError;

/// Longest idempotency key.
const KEY_BYTES_MAX: usize = 255;

/// A client's name for one request, so that a repetition of it makes nothing twice: 1–255 visible ASCII
/// characters, remembered for 24 hours. After the IETF draft "The Idempotency-Key HTTP Header Field".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as its caller's own: another token's is another one. Without tokens everybody is the same caller, from
    /// whichever address.
    fn of(self, actor: &Actor) -> String {
        match &actor.token {
            // No key holds a line break.
            Some(token) => format!("{token}\n{}", self.0),
            None => self.0,
        }
    }
}

impl FromStr for IdempotencyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if text.trim().is_empty() || text.len() > KEY_BYTES_MAX || !visible {
            return Err(format!("must be 1 to {KEY_BYTES_MAX} visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Does what is asked for, or answers what an earlier request with the same key was answered. The second value says which.
///
/// # Errors
/// [`ServiceError::KeyReused`] when the earlier request was another one; whatever `work` refuses with.
pub(super) fn once<T: Serialize + DeserializeOwned>(
    tx: &mut Tx<'_>,
    key: Option<IdempotencyKey>,
    fingerprint: &[u8],
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, ServiceError>,
) -> Result<(T, bool), ServiceError> {
    let Some(key) = key else {
        return Ok((work(tx)?, false));
    };
    let key = key.of(tx.actor());
    match tx.repetition(&key)? {
        Some(earlier) if earlier.fingerprint == fingerprint => {
            earlier.answer.map(|answer| (answer, true)).ok_or(ServiceError::KeyReused)
        }
        Some(_) => Err(ServiceError::KeyReused),
        None => {
            let answer = work(tx)?;
            tx.remember(&key, fingerprint, &answer)?;
            Ok((answer, false))
        }
    }
}

/// What a request is known by again: what it does, and with what.
pub(super) fn fingerprint(what: &str, request: &impl Serialize) -> Vec<u8> {
    let canonical = serde_json::to_vec(request).expect("a request is always JSON");
    match what {
        // As it was before other requests had keys: those of yesterday are known today.
        "create" => Sha256::digest(canonical).to_vec(),
        _ => Sha256::new().chain_update(what).chain_update([0]).chain_update(canonical).finalize().to_vec(),
    }
}
