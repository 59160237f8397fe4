//! The front: what every request passes on its way to a route, and every answer on its way back.
//!
//! One endpoint and not a layer of poem's for each check. A layer is a future of its own into which the request is
//! moved, so that ten of them took a tenth of the time of a change; and here the order can be read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, HeaderValue, Method, header};
use poem::{Endpoint, IntoEndpoint, IntoResponse, Request, Response, Route};

use crate::config::ServerConfig;
use crate::domain::token::Caller;

use super::access::Access;
use super::byte_budget::Budget;
use super::cors;
use super::framework_error;
use super::legacy_query;
use super::legacy_routes;
use super::legacy_routes::LegacyRoute;
use super::operation;
use super::operation::Operation;
use super::origin_guard;
use super::origin_guard::Allowed;
use super::proxies::Proxies;
use super::rate_limit::RateLimit;
use super::request_body;
use super::request_body::BodyLimits;
use super::request_path;
use super::response_budget;
use super::unknown_parameters;
use crate::api::ApiContext;
use crate::api::conditional;
use crate::api::permission::HeadOnly;
use crate::api::problem::Problem;
use crate::api::spec;
use crate::web;

pub struct Pipeline {
    allowed: Allowed,
    access: Access,
    limits: BodyLimits,
    /// For answers that are not taken yet.
    answers: Budget<Caller>,
    context: Arc<ApiContext>,
    pages: Route,
    api: BoxEndpoint<'static>,
}

impl Pipeline {
    pub fn new(context: ApiContext, config: &ServerConfig) -> Self {
        let proxies = Proxies { trusted: config.trusted_proxy.clone(), header: config.forwarded_header };
        let rate_limit = config.rate_limit.map(RateLimit::new);
        Self {
            allowed: Allowed { hosts: config.allow_host.clone(), origins: config.allow_origin.clone() },
            access: Access::new(context.auth.clone(), context.service.clone(), proxies, rate_limit),
            limits: BodyLimits {
                bytes_max: config.body_bytes_max,
                bodies: Budget::new(config.bodies_bytes_max, config.body_bytes_max),
                time_max: Duration::from_secs(config.request_seconds_max),
            },
            answers: Budget::new(config.answers_bytes_max, 1),
            context: Arc::new(context),
            pages: web::add_to(Route::new()),
            api: spec::service().into_endpoint(),
        }
    }

    /// Answers a request of whoever may ask at all.
    async fn answer(&self, request: Request) -> Response {
        let origin = cors::allowed(request.headers(), &self.allowed.origins);
        let is_preflight = cors::is_preflight(&request);
        let mut response = match origin_guard::check(&request, &self.allowed, origin.is_some()) {
            Ok(()) if is_preflight && origin.is_some() => cors::preflight(),
            Ok(()) => self.serve(request).await,
            Err(problem) => problem.into_response(),
        };
        if let Some(origin) = origin {
            cors::open(&mut response, origin);
        }
        if !self.allowed.origins.is_empty() {
            cors::vary(&mut response, is_preflight);
        }
        response
    }

    async fn serve(&self, mut request: Request) -> Response {
        request_path::normalize(&mut request);
        let legacy = legacy_routes::route(&mut request);
        let path = request.uri().path().to_owned();
        let template = operation::at(&path);
        let operation = template.and_then(|template| template.operation(request.method()));
        let caller = match self.admit(&mut request, operation).await {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        if request.method() == Method::HEAD {
            request.extensions_mut().insert(HeadOnly);
        }
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        let known =
            is_safe.then(|| crate::api::request_headers::header_list(&request, "If-None-Match")).flatten();
        if let Some(answer) = legacy.as_ref().and_then(LegacyRoute::own_answer) {
            return answer;
        }
        let answer = match template {
            Some(_) => self.api.call(request).await,
            None => self.pages.call(request).await,
        };
        let answer = answer.unwrap_or_else(|error| framework_error::answer(error, &path));
        let answer = match legacy {
            Some(legacy) => legacy.adapt(answer).await,
            None => answer,
        };
        let answer = match known {
            Some(known) => conditional::spare(&known, answer),
            None => answer,
        };
        match template {
            Some(_) => response_budget::hold(answer, caller, &self.answers).await,
            // Pages are in memory once for all who read them.
            None => answer,
        }
    }

    /// Makes a request one that a handler may see.
    async fn admit(&self, request: &mut Request, operation: Option<&Operation>) -> Result<Caller, Problem> {
        let caller = self.access.admit(request, operation)?;
        match operation {
            Some(operation) if operation.takes_body => {
                request_body::read_body(request, caller.clone(), &self.limits).await?;
            }
            // A page and what is not there take none either.
            _ => request_body::pass_over_body(request)?,
        }
        unknown_parameters::check(request, operation)?;
        legacy_query::adapt(request).await?;
        request.extensions_mut().insert(self.context.clone());
        Ok(caller)
    }
}

impl Endpoint for Pipeline {
    type Output = Response;

    /// Counts, logs and hardens. Never logs the query: it may hold what is nobody's business.
    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let started = Instant::now();
        let _in_flight = self.context.metrics.in_flight();
        let mut response = self.answer(request).await;
        harden(&mut response);
        let (status, elapsed) = (response.status(), started.elapsed());
        self.context.metrics.request(known(&method), status.as_u16(), elapsed);
        tracing::debug!(
            http.method = %method,
            http.path = %path,
            http.status = status.as_u16(),
            duration_ms = elapsed.as_millis() as u64,
            "request"
        );
        Ok(response)
    }
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
