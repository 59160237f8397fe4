//! A call of a tool: in whose name it is made, and what it may work with.

use std::sync::Arc;

use poem::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::time::{Duration, Instant};

use crate::api::problem::Code;
use crate::api::{ApiContext, permission};
use crate::auth::Principal;
use crate::domain::clock::Timestamp;
use crate::domain::event::EventId;
use crate::domain::id::{LeaseId, TaskId};
use crate::domain::lease::LeaseHandle;
use crate::domain::task::{BLOCKERS_MAX, Task};
use crate::domain::token::Scope;
use crate::service::{IdempotencyKey, Service, ServiceError};

use super::event_page::LastPage;
use super::failure::{Failure, next_of};
use super::progress::Progress;
use super::routes::ToRoutes;
use super::task_name::TaskName;

/// The longest wait of a tool, in seconds: clients give up after 60.
pub const WAIT_SECONDS_MAX: u32 = 45;

/// The last event when a request arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival(pub u64);

#[derive(Debug)]
pub struct Call {
    pub context: Arc<ApiContext>,
    pub service: Service,
    pub principal: Principal,
    pub arrival: Arrival,
    pub last_page: LastPage,
    /// Boxed, since few calls have it, and a call that waits is kept small.
    pub progress: Option<Box<Progress>>,
    /// The routes of the hub, for the tools that are routes.
    pub routes: Option<ToRoutes>,
}

impl Call {
    /// The call that a request makes. `None` when the pipeline has not admitted it, which is a fault of the hub.
    pub fn of(request: &RequestContext<RoleServer>) -> Option<Self> {
        let extensions = &request.extensions.get::<Parts>()?.extensions;
        Some(Self {
            context: extensions.get::<Arc<ApiContext>>()?.clone(),
            service: extensions.get::<Service>()?.clone(),
            principal: extensions.get::<Principal>()?.clone(),
            arrival: *extensions.get()?,
            last_page: extensions.get::<LastPage>()?.clone(),
            progress: Progress::asked_for(request).map(Box::new),
            routes: extensions.get::<ToRoutes>().cloned(),
        })
    }

    /// # Errors
    /// A [`Failure`] that names the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Failure> {
        Ok(permission::require(&self.principal, scope)?)
    }

    /// # Errors
    /// A [`Failure`] that says what to do.
    pub async fn task(&self, name: TaskName) -> Result<Task, Failure> {
        Ok(name.find(&self.service).await?.value)
    }

    /// The tasks with these names, each looked up once.
    ///
    /// # Errors
    /// A [`Failure`] that names `argument`, when there are too many, or one is not there.
    pub async fn tasks(&self, argument: &str, names: Vec<TaskName>) -> Result<Vec<TaskId>, Failure> {
        if names.len() > BLOCKERS_MAX {
            let detail = format!("{argument}: has {}", names.len());
            return Err(Failure::new(Code::InvalidField, detail, format!("pass at most {BLOCKERS_MAX}")));
        }
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            ids.push(self.task(name).await?.id);
        }
        Ok(ids)
    }

    /// The lease with this handle, and the task that it holds.
    ///
    /// # Errors
    /// A [`Failure`] that says what has become of the task.
    pub async fn lease(&self, handle: &LeaseHandle) -> Result<(LeaseId, Task), Failure> {
        match self.service.lease_of(handle.clone()).await {
            Ok(found) => Ok(found),
            Err(error) => Err(self.refused_under(handle, error).await),
        }
    }

    /// The same for a lease that need not be given, of a task that is known.
    ///
    /// # Errors
    /// As [`Call::lease`].
    pub async fn lease_on(
        &self,
        handle: Option<LeaseHandle>,
        task: &Task,
    ) -> Result<Option<LeaseId>, Failure> {
        let Some(handle) = handle else {
            return Ok(None);
        };
        match self.lease(&handle).await? {
            (lease, held) if held.id == task.id => Ok(Some(lease)),
            (_, held) => {
                let detail = format!("lease: {handle} is of task {}, not of {}", held.key, task.key);
                let next = format!("pass the lease of {}, or call again with task {}", task.key, held.key);
                Err(Failure::new(Code::InvalidField, detail, next))
            }
        }
    }

    /// The same, and renews the lease: its worker is at work, and cannot renew it while it waits for this call. Answers
    /// when the call has to end at the latest, so that the worker can call again under the lease.
    ///
    /// # Errors
    /// As [`Call::lease`].
    pub async fn renewed_lease_on(
        &self,
        handle: Option<LeaseHandle>,
        task: &Task,
        until: Instant,
    ) -> Result<(Option<LeaseId>, Instant), Failure> {
        let Some(named) = handle.clone() else {
            return Ok((None, until));
        };
        let Some(lease) = self.lease_on(handle, task).await? else {
            return Ok((None, until));
        };
        Ok((Some(lease), self.renew(&named, lease, until).await?))
    }

    /// Renews a lease, and answers when a call under it has to end.
    ///
    /// # Errors
    /// As [`Call::lease`].
    pub async fn renew(
        &self,
        handle: &LeaseHandle,
        lease: LeaseId,
        until: Instant,
    ) -> Result<Instant, Failure> {
        match self.service.renew_lease(lease, None, false, None).await {
            Ok(renewed) => {
                let lasts_ms = renewed.value.expires_at.ms() - Timestamp::now().ms();
                let half = Duration::from_millis(u64::try_from(lasts_ms / 2).unwrap_or_default());
                Ok(until.min(Instant::now() + half))
            }
            Err(error) => Err(self.refused_under(handle, error).await),
        }
    }

    /// The refusal for an error under a lease. For a lost lease it says what the task is now. A lease that never was is not
    /// lost: a model that has copied it with a mistake would drop its work.
    pub async fn refused_under(&self, handle: &LeaseHandle, error: ServiceError) -> Failure {
        let lost = matches!(error, ServiceError::LeaseLost(_));
        let failure = Failure::from(error);
        if !lost {
            return failure;
        }
        let task = match self.service.task_of(handle.task.clone()).await {
            Ok(task) => task.value,
            Err(ServiceError::NoTaskOf(_)) => {
                return Failure { detail: format!("there is no task {} any more", handle.task), ..failure };
            }
            Err(error) => return error.into(),
        };
        if task.lease.as_ref().is_some_and(|present| handle.is_misspelt(present)) {
            let detail = format!("there never was a lease {handle} of task {}", task.key);
            return Failure::new(Code::LeaseNotFound, detail, next_of(Code::LeaseNotFound));
        }
        let holder = match &task.assignee {
            Some(assignee) => format!("{} by {assignee}", task.status),
            None => task.status.to_string(),
        };
        let detail = format!(
            "task {} is not yours any more: lease {handle} has ended; it is {holder}, last changed at {}",
            task.key, task.updated_at
        );
        Failure { detail, ..failure }
    }

    /// The key by which the hub knows a repetition.
    ///
    /// # Errors
    /// A [`Failure`] that names `request_id`.
    pub fn request_key(request_id: Option<String>) -> Result<Option<IdempotencyKey>, Failure> {
        let key = request_id.map(|id| id.parse()).transpose();
        key.map_err(|words: String| {
            let next = "use a short id of your own";
            Failure::new(Code::InvalidField, format!("request_id: {words}"), next)
        })
    }

    /// The end of a wait.
    pub fn until(seconds: u32) -> Instant {
        Instant::now() + Duration::from_secs(seconds.min(WAIT_SECONDS_MAX).into())
    }

    /// The last event of the log.
    pub fn head(&self) -> EventId {
        self.context.events.head()
    }
}
