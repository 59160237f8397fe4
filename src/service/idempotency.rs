//! Idempotency: when a client repeats a request with the same key, the hub does the work only once.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::token::Actor;
use crate::store::{Tx, View};

use super::ServiceError;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// A client's name for one request, so that a repetition has no second effect: 1–255 visible ASCII
/// characters or spaces, not only spaces. The hub remembers it for 24 hours. After the IETF draft
/// "The Idempotency-Key HTTP Header Field".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as stored. Each token has its own keys. Without tokens all callers share their keys,
    /// from every address. A token that is bound to projects shares none with an earlier token of its name, which may have
    /// seen more.
    fn of(self, actor: &Actor) -> String {
        // No part can hold a line break, so the parts cannot mix.
        match &actor.token {
            Some(token) if actor.projects.is_bound() => format!("{token}\n{}\n{}", actor.projects, self.0),
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

/// Does the work, or repeats the answer to an earlier request with the same key. The second value
/// is `true` for a repeated answer.
///
/// # Errors
/// [`ServiceError::KeyReused`] when the earlier request was a different one. Also the errors of
/// `work`.
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
    match answered(tx, &key, fingerprint)? {
        Some(answer) => Ok((answer, true)),
        None => {
            let answer = work(tx)?;
            tx.remember(&key, fingerprint, &answer)?;
            Ok((answer, false))
        }
    }
}

/// The answer to an earlier request of `actor` with the same key.
///
/// # Errors
/// [`ServiceError::KeyReused`] when the earlier request was a different one, [`ServiceError::Store`].
pub(super) fn earlier<T: DeserializeOwned>(
    view: &View<'_>,
    actor: &Actor,
    key: IdempotencyKey,
    fingerprint: &[u8],
) -> Result<Option<T>, ServiceError> {
    answered(view, &key.of(actor), fingerprint)
}

fn answered<T: DeserializeOwned>(
    view: &View<'_>,
    key: &str,
    fingerprint: &[u8],
) -> Result<Option<T>, ServiceError> {
    match view.repetition(key)? {
        None => Ok(None),
        Some(earlier) if earlier.fingerprint == fingerprint => {
            earlier.answer.map(Some).ok_or(ServiceError::KeyReused)
        }
        Some(_) => Err(ServiceError::KeyReused),
    }
}

/// The hash that recognizes a repeated request. It covers the operation and its content.
pub(super) fn fingerprint(what: &str, request: &impl Serialize) -> Vec<u8> {
    let canonical = serde_json::to_vec(request).expect("a request is always JSON");
    match what {
        // Older hubs hashed only the content, when no other request had keys. Keys from before an
        // upgrade stay valid.
        "create" => Sha256::digest(canonical).to_vec(),
        _ => Sha256::new().chain_update(what).chain_update([0]).chain_update(canonical).finalize().to_vec(),
    }
}
