//! The way from a tool to a route of the hub: some tools are routes. The pipeline puts it into each request.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use poem::{Request, Response};

/// Sends a request to the routes of the hub, as the caller that this request has been admitted for.
pub trait Routes: Send + Sync {
    fn send(&self, request: Request) -> BoxFuture<'_, Response>;
}

/// The [`Routes`] in the extensions of a request.
#[derive(Clone)]
pub struct ToRoutes(pub Arc<dyn Routes>);

impl fmt::Debug for ToRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToRoutes")
    }
}
