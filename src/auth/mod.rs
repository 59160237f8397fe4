//! Authentication: turns a token's secret or a ticket into a [`Principal`]. It knows nothing of
//! HTTP.
//!
//! The hub keeps the tokens in memory and checks secrets there. [`Auth::follow`] reads the database
//! several times a second, so that a token that `taskhub token` makes or revokes counts within a
//! second. It uses a reader of its own, so no search delays it.
//!
//! Once there has been a token, the hub always asks for one, even when all are revoked. Revoking
//! the last token must not open the hub to everybody.
//!
//! # Invariants
//! - The hub compares the SHA-256 of a secret, in constant time, with every token.
//! - A caller that is no longer allowed learns of it: the hub cancels [`Principal::gone`] when the
//!   token is revoked or expires. When the hub begins to ask for tokens, it cancels `gone` of every
//!   caller without a token.
//! - A token that the hub found expired stays expired, also when somebody sets the clock back. The
//!   hub writes that to the database.
//! - When the hub cannot read the database, the known tokens stay valid until they expire.

mod principal;
mod secret;

pub use principal::{Principal, Refusal};
pub use secret::Secret;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::clock::Timestamp;
use crate::domain::token::{Scope, Token, TokenDigest};
use crate::store::{Reader, Store, StoreError};

use secret::digest;

/// How often the hub reads the tokens. It must refuse a revoked token within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a ticket is valid. A client gets it and uses it at once.
pub const TICKET_SECONDS: i64 = 30;
/// Most unused tickets of one token. A new ticket replaces the oldest one, so that no client fills
/// the memory.
const TICKETS_MAX: usize = 100;

/// A secret that stands for its holder once, for [`TICKET_SECONDS`].
#[derive(Debug)]
pub struct Ticket {
    pub secret: Secret,
    pub expires_at: Timestamp,
}

/// When the hub asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Never,
    /// As soon as there has ever been a token.
    WithTokens,
    Always,
}

/// The tokens and tickets that the hub accepts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    asking: Asking,
    /// Tokens that the hub found expired.
    expired: Arc<Mutex<HashSet<TokenDigest>>>,
    state: Arc<RwLock<State>>,
    tickets: Arc<Mutex<Vec<Issued>>>,
    /// Tells those who serve many callers at once that one or more callers are no longer allowed.
    departures: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    asks: bool,
    holders: Vec<Holder>,
    /// [`Principal::gone`] of every caller without a token.
    nobody: CancellationToken,
}

#[derive(Debug)]
struct Holder {
    token: Token,
    gone: CancellationToken,
}

/// A ticket that nobody has used yet.
#[derive(Debug)]
struct Issued {
    digest: TokenDigest,
    principal: Principal,
    until: Instant,
}

impl Auth {
    /// Knows no token before [`Auth::look`].
    pub fn new(asking: Asking) -> Self {
        let state = State { asks: asking == Asking::Always, ..State::default() };
        let (state, departures) = (Arc::new(RwLock::new(state)), watch::Sender::new(()));
        Self { asking, state, expired: Arc::default(), tickets: Arc::default(), departures }
    }

    /// A channel that changes after [`Principal::gone`] of any caller was cancelled.
    pub fn departures(&self) -> watch::Receiver<()> {
        self.departures.subscribe()
    }

    /// Whether the hub asks for a token.
    pub fn asks(&self) -> bool {
        self.state().asks
    }

    /// The principal with this secret.
    ///
    /// # Errors
    /// [`Refusal`], unless the hub asks for no token.
    pub fn identify(&self, secret: Option<&str>) -> Result<Principal, Refusal> {
        let state = self.state();
        if !state.asks {
            let (projects, gone) = (AllowedProjects::default(), state.nobody.clone());
            return Ok(Principal { name: None, scope: Scope::Exec, projects, gone });
        }
        let digest = digest(secret.ok_or(Refusal::Missing)?);
        let now = Timestamp::now();
        let mut found = None;
        // Goes through all holders, so that the time does not tell which one matched.
        for holder in &state.holders {
            if bool::from(holder.token.digest.ct_eq(&digest)) {
                found = Some(holder);
            }
        }
        let holder = found.filter(|holder| self.is_good(&holder.token, now)).ok_or(Refusal::Unknown)?;
        Ok(Principal {
            name: Some(holder.token.name.clone()),
            scope: holder.token.scope,
            projects: holder.token.projects.clone(),
            gone: holder.gone.clone(),
        })
    }

