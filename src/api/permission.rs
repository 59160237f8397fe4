//! Permission: what an accepted caller may do. An earlier layer has identified the caller and
//! attached it to the request.

use std::fmt;

use poem::Request;

use crate::auth::{Auth, Principal, Refusal};
use crate::domain::token::Scope;

use super::problem::{Code, Problem};

/// The ticket of a request. It is not used up yet.
#[derive(Clone)]
pub struct ShownTicket(pub String);

impl fmt::Debug for ShownTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownTicket")
    }
}

/// Marks a HEAD request. The framework hands it to the handlers as GET.
#[derive(Debug, Clone)]
pub struct HeadOnly;

/// Uses up the ticket of a request, if it has one. A handler calls this last, when it opens the
/// stream. So a failed attempt does not cost the ticket.
///
/// # Errors
/// A [`Problem`] when another request has used the ticket first.
pub fn use_up_ticket(request: &Request, auth: &Auth) -> Result<(), Problem> {
    match request.extensions().get::<ShownTicket>() {
        // A HEAD request opens no stream.
        Some(ShownTicket(ticket)) if request.extensions().get::<HeadOnly>().is_none() => {
            auth.redeem(ticket).map(drop).map_err(challenge)
        }
        _ => Ok(()),
    }
}

/// Refuses a caller without the needed scope.
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

/// The problem for a refused caller, with the challenge of RFC 6750, section 3.
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

/// The answer to a client whose token was revoked or expired while the client waited.
pub fn no_longer_let_in() -> Problem {
    challenge(Refusal::Unknown)
}
