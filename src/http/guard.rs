//! The guard before every route: who may ask, and how much.
//!
//! The hub listens on loopback without asking for a name, so a web page in the same person's browser is the
//! attacker to think of. It can rebind its own host name to 127.0.0.1 (hence the Host check on every method)
//! and it can post across sites (hence the Origin and Sec-Fetch-Site checks on unsafe ones, with or without a
//! body). Bodies are read here, counted and against the clock, so that no handler meets an endless one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use poem::http::{Method, header, uri::Authority};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use tokio::sync::Semaphore;

use super::body::is_json;
use super::problem::{Code, Problem};

/// A client that sends more than allowed is read on for this many times the limit before it is cut off, so
/// that it gets to read why.
const DRAIN_FACTOR: u64 = 16;

/// What the guard lets through.
#[derive(Debug)]
pub struct Limits {
    pub allowed_hosts: Vec<String>,
    pub body_bytes_max: u32,
    /// Bytes of bodies that may be in memory at once.
    pub bodies: Semaphore,
    pub body_time_max: Duration,
}

#[derive(Debug, Clone)]
pub struct Guard(pub Arc<Limits>);

impl<E: Endpoint<Output = Response>> Middleware<E> for Guard {
    type Output = Guarded<E>;

    fn transform(&self, inner: E) -> Guarded<E> {
        Guarded { limits: self.0.clone(), inner }
    }
}

#[derive(Debug)]
pub struct Guarded<E> {
    limits: Arc<Limits>,
    inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for Guarded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let checked = match check(&request, &self.limits) {
            Ok(()) => read_body(&mut request, &self.limits).await,
            Err(problem) => Err(problem),
        };
        match checked {
            Ok(()) => self.inner.call(request).await,
            Err(problem) => Ok(problem.into_response()),
        }
    }
}

fn check(request: &Request, limits: &Limits) -> Result<(), Problem> {
    let host = host(request)?;
    if !is_allowed(host.host(), &limits.allowed_hosts) {
        let detail = "the Host header names a host that this hub does not answer for; use localhost, or allow \
                      the name with --allow-host";
        return Err(Problem::new(Code::HostNotAllowed, detail));
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && is_cross_site(request, &host) {
        let detail = "a page of another site may not change anything here";
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
    !headers.get_all("sec-fetch-site").iter().all(same_site)
        || !headers.get_all(header::ORIGIN).iter().all(own)
}

/// Replaces the body by its bytes.
async fn read_body(request: &mut Request, limits: &Limits) -> Result<(), Problem> {
    if is_bodiless(request) {
        return Ok(());
    }
    let declared = declared_length(request);
    // A client that waits to be invited, or would send on and on, is told before it sends.
    let waits = request.headers().contains_key(header::EXPECT);
    if declared.is_some_and(|length| {
        length > u64::from(limits.body_bytes_max) * if waits { 1 } else { DRAIN_FACTOR }
    }) {
        return Err(too_large(limits));
    }
    let seconds = limits.body_time_max.as_secs();
    let late = || Problem::new(Code::RequestTimeout, format!("the body did not arrive within {seconds} s"));
    let body = request.take_body();
    let reading = async {
        // Bodies share a budget: those beyond it wait for their turn.
        let bytes = declared.map_or(limits.body_bytes_max, |it| it.min(limits.body_bytes_max.into()) as u32);
        let _budget = limits.bodies.acquire_many(bytes).await;
        collect(body, limits).await
    };
    let bytes = tokio::time::timeout(limits.body_time_max, reading).await.map_err(|_| late())??;
    if !bytes.is_empty() && !request.content_type().is_some_and(is_json) {
        let detail = "send the body as JSON, with the header `Content-Type: application/json`";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    request.set_body(bytes);
    Ok(())
}

fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &Limits) -> Problem {
    let detail = format!("the body is larger than {} bytes; send less", limits.body_bytes_max);
    Problem::new(Code::BodyTooLarge, detail)
}

async fn collect(body: poem::Body, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let bytes_max = u64::from(limits.body_bytes_max);
    let mut chunks = body.into_bytes_stream();
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::InvalidJson, "the body broke off; send it again"))?;
        seen += chunk.len() as u64;
        if seen <= bytes_max {
            bytes.extend_from_slice(&chunk);
        } else if seen > bytes_max * DRAIN_FACTOR {
            break;
        }
    }
    if seen > bytes_max { Err(too_large(limits)) } else { Ok(bytes) }
}

/// Whether HTTP/1 says that no body follows. RFC 9112, section 6.3.
fn is_bodiless(request: &Request) -> bool {
    let headers = request.headers();
    !headers.contains_key(header::TRANSFER_ENCODING)
        && request.version() < poem::http::Version::HTTP_2
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> poem::RequestBuilder {
        Request::builder().method(Method::PUT).header("host", "localhost:8000")
    }

    fn verdict(request: Request) -> Option<Code> {
        let limits = Limits {
            allowed_hosts: vec!["hub.example".into()],
            body_bytes_max: 10,
            bodies: Semaphore::new(10),
            body_time_max: Duration::from_secs(1),
        };
        check(&request, &limits).err().map(|problem| problem.code())
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
