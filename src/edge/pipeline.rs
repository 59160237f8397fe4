//! The pipeline: the steps that every request passes before an operation, and every answer after
//! it.
//!
//! It is one endpoint, so that the order of the checks can be read here. Rejected: one poem layer
//! for each check. Each layer moves the request into its own future, and ten of them took a tenth
//! of the CPU time of a PATCH.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, HeaderValue, Method, header};
use poem::{Endpoint, IntoEndpoint, IntoResponse, Request, Response, Route};
use tokio_util::sync::CancellationToken;

use crate::config::{McpProfile, ServerConfig};
use crate::domain::token::Caller;

use crate::api::permission::HeadOnly;
use crate::api::problem::Problem;
use crate::api::{ApiContext, conditional, spec};
use crate::mcp::McpEndpoint;
use crate::web;

use super::access::Access;
use super::agent_routes;
use super::byte_budget::Budget;
use super::legacy_routes::{self, LegacyRoute};
use super::operation::{self, Operation};
use super::origin_guard::{self, Allowed};
use super::proxies::Proxies;
use super::rate_limit::RateLimit;
use super::request_body::{self, BodyLimits};
use super::{
    compression, cors, framework_error, legacy_query, oauth_probe, request_path, response_budget,
    unknown_parameters,
};

pub struct Pipeline {
    allowed: Allowed,
    access: Access,
    limits: BodyLimits,
    /// Bytes of answers that clients have not read yet.
    answers: Budget<Caller>,
    context: Arc<ApiContext>,
    pages: Route,
    api: Arc<BoxEndpoint<'static>>,
    mcp: McpEndpoint,
    /// Whether tools of agents are routes of the hub.
    has_agent_routes: bool,
}

impl Pipeline {
    pub fn new(context: ApiContext, config: &ServerConfig, cut_off: CancellationToken) -> Self {
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
            api: Arc::new(spec::service().into_endpoint()),
            mcp: McpEndpoint::new(config.mcp_profile, cut_off),
            has_agent_routes: config.mcp_profile == McpProfile::Classic,
        }
    }

    /// Checks Host and Origin, and serves the request if both pass.
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
        if let Some(problem) = oauth_probe::answer(&path) {
            return problem.into_response();
        }
        let template = operation::at(&path);
        let operation = template.and_then(|template| template.operation(request.method()));
        let caller = match self.admit(&mut request, operation).await {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        if request.method() == Method::HEAD {
            request.extensions_mut().insert(HeadOnly);
        }
        let takes_gzip = compression::is_taken(request.headers());
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        // The tags of the answers that the client of a GET or HEAD has kept.
        let known =
            is_safe.then(|| crate::api::request_headers::header_list(&request, "If-None-Match")).flatten();
        if let Some(answer) = legacy.as_ref().and_then(LegacyRoute::own_answer) {
            return answer;
        }
        let answer = match template {
            Some(_) if path == operation::MCP_PATH => {
                if self.has_agent_routes {
                    agent_routes::add(&mut request, &self.api, &self.context);
                }
                Ok(self.mcp.answer(request).await)
            }
            Some(_) => self.api.call(request).await,
            None => self.pages.call(request).await,
        };
        let answer = answer.unwrap_or_else(|error| framework_error::answer(error, &path));
        let answer = match legacy {
            Some(legacy) => legacy.adapt(answer).await,
            None => answer,
        };
        let answer = match known {
            // If the client already has this answer, send it 304 without the body.
            Some(known) => conditional::spare(&known, answer),
            None => answer,
        };
        match template {
            Some(_) if path == operation::MCP_PATH => {
                response_budget::hold(answer, caller, &self.answers).await
            }
            // Counts the answer's bytes against the client's budget until the connection has taken them,
            // or refuses the answer when the budget has no space.
            Some(_) => {
                let answer = compression::compress(answer, takes_gzip).await;
                response_budget::hold(answer, caller, &self.answers).await
            }
            // All readers of a page share its bytes, so they need no budget.
            None => answer,
        }
    }

    /// Checks the caller, the request rate, the body and the parameters.
    ///
    /// # Errors
    /// The [`Problem`] for a request that no handler may see.
    async fn admit(&self, request: &mut Request, operation: Option<&Operation>) -> Result<Caller, Problem> {
        let caller = self.access.admit(request, operation)?;
        match operation {
            Some(operation) if operation.takes_body => {
                request_body::read_body(request, caller.clone(), &self.limits).await?;
            }
            // No other route takes a body. A body of a wrong type is refused, any other is dropped.
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

    /// Counts and logs the request, and hardens the answer. The measured time ends with the head of
    /// the answer, because a stream may take days. The query is never logged, because it may hold
    /// secrets.
    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let started = Instant::now();
        let _in_flight = self.context.metrics.in_flight();
        let mut response = self.answer(request).await;
        harden(&mut response);
        let (status, elapsed) = (response.status(), started.elapsed());
        self.context.metrics.request(method_label(&method), status.as_u16(), elapsed);
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

/// Stops pages of other sites from loading an answer as a script or an image.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds headers that an answer does not have yet. With them a browser neither guesses its type nor
/// shows it in a page of another site.
fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Pages have their own policy. Any other answer that a browser opens runs nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The label of a method in metrics. Unknown methods share one, so that a client cannot add labels.
fn method_label(method: &Method) -> &'static str {
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
