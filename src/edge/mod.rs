//! The edge: what every request passes on its way to an operation or a page, and every answer on its way back.
//!
//! Read `pipeline.rs` as the table of contents. One file is one check: who may ask, from where, how often, with which body.
//!
//! # Who is kept out
//! The hub listens on loopback without tokens, so the attacker to think of is a web page in the same person's browser. The
//! Host check meets DNS rebinding; Origin and Sec-Fetch-Site meet cross-site writes, with or without a body. An IP address as
//! Host is always allowed, because it cannot be rebound. Access comes before a byte of a body is read. A route that is not
//! described needs the highest scope, so a forgotten one is closed.

mod access;
mod authority;
mod byte_budget;
mod cors;
mod framework_error;
mod legacy_query;
mod legacy_routes;
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

use crate::api::ApiContext;
use crate::config::ServerConfig;

use pipeline::Pipeline;

/// Every route behind every check.
pub fn endpoint(context: ApiContext, config: &ServerConfig) -> BoxEndpoint<'static, Response> {
    Pipeline::new(context, config).boxed()
}
