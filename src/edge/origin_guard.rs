//! The guard before every route: decides whether a web page sent the request, and whether that page
//! may.
//!
//! The hub listens on loopback without asking for a token, so the main attacker is a web page in
//! the same person's browser. The page can rebind its own host name to 127.0.0.1, hence the Host
//! check on every method. It can also post across sites, hence the Origin and Sec-Fetch-Site checks
//! on unsafe methods, with or without a body.

use poem::Request;
use poem::http::{HeaderName, Method, Version, header, uri::Scheme};

use crate::config::Origin;

use super::authority::{self, Authority};
use crate::api::problem::{Code, Problem};

/// The paths that work without a Host header.
const HEALTH: [&str; 2] = ["/health", "/ready"];
/// The header in which a browser says where a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the operator has allowed.
#[derive(Debug)]
pub struct Allowed {
    pub hosts: Vec<String>,
    /// The origins whose pages may use the hub like its own pages.
    pub origins: Vec<Origin>,
}

/// # Errors
/// A [`Problem`] when the guard refuses the request. `is_welcome`: the request comes from a page of
/// an allowed origin.
pub fn check(request: &Request, allowed: &Allowed, is_welcome: bool) -> Result<(), Problem> {
    // Not a path: `CONNECT host:port`, `OPTIONS *`.
    if !request.uri().path().starts_with('/') {
        return Err(Problem::new(Code::RouteNotFound, "nothing is here; /docs lists what there is"));
    }
    let host = match host(request)? {
        Some(host) => host,
        // HTTP/1.0 without a Host: health checks of older load balancers send that.
        None if HEALTH.contains(&request.uri().path()) => return Ok(()),
        None => return Err(invalid_host()),
    };
    if !is_allowed(&host, &allowed.hosts) {
        let detail = "the Host header names a host that this hub does not answer for; use localhost, or allow \
                      the name with --allow-host";
        return Err(Problem::new(Code::HostNotAllowed, detail));
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && !is_welcome && is_cross_site(request, &host, allowed) {
        let detail = "a page of another site may not change anything here; its origin can be allowed with --allow-origin";
        return Err(Problem::new(Code::CrossSite, detail));
    }
    Ok(())
}

fn invalid_host() -> Problem {
    Problem::new(Code::InvalidHost, "send exactly one Host header, with the name the hub is reached by")
}

/// The host of the request; `None` when an HTTP/1.0 client names none. RFC 9112, section 3.2.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let uri = request.uri();
    if uri.scheme().is_some_and(|scheme| ![Scheme::HTTP, Scheme::HTTPS].contains(scheme)) {
        return Err(invalid_host());
    }
    let mut headers = request.headers().get_all(header::HOST).iter();
    let header =
        headers.next().map(|it| it.to_str().ok().and_then(Authority::parse).ok_or_else(invalid_host));
    let header = header.transpose()?;
    if headers.next().is_some() {
        return Err(invalid_host());
    }
    let target = uri.authority().map(|it| Authority::parse(it.as_str()).ok_or_else(invalid_host));
    match (header, target.transpose()?) {
        // HTTP/2 has `:authority`. A Host header besides it must be equal. RFC 9113, section 8.3.1.
        (Some(header), Some(target)) if request.version() >= Version::HTTP_2 && header != target => {
            Err(invalid_host())
        }
        // In HTTP/1.1 the target overrides the header. RFC 9112, section 3.2.2.
        (Some(_), Some(target)) => Ok(Some(target)),
        (None, Some(target)) if request.version() >= Version::HTTP_2 => Ok(Some(target)),
        (Some(header), None) => Ok(Some(header)),
        (None, target) if request.version() == Version::HTTP_10 => Ok(target),
        _ => Err(invalid_host()),
    }
}

/// Every IP address is allowed, because it cannot be rebound.
fn is_allowed(host: &Authority, allowed: &[String]) -> bool {
    host.host == "localhost"
        || host.host.ends_with(".localhost")
        || host.is_address()
        || is_named(host, allowed)
}

