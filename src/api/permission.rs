//! Permission: what a request that was let in may do. Who asks was found out before, and goes with the request.

use std::fmt;

use poem::Request;

use crate::auth::{Auth, Principal, Refusal};
use crate::domain::token::Scope;

use super::problem::{Code, Problem};

/// The ticket that a request was let in by; not used up yet.
#[derive(Clone)]
pub struct ShownTicket(pub String);

impl fmt::Debug for ShownTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownTicket")
    }
}

/// A request for a head alone; the framework hands it to handlers as GET.
#[derive(Debug, Clone)]
pub struct HeadOnly;

/// Uses up the ticket that a request was let in by, if it was. A handler calls this last, when it opens the stream: a ticket
/// is good for one stream, not for one attempt.
///
/// # Errors
/// A [`Problem`] when another request was faster.
pub fn use_up_ticket(request: &Request, auth: &Auth) -> Result<(), Problem> {
    match request.extensions().get::<ShownTicket>() {
        // A head opens nothing.
        Some(ShownTicket(ticket)) if request.extensions().get::<HeadOnly>().is_none() => {
            auth.redeem(ticket).map(drop).map_err(challenge)
        }
        _ => Ok(()),
    }
}

/// Refuses a caller that may not do what needs this scope.
///
/// # Errors
/// A [`Problem`] that names the scope.
pub fn require(principal: &Principal, needed: Scope) -> Result<(), Problem> {
    if principal.scope >= needed {
        return Ok(());
    }
    let name = principal.name.as_ref().map(|name| format!(" {:?}", name.as_str())).unwrap_or_default();
    let detail = format!(
        "this needs the scope `{needed}`, and the token{name} has `{}`; use another token, or have one made",
        principal.scope.words()
    );
    let challenge = format!("Bearer realm=\"TaskHub\", error=\"insufficient_scope\", scope=\"{needed}\"");
    Err(Problem::new(Code::ScopeMissing, detail).with_challenge(challenge))
}

/// RFC 6750, section 3.
pub fn challenge(refusal: Refusal) -> Problem {
    let realm = "Bearer realm=\"TaskHub\"";
    match refusal {
        Refusal::Missing => {
            let detail = "this hub asks for a token; send it as `Authorization: Bearer …` (`taskhub token create` makes \
                          one)";
            Problem::new(Code::TokenMissing, detail).with_challenge(realm.to_owned())
        }
        Refusal::Unknown => {
            let detail =
                "the token is unknown, revoked or expired; send `Authorization: Bearer …` with a good one";
            let challenge = format!("{realm}, error=\"invalid_token\"");
            Problem::new(Code::TokenInvalid, detail).with_challenge(challenge)
        }
        Refusal::UnknownTicket => {
            let detail = "the ticket is unknown, used or expired: it is good once, for 30 seconds; get a new one with \
                          POST /api/events/tickets";
            let challenge = format!("{realm}, error=\"invalid_token\"");
            Problem::new(Code::TokenInvalid, detail).with_challenge(challenge)
        }
    }
}

/// The answer to a client whose token was revoked or has expired while the client was waiting.
pub fn no_longer_let_in() -> Problem {
    challenge(Refusal::Unknown)
}
