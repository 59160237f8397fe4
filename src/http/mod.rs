//! HTTP: the routes, and what every request passes on its way to one.
//!
//! Read [`endpoint`] as the table of contents. Handlers are a few lines each: they turn parameters into a use
//! case of `service` or a question to `events`, and its answer into a reply; `problem` turns every error into
//! one form. No status, header or JSON is known outside this room.

mod access;
mod body;
mod compat;
mod cors;
mod events;
mod executions;
mod forwarded;
mod guard;
mod intake;
mod list;
mod pace;
mod pages;
mod problem;
mod schema;
pub mod spec;
mod standing;
mod stream;
mod system;
mod tasks;

pub use pages::paths as page_paths;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, HeaderValue, Method, header};
use poem::middleware::{NormalizePath, TrailingSlash};
use poem::{Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Response, Route};

use tokio::sync::Semaphore;

use crate::auth::Auth;
use crate::config::ServerConfig;
use crate::domain::token::Caller;
use crate::events::Events;
use crate::executor::{LogStreams, Sessions};
use crate::metrics::Metrics;
use crate::places::Places;
use crate::service::Service;

use access::Access;
use compat::Compat;
use forwarded::Proxies;
use guard::{Allowed, Guard};
use intake::{BodyLimits, Intake};
use pace::Pace;
use problem::{Code, Problem};

/// What groups the operations in the documentation.
#[derive(Debug, Clone, Copy, poem_openapi::Tags)]
enum Tags {
    /// What is to be done, by whom, and where it stands.
    Tasks,
    /// Running the scripts of tasks, and reading what they wrote.
    Executions,
    /// Every change, as a stream or as a list.
    Events,
    /// For operators.
    System,
}

/// Where the logs of executions are.
#[derive(Debug, Clone)]
pub struct DataDir(pub PathBuf);

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct Rooms {
    pub auth: Auth,
    pub service: Service,
    pub events: Events,
    pub logs: LogStreams,
    pub sessions: Sessions,
    pub metrics: Metrics,
    pub data_dir: DataDir,
}

/// Every route behind every check, outermost last. Each layer makes the future of every request larger, by about a
/// kilobyte that has to be moved.
pub fn endpoint(rooms: Rooms, config: &ServerConfig) -> BoxEndpoint<'static, Response> {
    let allowed = Allowed { hosts: config.allow_host.clone(), origins: config.allow_origin.clone() };
    let limits = BodyLimits {
        bytes_max: config.body_bytes_max,
        // One body at least must fit.
        bodies: Semaphore::new(config.bodies_bytes_max.max(config.body_bytes_max) as usize),
        time_max: Duration::from_secs(config.request_seconds_max),
    };
    let proxies = Proxies { trusted: config.trusted_proxy.clone(), header: config.forwarded_header };
    let access =
        Access::new(rooms.auth.clone(), rooms.service.clone(), proxies, config.rate_limit.map(Pace::new));
    let metrics = rooms.metrics.clone();
    let places = Places::<Caller>::new(config.streams_per_client_max);
    let api = Arc::new(spec::service().into_endpoint());
    pages::add_to(Route::new())
        .nest_no_strip("/api", api.clone())
        .at("/health", api.clone())
        .at("/ready", api.clone())
        .at("/metrics", api)
        .before(move |mut request: poem::Request| {
            // The use cases come with who asks (`access.rs`).
            let Rooms { auth, service: _, events, logs, sessions, metrics, data_dir } = rooms.clone();
            let extensions = request.extensions_mut();
            extensions.insert(auth);
            extensions.insert(places.clone());
            extensions.insert(events);
            extensions.insert(logs);
            extensions.insert(sessions);
            extensions.insert(metrics);
            extensions.insert(data_dir);
            std::future::ready(Ok(request))
        })
        .around(complete)
        .with(Compat)
        .with(Intake(Arc::new(limits)))
        .with(access)
        .with(NormalizePath::new(TrailingSlash::Trim))
        .with(Guard(Arc::new(allowed)))
        .around(move |next, request| measure(next, request, metrics.clone()))
        .boxed()
}

/// All lines of a header as one list. The framework overlooks every line after the first, and any that is not
/// ASCII; a condition or a cursor that is overlooked would be a lost update or a silent gap.
fn header_list(request: &poem::Request, name: &str) -> Option<String> {
    let lines = request.headers().get_all(name).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn comma_list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A `Link` header that leads to the next page (RFC 8288); empty parameters are left out.
fn next_link(path: &str, parameters: &[(&str, String)]) -> String {
    let given: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(given).expect("pairs of strings are always a query");
    format!("<{path}?{query}>; rel=\"next\"")
}

/// Gives every error its one form.
async fn complete<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: poem::Request,
) -> poem::Result<Response> {
    let path = request.uri().path().to_owned();
    if let Err(problem) = refuse_unknown_parameters(&request) {
        return Ok(problem.into_response());
    }
    Ok(match next.call(request).await {
        Ok(response) => response,
        Err(error) => Problem::of_framework(error, &path),
    })
}

/// A misspelt filter that is passed over would answer everything.
fn refuse_unknown_parameters(request: &poem::Request) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    if query.is_empty() {
        return Ok(());
    }
    // HEAD is answered as GET.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(known) = spec::query_parameters(method.as_str(), request.uri().path()) else {
        return Ok(());
    };
    let given: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let unknown = given
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| !known.contains(&name.as_str()) && !compat::is_known(request.uri().path(), name));
    let Some(name) = unknown else {
        return Ok(());
    };
    let name: String = name.chars().take(64).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let detail = format!("{name}: is not a parameter of this operation; it has {known}");
    Err(Problem::new(Code::InvalidParameter, detail).with_field(name))
}

/// Keeps pages of other sites from loading an answer as a script or an image of theirs.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What every answer says, unless it says something else: nobody shall guess what it is, or put it into a page of
/// theirs.
fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Pages bring a policy of their own. Whatever else is opened in a browser runs nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Counts, logs and hardens. Never logs the query: it may hold what is nobody's business.
async fn measure<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: poem::Request,
    metrics: Metrics,
) -> poem::Result<Response> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    let _in_flight = metrics.in_flight();
    let mut response = next.call(request).await?;
    harden(&mut response);
    let (status, elapsed) = (response.status(), started.elapsed());
    metrics.request(known(&method), status.as_u16(), elapsed);
    tracing::debug!(
        http.method = %method,
        http.path = %path,
        http.status = status.as_u16(),
        duration_ms = elapsed.as_millis() as u64,
        "request"
    );
    Ok(response)
}

/// A label that a client cannot make up.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
