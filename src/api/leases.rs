//! The operations on claims and leases.

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::auth::Principal;
use crate::domain::error::Invalid;
use crate::domain::event::EventId;
use crate::domain::id::LeaseId;
use crate::domain::lease::{Lease, Progress};
use crate::domain::task::Task;
use crate::service::{ClaimRequest, ClaimedTask, Service, Stamped};

use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT, NOT_FOUND};
use super::{Tags, permission};

#[derive(Debug)]
pub struct LeaseApi;

/// For how long a lease is renewed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseRenewal {
    /// For how long from now; absent or null: for as long as it was given or renewed last.
    #[oai(nullable, validator(minimum(value = "5"), maximum(value = "3600")))]
    pub lease_seconds: Option<u32>,
    /// Tells everybody: emits `task_updated` and `lease_event`.
    #[oai(default)]
    pub announce: bool,
    /// How far the worker is. Tells everybody, as `announce` does.
    #[oai(nullable)]
    pub progress: Option<Progress>,
}

#[derive(Debug, ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "a reply lives for one request and is never collected")]
pub enum ClaimReply {
    /// The task, which is the worker's from now on. `lease` is what it is held by.
    #[oai(status = 200)]
    Claimed(
        JsonBody<Task>,
        /// The task's version in quotes, such as `"3"`; send it in `If-Match`, with its quotes.
        #[oai(header = "ETag")]
        String,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
    /// No task was ready in time.
    #[oai(status = 204)]
    Nothing,
}

#[derive(Debug, ApiResponse)]
pub enum LeaseReply {
    /// The lease with its present end.
    #[oai(status = 200)]
    Ok(
        JsonBody<Lease>,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum LeaseReturnedReply {
    /// The task is `todo` and nobody's again.
    #[oai(status = 204)]
    Returned(
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[OpenApi(tag = "Tags::Leases")]
impl LeaseApi {
    /// Claim a task
    ///
    /// Gives a worker the most pressing ready task, by priority and then by age: its status is `inprogress` and the worker is
    /// its assignee, in one step that nobody else can share. With `wait_seconds` a worker for whom nothing is ready waits;
    /// the first to wait is the first to get a task. A task that is being executed is left out. With
    /// `task_id` it is that task or none. It may also be one that is assigned to the worker already and otherwise ready; a
    /// request that waits is not woken for such a task.
    ///
    /// The worker has the task by a lease, for `lease_seconds`. It renews the lease in time, sends its id as `Taskhub-Lease`
    /// with each report, and ends it with a report of another status than `inprogress`, or by giving it back. When the lease
    /// expires, the task is `todo` again, or `review` after `attempts_max` times.
    ///
    /// It is safe to repeat: a worker that holds a task gets that one again, with its lease renewed, unless it says
    /// `another`. Of several it gets the one that it claimed last. Emits `task_updated` and `lease_event`.
    #[oai(path = "/api/tasks/claim", method = "post", operation_id = "claimTask")]
    async fn claim(
        &self,
        service: Data<&Service>,
        principal: Data<&Principal>,
        body: JsonBody<ClaimRequest>,
    ) -> Result<ClaimReply, Problems<{ BODY | NOT_FOUND | CONFLICT }>> {
        // Both only wait: a claim that is given up gets no task, or gets the same one when it is repeated.
        let claimed = tokio::select! {
            claimed = service.claim_task(body.0) => claimed?,
            () = principal.gone.cancelled() => return Err(permission::no_longer_let_in().into()),
        };
        Ok(match claimed {
            Some(Stamped { value: ClaimedTask { task, .. }, cursor }) => {
                let etag = format!("\"{}\"", task.version);
                ClaimReply::Claimed(JsonBody(task), etag, cursor)
            }
            None => ClaimReply::Nothing,
        })
    }

    /// Get a lease
    ///
    /// With its present end, also after renewals that were not announced. A lease that has ended is not found (404).
    #[oai(path = "/api/leases/:lease_id", method = "get", operation_id = "getLease")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The id of the lease.
        lease_id: Path<LeaseId>,
    ) -> Result<LeaseReply, Problems<NOT_FOUND>> {
        let Stamped { value, cursor } = service.lease(lease_id.0).await?;
        Ok(LeaseReply::Ok(JsonBody(value), cursor))
    }

    /// Renew a lease
    ///
    /// The lease lasts from now on for `lease_seconds`, or for as long as before. A lease that has ended is refused (409).
    /// Emits nothing, unless `announce` or `progress` is set.
    #[oai(path = "/api/leases/:lease_id", method = "put", operation_id = "renewLease")]
    async fn renew(
        &self,
        service: Data<&Service>,
        /// The id of the lease.
        lease_id: Path<LeaseId>,
        body: JsonBody<Option<LeaseRenewal>>,
    ) -> Result<LeaseReply, Problems<{ BODY | CONFLICT }>> {
        let LeaseRenewal { lease_seconds, announce, progress } = body.0.unwrap_or_default();
        if lease_seconds.is_some_and(|seconds| !(5..=3600).contains(&seconds)) {
            return Err(Invalid::new("lease_seconds", "must be 5 to 3600").into());
        }
        let Stamped { value, cursor } =
            service.renew_lease(lease_id.0, lease_seconds, announce, progress).await?;
        Ok(LeaseReply::Ok(JsonBody(value), cursor))
    }

    /// Give a task back
    ///
    /// Ends the lease: the task is `todo` and nobody's again. A lease that has ended is refused (409). Emits `task_updated`
    /// and `lease_event`.
    #[oai(path = "/api/leases/:lease_id", method = "delete", operation_id = "returnLease")]
    async fn give_back(
        &self,
        service: Data<&Service>,
        /// The id of the lease.
        lease_id: Path<LeaseId>,
    ) -> Result<LeaseReturnedReply, Problems<CONFLICT>> {
        Ok(LeaseReturnedReply::Returned(service.return_lease(lease_id.0).await?.cursor))
    }
}
