//! Access: identifies the caller, and checks that the caller may do what the request asks. Runs
//! after the origin guard and before a body is read.
//!
//! The specification says which scope an operation needs (`x-required-scope`), and this module
//! reads it there. A path that is neither an operation nor a page needs a token, too. For anything
//! but a safe method it needs the highest scope: a route that somebody forgets to describe is
//! closed, not open. Pages are open to everybody, because a browser sends no token when it opens
//! one; they hold no data.
//!
//! The request then carries a [`Principal`], and a [`Service`] that acts in its name.

use poem::Request;
use poem::http::{Method, header};

use crate::auth::{Auth, Principal, Refusal};
use crate::domain::token::{Actor, Caller, Scope};
use crate::quota::OnReserve;
use crate::service::Service;

use super::operation::{MCP_PATH, Operation};
use super::proxies::Proxies;
use super::rate_limit::RateLimit;
use crate::api::permission::{ShownTicket, challenge, require};
use crate::api::problem::{Code, Problem};
use crate::web;

/// The query parameter that holds a ticket.
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

    /// Adds the caller's identity to the request. Returns the caller, by which limits are counted.
    ///
    /// # Errors
    /// A [`Problem`] that says what the request lacks.
    pub fn admit(&self, request: &mut Request, operation: Option<&Operation>) -> Result<Caller, Problem> {
        if request.extensions().get::<OnReserve>().is_some() && !is_for_reserve(request.uri().path()) {
            let detail = "all places for connections are taken, or all that this address may have; close some, or try \
                          again";
            return Err(Problem::new(Code::Unavailable, detail));
        }
        let address = self.proxies.client_of(request);
        let Some(needed) = needed_scope(request, operation) else {
            let caller = Actor { address, ..Actor::default() }.caller();
            // Operations that are open to everybody, such as health checks, have no rate limit.
            if let (Some(rate_limit), None) = (&self.rate_limit, operation) {
                rate_limit.check(&caller)?;
            }
            // The service acts without a name here: no public path writes anything.
            request.extensions_mut().insert(self.service.clone());
            return Ok(caller);
        };
        let identified = self.identify(request, operation).map_err(challenge);
        // A request that is refused counts against the rate limit, too.
        let known = identified.as_ref().ok();
        let token = known.and_then(|principal| principal.name.clone());
        let projects = known.map(|principal| principal.projects.clone()).unwrap_or_default();
        let actor = Actor { token, address, projects };
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
        // Basic credentials are for a proxy in front of the hub. The ticket counts instead.
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

/// The paths that answer on a reserve connection: those for operators and their monitoring, and the
/// stream. The stream itself reports that there is no space: a browser never retries a stream that
/// was refused.
fn is_for_reserve(path: &str) -> bool {
    ["/health", "/ready", "/metrics", "/api/events/status", "/api/events/stream"].contains(&path)
}

/// The scope that a request needs; `None` when the path is open to everybody.
fn needed_scope(request: &Request, operation: Option<&Operation>) -> Option<Scope> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && web::is_page(request.uri().path()) {
        return None;
    }
    match operation {
        Some(operation) => operation.scope,
        None if is_safe => Some(Scope::Read),
        // Answered 405, which every client of the protocol has to get.
        None if request.uri().path() == MCP_PATH => Some(Scope::Read),
        None => Some(Scope::Exec),
    }
}

/// The secret of the only `Authorization` header, if it is a bearer token. RFC 6750, section 2.1.
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
        for page in ["/", "/docs", "/favicon.ico", "/openapi.json", "/health"] {
            assert_eq!(needed(Method::GET, page), None, "{page}");
        }
        assert_eq!(needed(Method::HEAD, "/api/tasks"), Some(Scope::Read));
        assert_eq!(needed(Method::POST, "/api/tasks"), Some(Scope::Write));
        assert_eq!(needed(Method::POST, "/api/exec/1"), Some(Scope::Exec));
        assert_eq!(needed(Method::GET, "/nowhere"), Some(Scope::Read));
        assert_eq!(needed(Method::DELETE, "/mcp"), Some(Scope::Read));
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
