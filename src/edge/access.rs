//! Access: who asks, and whether that allows what is asked. Behind the guard, before a body is read.
//!
//! What an operation needs is in the specification, where its clients read it (`x-required-scope`), and is looked
//! up there. What is neither an operation nor a page needs a token, too, and for more than looking the highest
//! scope: a route that somebody forgets to describe is closed, not open. Pages are for everybody, since a
//! browser shows no token when it opens one; there is nothing in them.
//!
//! Who was let in goes with the request: a [`Principal`], and a [`Service`] that acts in its name.

use poem::Request;
use poem::http::{Method, header};

use crate::auth::{Auth, Principal, Refusal};
use crate::domain::token::{Actor, Caller, Scope};
use crate::quota::OnReserve;
use crate::service::Service;

use super::operation::Operation;
use super::proxies::Proxies;
use super::rate_limit::RateLimit;
use crate::api::permission::{ShownTicket, challenge, require};
use crate::api::problem::{Code, Problem};
use crate::web;

/// What a ticket is called in a query.
pub const TICKET: &str = "ticket";

#[derive(Debug)]
pub struct Access {
    auth: Auth,
    service: Service,
    proxies: Proxies,
    rate_limit: Option<RateLimit>,
}

impl Access {
    pub fn new(auth: Auth, service: Service, proxies: Proxies, rate_limit: Option<RateLimit>) -> Self {
        Self { auth, service, proxies, rate_limit }
    }

    /// Adds to the request who asks, and answers it as far as limits are concerned.
    ///
    /// # Errors
    /// A [`Problem`] that says what is needed.
    pub fn admit(&self, request: &mut Request, operation: Option<&Operation>) -> Result<Caller, Problem> {
        if request.extensions().get::<OnReserve>().is_some() && !is_for_reserve(request.uri().path()) {
            let detail = "all places for connections are taken, or all that this address may have; close some, or try \
                          again";
            return Err(Problem::new(Code::Unavailable, detail));
        }
        let address = self.proxies.client_of(request);
        let Some(needed) = needed_scope(request, operation) else {
            let caller = Actor { token: None, address }.caller();
            // Who watches over the hub has no pace to keep.
            if let (Some(rate_limit), None) = (&self.rate_limit, operation) {
                rate_limit.check(&caller)?;
            }
            // Nobody in particular; what is for everybody writes nothing in a name.
            request.extensions_mut().insert(self.service.clone());
            return Ok(caller);
        };
        let identified = self.identify(request, operation).map_err(challenge);
        // A caller that is refused counts, too.
        let token = identified.as_ref().ok().and_then(|principal| principal.name.clone());
        let actor = Actor { token, address };
        let caller = actor.caller();
        if let Some(rate_limit) = &self.rate_limit {
            rate_limit.check(&caller)?;
        }
        let principal = identified?;
        require(&principal, needed)?;
        request.extensions_mut().insert(self.service.by(actor));
        request.extensions_mut().insert(principal);
        Ok(caller)
    }

    fn identify(&self, request: &mut Request, operation: Option<&Operation>) -> Result<Principal, Refusal> {
        let shown = request.headers().contains_key(header::AUTHORIZATION);
        // A password for a proxy in front says nothing here: the ticket does.
        if (!shown || is_basic(request))
            && let Some(ticket) = ticket(request, operation)
        {
            let principal = self.auth.holder_of(&ticket)?;
            request.extensions_mut().insert(ShownTicket(ticket));
            return Ok(principal);
        }
        match (shown, bearer(request)) {
            (true, None) if self.auth.asks() => Err(Refusal::Unknown),
            (_, secret) => self.auth.identify(secret),
        }
    }
}

fn is_basic(request: &Request) -> bool {
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    headers.all(|value| value.as_bytes().get(..6).is_some_and(|it| it.eq_ignore_ascii_case(b"basic ")))
}

/// What operators look at, and their monitoring. A stream says for itself that it cannot be had: a browser that is
/// refused one gives it up for ever.
fn is_for_reserve(path: &str) -> bool {
    ["/health", "/ready", "/metrics", "/api/events/status", "/api/events/stream"].contains(&path)
}

/// The scope that a request needs; `None` when it is for everybody.
fn needed_scope(request: &Request, operation: Option<&Operation>) -> Option<Scope> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && web::is_page(request.uri().path()) {
        return None;
    }
    match operation {
        Some(operation) => operation.scope,
        None if is_safe => Some(Scope::Read),
        None => Some(Scope::Exec),
    }
}

/// The secret in the one `Authorization` header, if that is what is in it. RFC 6750, section 2.1.
fn bearer(request: &Request) -> Option<&str> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let (only, None) = (headers.next()?, headers.next()) else {
        return None;
    };
    let (scheme, secret) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| secret.trim())
}

/// The ticket in the query of an operation that takes one.
fn ticket(request: &Request, operation: Option<&Operation>) -> Option<String> {
    operation?.parameter(TICKET)?;
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(request.uri().query()?).ok()?;
    pairs.into_iter().find(|(name, _)| name == TICKET).map(|(_, ticket)| ticket)
}

#[cfg(test)]
mod tests {
    use poem::http::Uri;

    use super::super::operation;
    use super::*;

    #[test]
    fn what_is_not_described_is_closed() {
        let needed = |method: Method, path: &'static str| {
            let operation = operation::at(path).and_then(|there| there.operation(&method));
            let request = Request::builder().method(method.clone()).uri(Uri::from_static(path)).finish();
            needed_scope(&request, operation)
        };
        for page in ["/", "/docs", "/assets/board.js", "/openapi.json", "/health"] {
            assert_eq!(needed(Method::GET, page), None, "{page}");
        }
        assert_eq!(needed(Method::HEAD, "/api/tasks"), Some(Scope::Read));
        assert_eq!(needed(Method::POST, "/api/tasks"), Some(Scope::Write));
        assert_eq!(needed(Method::POST, "/api/exec/1"), Some(Scope::Exec));
        assert_eq!(needed(Method::GET, "/nowhere"), Some(Scope::Read));
        for route in ["/nowhere", "/", "/health", "/api/tasks/status/x/y"] {
            assert_eq!(needed(Method::POST, route), Some(Scope::Exec), "{route}");
        }
    }

    #[test]
    fn a_bearer_shows_one_token() {
        let with = |values: &[&str]| {
            let mut request = Request::builder();
            for value in values {
                request = request.header("authorization", *value);
            }
            let request = request.finish();
            bearer(&request).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(with(&["bearer  abc "]).as_deref(), Some("abc"));
        for odd in [&[][..], &["abc"], &["Basic abc"], &["Bearer abc", "Bearer abc"], &["Bearer"]] {
            assert_eq!(with(odd), None, "{odd:?}");
        }
    }
}
