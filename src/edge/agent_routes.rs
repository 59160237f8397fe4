//! The routes of the hub as tools: some tools of agents are routes of the first system. Such a call becomes a request, which
//! is answered in the name of the caller of the tool.
//!
//! The caller was admitted already, so guard, rate and token are not checked again. The scope of the route is.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, IntoResponse, Request, Response};

use crate::api::ApiContext;
use crate::api::permission::require;
use crate::auth::Principal;
use crate::mcp::{Routes, ToRoutes};
use crate::service::Service;

use super::legacy_routes::{self, LegacyRoute};
use super::{framework_error, legacy_query, operation};

struct AgentRoutes {
    api: Arc<BoxEndpoint<'static>>,
    context: Arc<ApiContext>,
    service: Service,
    principal: Principal,
}

/// Adds the routes to a request that was admitted.
pub fn add(request: &mut Request, api: &Arc<BoxEndpoint<'static>>, context: &Arc<ApiContext>) {
    let extensions = request.extensions_mut();
    if let (Some(service), Some(principal)) = (extensions.get().cloned(), extensions.get().cloned()) {
        let routes = AgentRoutes { api: api.clone(), context: context.clone(), service, principal };
        extensions.insert(ToRoutes(Arc::new(routes)));
    }
}

impl AgentRoutes {
    async fn answer(&self, mut request: Request) -> Response {
        let legacy = legacy_routes::route(&mut request);
        let path = request.uri().path().to_owned();
        let operation = operation::at(&path).and_then(|template| template.operation(request.method()));
        let needed = operation.and_then(|operation| operation.scope);
        if let Err(problem) = needed.map_or(Ok(()), |needed| require(&self.principal, needed)) {
            return problem.into_response();
        }
        if let Some(answer) = legacy.as_ref().and_then(LegacyRoute::own_answer) {
            return answer;
        }
        if let Err(problem) = legacy_query::adapt(&mut request).await {
            return problem.into_response();
        }
        request.extensions_mut().insert(self.context.clone());
        request.extensions_mut().insert(self.service.clone());
        request.extensions_mut().insert(self.principal.clone());
        let answer = self.api.call(request).await;
        let answer = answer.unwrap_or_else(|error| framework_error::answer(error, &path));
        match legacy {
            Some(legacy) => legacy.adapt(answer).await,
            None => answer,
        }
    }
}

impl Routes for AgentRoutes {
    fn send(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}