fn is_named(host: &Authority, allowed: &[String]) -> bool {
    let name = |text: &String| text.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
    allowed.iter().any(|text| name(text) == host.host)
}

fn is_cross_site(request: &Request, host: &Authority, allowed: &Allowed) -> bool {
    let headers = request.headers();
    let same_site = |value: &header::HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let own = |value: &header::HeaderValue| {
        value
            .to_str()
            .ok()
            .and_then(authority::origin)
            .is_some_and(|origin| is_own(&origin, request, host, allowed))
    };
    !headers.get_all(SEC_FETCH_SITE).iter().all(same_site) || !headers.get_all(header::ORIGIN).iter().all(own)
}

/// Whether a page comes from this hub: same scheme, host and port.
fn is_own(
    (scheme, page): &(authority::Scheme, Authority),
    request: &Request,
    host: &Authority,
    allowed: &Allowed,
) -> bool {
    let is_secure = *request.scheme() == Scheme::HTTPS;
    let own = if is_secure { authority::Scheme::Https } else { authority::Scheme::Http };
    if page.host != host.host {
        return false;
    }
    if *scheme == own {
        return page.port_with(*scheme) == host.port_with(own);
    }
    // A proxy in front may speak HTTPS for the hub. The page then has the name that the operator
    // has allowed, and the scheme's default port or the one that the proxy passes on.
    !is_secure && is_named(host, &allowed.hosts) && page.port_with(*scheme) == host.port_with(*scheme)
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
        for odd in [
            "",
            "[::1].evil.example",
            "localhost:80evil.example",
            "localhost..",
            "x@localhost",
            "localhost:99999",
        ] {
            assert_eq!(with(odd), Some(Code::InvalidHost), "{odd}");
        }
    }

    #[test]
    fn a_target_with_a_host_counts_before_the_header() {
        let with = |target: &str, host: &str, version: Version| {
            let uri = target.parse().expect("a target");
            verdict(Request::builder().uri(uri).version(version).header("host", host).finish())
        };
        assert_eq!(with("http://localhost/", "evil.example", Version::HTTP_11), None);
        assert_eq!(with("http://evil.example/", "localhost", Version::HTTP_11), Some(Code::HostNotAllowed));
        assert_eq!(with("http://localhost/", "evil.example", Version::HTTP_2), Some(Code::InvalidHost));
        assert_eq!(with("javascript://localhost/", "localhost", Version::HTTP_2), Some(Code::InvalidHost));
    }

    #[test]
    fn an_old_health_check_need_not_name_a_host() {
        let with = |path: &'static str, version: Version| {
            verdict(Request::builder().uri(path.parse().expect("a path")).version(version).finish())
        };
        assert_eq!(with("/health", Version::HTTP_10), None);
        assert_eq!(with("/ready", Version::HTTP_10), None);
        assert_eq!(with("/", Version::HTTP_10), Some(Code::InvalidHost));
        assert_eq!(with("/health", Version::HTTP_11), Some(Code::InvalidHost));
    }

    #[test]
    fn an_origin_is_compared_with_its_scheme_and_port() {
        let with = |host: &str, origin: &str| {
            let request =
                Request::builder().method(Method::PUT).header("host", host).header("origin", origin);
            verdict(request.finish())
        };
        for (host, origin) in [
            ("localhost:80", "http://localhost"),
            ("localhost", "http://localhost"),
            ("LOCALHOST", "http://localhost"),
            ("hub.example", "https://hub.example"),
            ("hub.example:443", "https://hub.example"),
            ("hub.example:8443", "https://hub.example:8443"),
            ("[::1]:8000", "http://[::1]:8000"),
        ] {
            assert_eq!(with(host, origin), None, "{host} {origin}");
        }
        for (host, origin) in [
            ("localhost:8000", "https://localhost:8000"),
            ("localhost", "https://localhost"),
            ("localhost:8000", "http://localhost"),
            ("hub.example:80", "https://hub.example"),
            ("hub.example", "https://other.example"),
        ] {
            assert_eq!(with(host, origin), Some(Code::CrossSite), "{host} {origin}");
        }
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
