//! The guard before every route: whether a web page is behind a request, and which.
//!
//! The hub listens on loopback without asking for a name, so a web page in the same person's browser is the
//! attacker to think of. It can rebind its own host name to 127.0.0.1 (hence the Host check on every method)
//! and it can post across sites (hence the Origin and Sec-Fetch-Site checks on unsafe ones, with or without a
//! body).

use std::net::IpAddr;

use poem::Request;
use poem::http::{HeaderName, Method, header, uri::Authority};

use crate::config::Origin;

use super::problem::{Code, Problem};

/// What a browser says of where a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the guard lets through.
#[derive(Debug)]
pub struct Allowed {
    pub hosts: Vec<String>,
    /// Whose pages may use the hub as its own do.
    pub origins: Vec<Origin>,
}

/// # Errors
/// A [`Problem`] unless the request may be answered. `is_welcome` says that it comes from a page of an allowed origin.
pub fn check(request: &Request, allowed: &Allowed, is_welcome: bool) -> Result<(), Problem> {
    // Not a place here: `CONNECT host:port`, `OPTIONS *`.
    if !request.uri().path().starts_with('/') {
        return Err(Problem::new(Code::RouteNotFound, "nothing is here; /docs lists what there is"));
    }
    let host = host(request)?;
    if !is_allowed(host.host(), &allowed.hosts) {
        let detail = "the Host header names a host that this hub does not answer for; use localhost, or allow \
                      the name with --allow-host";
        return Err(Problem::new(Code::HostNotAllowed, detail));
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && !is_welcome && is_cross_site(request, &host) {
        let detail = "a page of another site may not change anything here; its origin can be allowed with --allow-origin";
        return Err(Problem::new(Code::CrossSite, detail));
    }
    Ok(())
}

/// The one host that the request is for: the authority of an absolute target must agree with the header. RFC
/// 9112, section 3.2, wants 400 for anything else.
fn host(request: &Request) -> Result<Authority, Problem> {
    let refused = || {
        let detail = "send exactly one Host header, with the name the hub is reached by";
        Problem::new(Code::InvalidHost, detail)
    };
    let mut headers = request.headers().get_all(header::HOST).iter();
    let named = headers.next().and_then(|it| it.to_str().ok()?.parse::<Authority>().ok());
    if headers.next().is_some() {
        return Err(refused());
    }
    match (named, request.uri().authority()) {
        // Nobody is called by a name and a password.
        (_, Some(target)) if target.as_str().contains('@') => Err(refused()),
        (Some(named), Some(target)) if named != *target => Err(refused()),
        (Some(named), _) => Ok(named),
        // HTTP/2 has no Host header but `:authority`, which hyper puts here.
        (None, Some(target)) if !request.headers().contains_key(header::HOST) => Ok(target.clone()),
        _ => Err(refused()),
    }
}

/// An address in place of a name cannot be rebound, so any will do.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok()
        || allowed.iter().any(|name| name.eq_ignore_ascii_case(&host))
}

fn is_cross_site(request: &Request, host: &Authority) -> bool {
    let headers = request.headers();
    let same_site = |value: &header::HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let own = |value: &header::HeaderValue| {
        value.to_str().is_ok_and(|origin| {
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            authority.is_some_and(|it| it.eq_ignore_ascii_case(host.as_str()))
        })
    };
    !headers.get_all(SEC_FETCH_SITE).iter().all(same_site) || !headers.get_all(header::ORIGIN).iter().all(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> poem::RequestBuilder {
        Request::builder().method(Method::PUT).header("host", "localhost:8000")
    }

    fn verdict(request: Request) -> Option<Code> {
        let allowed = Allowed { hosts: vec!["hub.example".into()], origins: Vec::new() };
        check(&request, &allowed, false).err().map(|problem| problem.code())
    }

    #[test]
    fn only_names_of_this_hub_are_served() {
        let with = |host: &str| verdict(Request::builder().header("host", host).finish());
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "hub.example", "10.0.0.7"] {
            assert_eq!(with(host), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert_eq!(with(host), Some(Code::HostNotAllowed), "{host}");
        }
        let twice = Request::builder().header("host", "localhost").header("host", "localhost");
        assert_eq!(verdict(twice.finish()), Some(Code::InvalidHost));
        assert_eq!(verdict(Request::builder().finish()), Some(Code::InvalidHost));
        assert_eq!(with(""), Some(Code::InvalidHost));
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let with = |name: &str, value: &str| verdict(request().header(name, value).finish());
        assert_eq!(with("origin", "http://localhost:8000"), None);
        assert_eq!(with("sec-fetch-site", "same-origin"), None);
        assert_eq!(verdict(request().finish()), None);
        for origin in ["http://evil.example", "null", "http://localhost:8001", "localhost:8000"] {
            assert_eq!(with("origin", origin), Some(Code::CrossSite), "{origin}");
        }
        assert_eq!(with("sec-fetch-site", "cross-site"), Some(Code::CrossSite));
        assert_eq!(with("sec-fetch-site", "same-site"), Some(Code::CrossSite));
    }
}
