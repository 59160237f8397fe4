//! The edge: the checks that every request passes before an operation or a page, and the steps that
//! every answer passes after it.
//!
//! Read `pipeline.rs` as the table of contents. One file is one check: the caller's scope, the
//! origin, the rate, the body.
//!
//! # Which attacks it stops
//! The hub listens on loopback without tokens, so the main attacker is a web page in the same
//! person's browser. The Host check stops DNS rebinding. The Origin and Sec-Fetch-Site checks stop
//! cross-site writes, with or without a body. An IP address as Host is always allowed, because it
//! cannot be rebound. The access check comes before a byte of a body is read. A route that is not
//! described needs the highest scope, so a forgotten route is closed.

mod access;
mod agent_routes;
mod authority;
mod byte_budget;
mod compression;
mod cors;
mod framework_error;
mod legacy_query;
mod legacy_routes;
mod oauth_probe;
mod operation;
mod origin_guard;
mod pipeline;
mod proxies;
mod rate_limit;
mod request_body;
mod request_path;
mod response_budget;
mod unknown_parameters;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Response};
use tokio_util::sync::CancellationToken;

use crate::api::ApiContext;
use crate::config::ServerConfig;

use pipeline::Pipeline;

/// All routes, behind all checks.
///
/// When `cut_off` is cancelled, answers to agents end at once.
pub fn endpoint(
    context: ApiContext,
    config: &ServerConfig,
    cut_off: CancellationToken,
) -> BoxEndpoint<'static, Response> {
    Pipeline::new(context, config, cut_off).boxed()
}
