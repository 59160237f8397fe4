//! The operations for operators: whether the hub is alive, whether it is ready, and its metrics.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::service::Service;
use crate::telemetry;

use super::json_body::JsonBody;
use super::problem::problems::NONE;
use super::problem::{Code, Problem, Problems};
use super::{ApiContext, Tags};

#[derive(Debug)]
pub struct SystemApi;

/// A sign of life.
#[derive(Debug, Object, Serialize)]
pub struct Health {
    /// Always `ok`: a hub that cannot answer so answers a problem.
    pub status: String,
    /// The version of the hub, as in `info.version` of this document.
    pub version: String,
}

#[derive(Debug, ApiResponse)]
pub enum HealthReply {
    /// It is.
    #[oai(status = 200)]
    Ok(JsonBody<Health>),
}

#[derive(Debug, ApiResponse)]
pub enum MetricsReply {
    /// The metrics, a line for each value.
    #[oai(status = 200)]
    Ok(PlainText<String>),
}

#[OpenApi(tag = "Tags::System")]
impl SystemApi {
    /// Is the hub alive?
    ///
    /// Answers as long as the process serves requests; looks at nothing else. For supervisors that restart what hangs.
    #[oai(path = "/health", method = "get", operation_id = "health")]
    async fn health(&self) -> Result<HealthReply, Problems<NONE>> {
        Ok(HealthReply::Ok(JsonBody(alive())))
    }

    /// Can the hub serve?
    ///
    /// Passes through the store's writer, so it says whether a change would be kept; a problem with status 5xx when that
    /// fails. For load balancers that send traffic only where it can be served.
    #[oai(path = "/ready", method = "get", operation_id = "readiness")]
    async fn readiness(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
    ) -> Result<HealthReply, Problems<NONE>> {
        if let Some(part) = context.vitals.failure() {
            let detail = format!("{part} has ended by a fault; the hub is ending, to be started again");
            return Err(Problem::new(Code::Unavailable, detail).into());
        }
        // One status for every reason, because load balancers expect that.
        service.ping().await.map_err(|error| Problem::from(error).unavailable())?;
        Ok(HealthReply::Ok(JsonBody(alive())))
    }

    /// Read the metrics
    ///
    /// In the text format of Prometheus, version 0.0.4; each metric says in its `HELP` what it counts. They are about the
    /// whole hub: a token that is bound to projects may not read them (403).
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(
        &self,
        service: Data<&Service>,
        context: Data<&Arc<ApiContext>>,
    ) -> Result<MetricsReply, Problems<NONE>> {
        service.refuse_bound()?;
        let ApiContext { events, logs, metrics, .. } = &**context.0;
        let status = events.status();
        metrics.streams(status.totals.connected);
        metrics.head(status.head.seq);
        metrics.sent(status.totals.events, status.totals.bytes);
        for (reason, streams) in &status.totals.disconnects {
            metrics.disconnected(reason.word(), *streams);
        }
        let followed = logs.totals();
        metrics.logs(followed.watchers, followed.tailers);
        let lost = telemetry::lost();
        metrics.lost_lines("queue_full", lost.queue_full);
        metrics.lost_lines("write_failed", lost.write_failed);
        metrics.ring(status.ring_events, status.ring_bytes);
        Ok(MetricsReply::Ok(PlainText(metrics.render())))
    }
}

fn alive() -> Health {
    Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