    /// Issues a ticket for a principal.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn issue(&self, principal: &Principal) -> Result<Ticket, getrandom::Error> {
        let secret = Secret::ticket()?;
        let life = Duration::from_secs(TICKET_SECONDS.unsigned_abs());
        let issued =
            Issued { digest: secret.digest, principal: principal.clone(), until: Instant::now() + life };
        let mut tickets = self.tickets();
        tickets.retain(|it| it.until > Instant::now());
        let mut own = tickets.iter().enumerate().filter(|(_, it)| it.principal.name == principal.name);
        if let Some((oldest, _)) = own.next()
            && own.count() + 1 >= TICKETS_MAX
        {
            tickets.remove(oldest);
        }
        tickets.push(issued);
        let expires_at = Timestamp::from_ms(Timestamp::now().ms() + TICKET_SECONDS * 1000);
        Ok(Ticket { secret, expires_at })
    }

    /// The principal of this ticket. The ticket stays valid.
    ///
    /// # Errors
    /// [`Refusal::UnknownTicket`], unless the hub asks for no token.
    pub fn holder_of(&self, ticket: &str) -> Result<Principal, Refusal> {
        if !self.asks() {
            return self.identify(None);
        }
        let digest = digest(ticket);
        let tickets = self.tickets();
        let issued = tickets.iter().find(|it| it.digest.ct_eq(&digest).into());
        let issued = issued.filter(|it| it.until > Instant::now() && !it.principal.gone.is_cancelled());
        issued.map(|it| it.principal.clone()).ok_or(Refusal::UnknownTicket)
    }

    /// The principal of this ticket. Uses the ticket up.
    ///
    /// # Errors
    /// [`Refusal::UnknownTicket`], unless the hub asks for no token.
    pub fn redeem(&self, ticket: &str) -> Result<Principal, Refusal> {
        if !self.asks() {
            return self.identify(None);
        }
        let digest = digest(ticket);
        let mut tickets = self.tickets();
        let place = tickets.iter().position(|it| it.digest.ct_eq(&digest).into());
        let issued = tickets.remove(place.ok_or(Refusal::UnknownTicket)?);
        // A ticket becomes invalid with its token. A ticket from the time without tokens becomes
        // invalid when the hub begins to ask for them.
        match issued.until > Instant::now() && !issued.principal.gone.is_cancelled() {
            true => Ok(issued.principal),
            false => Err(Refusal::UnknownTicket),
        }
    }

    /// Reads the tokens from the database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn look(&self, reader: &Reader) -> Result<(), StoreError> {
        self.read(reader).await.map(drop)
    }

    /// Reads the tokens. Answers the expired ones that the database does not yet mark as expired.
    async fn read(&self, reader: &Reader) -> Result<Vec<TokenDigest>, StoreError> {
        let (tokens, any) = reader.read(|view| view.tokens()).await?;
        let digests: Vec<_> = tokens.iter().map(|token| token.digest).collect();
        self.put(tokens, any);
        let expired = self.expired();
        Ok(digests.into_iter().filter(|digest| expired.contains(digest)).collect())
    }

    /// Reads the tokens at regular intervals until `shutdown`.
    pub async fn follow(self, store: Store, shutdown: CancellationToken) {
        let mut ticker = tokio::time::interval(LOOK_EVERY);
        let mut has_failed = false;
        loop {
            // Both branches are cancel safe.
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticker.tick() => {}
            }
            let looked = match self.read(store.token_reader()).await {
                Ok(expired) if !expired.is_empty() => store.write(move |tx| tx.expire_tokens(&expired)).await,
                looked => looked.map(drop),
            };
            if let Err(error) = &looked
                && !has_failed
                // The hub ends before it has begun.
                && !matches!(error, StoreError::Closed)
            {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the tokens cannot be read or marked"
                );
                self.expire();
            }
            has_failed = looked.is_err();
        }
    }

    /// Replaces the known tokens by those of the database.
    fn put(&self, tokens: Vec<Token>, any: bool) {
        if self.asking == Asking::Never {
            return;
        }
        let now = Timestamp::now();
        let good: Vec<Token> = tokens.into_iter().filter(|token| self.is_good(token, now)).collect();
        let known = self.state();
        if known.asks == (known.asks || any) && known.holders.iter().map(|it| &it.token).eq(&good) {
            return;
        }
        drop(known);
        let mut state = self.state.write().unwrap_or_else(|poison| poison.into_inner());
        if any && !state.asks {
            tracing::info!("from now on a token is asked for");
            state.asks = true;
            state.nobody.cancel();
        }
        let mut before = std::mem::take(&mut state.holders);
        for token in good {
            let same = before.iter().position(|holder| holder.token.digest == token.digest);
            let gone = match same {
                Some(place) => before.remove(place).gone,
                None => CancellationToken::new(),
            };
            state.holders.push(Holder { token, gone });
        }
        for Holder { token, gone } in before {
            tracing::info!(token = %token.name, "a token was revoked or has expired");
            gone.cancel();
        }
        self.departures.send_replace(());
    }

    /// Removes the tokens that have expired, when the database cannot be read.
    fn expire(&self) {
        let tokens = self.state().holders.iter().map(|holder| holder.token.clone()).collect();
        self.put(tokens, false);
    }

    /// Whether a token is valid. A token that has once expired stays invalid, whatever the clock
    /// says.
    fn is_good(&self, token: &Token, now: Timestamp) -> bool {
        let mut expired = self.expired();
        if !token.is_good(now) {
            expired.insert(token.digest);
        }
        !expired.contains(&token.digest)
    }

    fn expired(&self) -> MutexGuard<'_, HashSet<TokenDigest>> {
        self.expired.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(|poison| poison.into_inner())
    }

    fn tickets(&self) -> MutexGuard<'_, Vec<Issued>> {
        self.tickets.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, scope: Scope) -> (Token, String) {
        let secret = Secret::token().expect("random");
        let token = Token {
            name: name.parse().expect("a name"),
            digest: secret.digest,
            scope,
            projects: AllowedProjects::default(),
            created_at: Timestamp::from_ms(0),
            expires_at: None,
            revoked_at: None,
        };
        (token, secret.text)
    }

    #[test]
    fn nobody_is_asked_before_there_is_a_token_and_everybody_ever_after() {
        let auth = Auth::new(Asking::WithTokens);
        let early = auth.identify(None).expect("open");
        assert_eq!((early.name, early.scope), (None, Scope::Exec));
        let (ci, secret) = token("ci", Scope::Read);
        auth.put(vec![ci], true);
        assert!(early.gone.is_cancelled());
        assert_eq!(auth.identify(None).err(), Some(Refusal::Missing));
        assert_eq!(auth.identify(Some(&secret)).expect("good").scope, Scope::Read);
        auth.put(vec![], true);
        assert_eq!(auth.identify(Some(&secret)).err(), Some(Refusal::Unknown));
        assert_eq!(auth.identify(None).err(), Some(Refusal::Missing));

        let open = Auth::new(Asking::Never);
        open.put(vec![token("ci", Scope::Read).0], true);
        assert!(open.identify(None).is_ok() && open.identify(Some("x")).is_ok());
        assert!(Auth::new(Asking::Always).identify(None).is_err());
    }

    #[test]
    fn a_token_that_is_revoked_or_expires_is_gone_and_no_other() {
        let auth = Auth::new(Asking::WithTokens);
        let ((first, of_first), (mut second, of_second)) =
            (token("first", Scope::Read), token("second", Scope::Write));
        auth.put(vec![first.clone(), second.clone()], true);
        let [one, other] = [&of_first, &of_second].map(|secret| auth.identify(Some(secret)).expect("good"));
        second.expires_at = Some(Timestamp::from_ms(1));
        auth.put(vec![first, second], true);
        assert!(!one.gone.is_cancelled() && other.gone.is_cancelled());
        assert_eq!(auth.identify(Some(&of_second)).err(), Some(Refusal::Unknown));
        auth.put(vec![], true);
        assert!(one.gone.is_cancelled());
    }

    #[test]
    fn a_token_that_has_expired_stays_so_when_the_clock_is_set_back() {
        let auth = Auth::new(Asking::WithTokens);
        let (mut ci, secret) = token("ci", Scope::Read);
        ci.expires_at = Some(Timestamp::from_ms(1));
        auth.put(vec![ci.clone()], true);
        // As if the clock had gone back.
        ci.expires_at = Some(Timestamp::from_ms(Timestamp::now().ms() + 60_000));
        auth.put(vec![ci], true);
        assert_eq!(auth.identify(Some(&secret)).err(), Some(Refusal::Unknown));
    }

    #[test]
    fn a_ticket_is_good_once_and_goes_with_its_token() {
        let auth = Auth::new(Asking::WithTokens);
        let (ci, secret) = token("ci", Scope::Read);
        auth.put(vec![ci], true);
        let principal = auth.identify(Some(&secret)).expect("good");
        let ticket = auth.issue(&principal).expect("random");
        assert_eq!(auth.redeem(&ticket.secret.text).expect("good").name, principal.name);
        assert_eq!(auth.redeem(&ticket.secret.text).err(), Some(Refusal::UnknownTicket));

        let tickets: Vec<_> = (0..=TICKETS_MAX).map(|_| auth.issue(&principal).expect("random")).collect();
        assert!(
            auth.redeem(&tickets[0].secret.text).is_err() && auth.redeem(&tickets[1].secret.text).is_ok()
        );
        auth.put(vec![], true);
        assert_eq!(auth.redeem(&tickets[2].secret.text).err(), Some(Refusal::UnknownTicket));
        assert_eq!(auth.identify(Some(&tickets[3].secret.text)).err(), Some(Refusal::Unknown));
    }
}
