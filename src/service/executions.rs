//! Starts and stops executions, and records what happens to them.
//!
//! [`Service::work`] tells the executor that there is work. The executor then reads
//! [`Service::executions_to_do`]. All its work follows from the rows, so a lost wake-up or a
//! restart loses nothing.
//!
//! A retry is a row of its own. The transaction that ends one attempt also writes the next. So
//! there is no moment at which the hub could forget to try again.

use std::path::Path;

use crate::config::ExecutorConfig;
use crate::domain::clock::Timestamp;
use crate::domain::error::Invalid;
use crate::domain::event::NewEvent;
use crate::domain::execution::{End, Execution, ExecutionPhase, ExecutionRequest, ExecutionStatus, Outcome};
use crate::domain::id::{ExecutionId, LeaseId, TaskId};
use crate::domain::task::{Status, Task, TaskPatch};
use crate::domain::text::Script;
use crate::domain::token::AuditAction;
use crate::exec_root;
use crate::store::{ExecutionPage, ExecutionQuery};

use poem_openapi::types::MaybeUndefined;

use super::change::update;
use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::leases::require_any;
use super::lookup::{by_id, latest, load, refuse_if_live};
use super::queue::{about, audit, insert};
use super::settlement::{has_gone, record, settle_of_departed, settle_unstarted};
use super::{Service, ServiceError, Stamped};

/// How many waiting attempts the executor looks at. Usually far fewer wait.
const WAITING_MAX: usize = 1000;

/// An execution that the executor may start now, and what it runs.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub execution: Execution,
    pub script: Script,
    pub request: ExecutionRequest,
    /// The current task, when the operator's own command runs. That command works on any task and
    /// gets it as input.
    pub input: Option<Task>,
}

/// The work of the executor.
#[derive(Debug, Clone)]
pub struct Todo {
    pub running: Vec<Execution>,
    /// Executions that may start now, the most urgent first. No more than there are slots.
    pub due: Vec<Execution>,
    /// Executions that may start later, the next ones first. Each knows how long it has to wait.
    pub waiting: Vec<Execution>,
}

impl Service {
    /// Queues an execution and sets its task `inprogress`, in one transaction.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Invalid`], [`ServiceError::NothingToRun`],
    /// [`ServiceError::Live`], [`ServiceError::Store`]
    pub async fn start_execution(
        &self,
        task_id: TaskId,
        request: ExecutionRequest,
        key: Option<IdempotencyKey>,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<Execution>, ServiceError> {
        let config = self.shared.executions.clone();
        let mut request = request.validated()?;
        refuse_beyond(&config, &request)?;
        self.refuse_outside(&request).await?;
        let Stamped { value: (execution, repeated), cursor } = self
            .write(move |tx| {
                let fingerprint = fingerprint(&format!("start {task_id}"), &request);
                let started = once(tx, key, &fingerprint, |tx| {
                    require_any(tx, lease, task_id)?;
                    let task = load(tx, task_id)?;
                    refuse_if_live(tx, task_id)?;
                    // The script is fixed here. A later change of the task does not change what
                    // runs.
                    request.script_content = request.script_content.or_else(|| task.script.clone());
                    if request.script_content.is_none() && config.exec_default.is_none() {
                        return Err(ServiceError::NothingToRun);
                    }
                    let must_wait = tx.pressing_execution_count(tx.now())? >= config.slots();

                    let patch = TaskPatch {
                        status: MaybeUndefined::Value(Status::InProgress),
                        ..TaskPatch::default()
                    };
                    let task = update(tx, task, patch)?;
                    let execution = insert(tx, task.id, &request)?;
                    if must_wait {
                        let queued = ExecutionPhase::Queued;
                        tx.append(&NewEvent::execution(&execution, queued, Some(&task)))?;
                    }
                    Ok(execution.id)
                });
                let (id, repeated) = started?;
                Ok::<_, ServiceError>((by_id(tx, id)?, repeated))
            })
            .await?;
        if repeated {
            return Ok(Stamped { value: execution, cursor });
        }
        self.log_audit(AuditAction::ExecutionRequested, &execution.session_name, &about(&execution));
        self.shared.signals.work().notify_one();
        Ok(Stamped { value: execution, cursor })
    }

    /// Asks the latest execution of a task to stop. A queued one ends at once. A running one ends
    /// when its processes are gone. No further attempt follows. A second request changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::Ended`],
    /// [`ServiceError::Store`]
    pub async fn stop_execution(&self, task_id: TaskId) -> Result<Stamped<Execution>, ServiceError> {
        let Stamped { value: (execution, is_new), cursor } = self
            .write(move |tx| {
                let execution = latest(tx, task_id)?;
                let stopping = execution.clone().stop_requested()?;
                let is_new = !execution.stop_requested;
                if is_new {
                    audit(tx, AuditAction::ExecutionStopRequested, &execution)?;
                    tx.sign_execution(execution.id)?;
                }
                if execution.status == ExecutionStatus::Queued {
                    let outcome = Outcome {
                        reason: Some("stopped before it started".into()),
                        ..Outcome::of(End::Stopped)
                    };
                    return Ok((settle_unstarted(tx, execution, outcome)?, is_new));
                }
                tx.update_execution(&stopping)?;
                Ok::<_, ServiceError>((stopping, is_new))
            })
            .await?;
        if is_new {
            let action = AuditAction::ExecutionStopRequested;
            self.log_audit(action, &execution.session_name, &about(&execution));
        }
        self.shared.signals.work().notify_one();
        self.stepped();
        Ok(Stamped { value: execution, cursor })
    }

    /// The latest execution of a task.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::Store`]
    pub async fn latest_execution(&self, task_id: TaskId) -> Result<Execution, ServiceError> {
        self.store.read(move |view| latest(view, task_id)).await
    }

    /// One execution of a task: the one with this id, or else the latest.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::NoExecution`],
    /// [`ServiceError::Store`]
    pub async fn execution_of(
        &self,
        task: TaskId,
        id: Option<ExecutionId>,
    ) -> Result<Execution, ServiceError> {
        let Some(id) = id else {
            return self.latest_execution(task).await;
        };
        self.store
            .read(move |view| match view.execution(id)? {
                Some(execution) if execution.task_id == task && view.shows_execution(id)? => Ok(execution),
                _ => Err(ServiceError::NoExecution { task, execution: id }),
            })
            .await
    }

    /// An execution of a task with the task, both as they are at one place of the log.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NoExecution`], [`ServiceError::Store`]
    pub async fn execution_with_task(
        &self,
        task: TaskId,
        id: ExecutionId,
    ) -> Result<Stamped<(Execution, Task)>, ServiceError> {
        self.read(None, move |view| {
            let found = load(view, task)?;
            match view.execution(id)? {
                Some(execution) if execution.task_id == task => Ok((execution, found)),
                _ => Err(ServiceError::NoExecution { task, execution: id }),
            }
        })
        .await
    }

    /// The execution of a task with this number, or the latest one when there is none. A log's
    /// cursor names its execution by this number.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NeverExecuted`], [`ServiceError::Store`]
    pub async fn numbered_execution(&self, task: TaskId, number: i64) -> Result<Execution, ServiceError> {
        let query = ExecutionQuery {
            task_id: Some(task),
            before: number.checked_add(1),
            limit: 1,
            ..ExecutionQuery::default()
        };
        self.store
            .read(move |view| {
                let (found, _) = view.executions(&query)?;
                match found.into_iter().find(|execution| execution.number == number) {
                    Some(execution) => Ok(execution),
                    None => latest(view, task),
                }
            })
            .await
    }

    /// The executions that the caller may see.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn executions(&self, query: ExecutionQuery) -> Result<ExecutionPage, ServiceError> {
        self.store.read(move |view| Ok(view.executions(&query)?)).await
    }

    /// The running executions, and those that may start now or later.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn executions_to_do(&self) -> Result<Todo, ServiceError> {
        let slots = self.shared.executions.slots();
        self.store
            .read(move |view| {
                let now = Timestamp::now();
                Ok(Todo {
                    running: view.running_executions()?,
                    due: view.due_executions(now, slots)?,
                    waiting: view.waiting_executions(now, WAITING_MAX)?,
                })
            })
            .await
    }

    /// The request of an execution. Once the execution has ended, the hub has erased it, and the
    /// answer is the default request.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn execution_request(&self, id: ExecutionId) -> Result<ExecutionRequest, ServiceError> {
        self.store.read(move |view| Ok(view.execution_request(id)?.unwrap_or_default())).await
    }

    /// Marks a queued execution as running and announces `started`. The executor calls this before
    /// it starts the script. So a crash between the two can lose an execution, and the hub then
    /// settles it as `lost`. A crash never runs a script twice.
    ///
    /// When the token that asked for the execution has been revoked or has expired, this stops it
    /// instead.
    ///
    /// # Errors
    /// [`ServiceError::Ended`] when it is not queued any more, [`ServiceError::Store`]
    pub async fn claim_execution(&self, id: ExecutionId) -> Result<Claimed, ServiceError> {
        let config = self.shared.executions.clone();
        let claimed = self
            .store
            .write(move |tx| {
                let asker = tx.execution_actor(id)?;
                if has_gone(tx, &asker)? {
                    let execution = by_id(tx, id)?;
                    let stopped = settle_of_departed(tx, execution)?;
                    return Ok(Err(stopped.status));
                }
                tx.act_as(asker);
                let execution = by_id(tx, id)?.started(tx.now())?;
                let request = tx.execution_request(id)?.unwrap_or_default();
                let (script, input) = match request.script_content.clone() {
                    Some(script) => (script, None),
                    None => {
                        let command = config.exec_default.as_ref().and_then(|it| it.parse().ok());
                        (command.ok_or(ServiceError::NothingToRun)?, tx.task(execution.task_id)?)
                    }
                };
                record(tx, &execution, ExecutionPhase::Started)?;
                Ok::<_, ServiceError>(Ok(Claimed { execution, script, request, input }))
            })
            .await?;
        self.stepped();
        claimed.map_err(ServiceError::Ended)
    }

    /// Refuses a directory outside the execution's own, unless the operator allows it. This check
    /// gives the caller an early answer. The executor checks again when the script starts.
    async fn refuse_outside(&self, request: &ExecutionRequest) -> Result<(), Invalid> {
        let Some(cwd) = request.outer_cwd().map(Path::to_owned) else {
            return Ok(());
        };
        let config = self.shared.executions.clone();
        let looked =
            tokio::task::spawn_blocking(move || exec_root::resolve(&cwd, &config.exec_root).is_some());
        if !looked.await.unwrap_or(false) {
            let message = "must be relative, or an existing directory in one of those that the hub was given as \
                           --exec-root";
            return Err(Invalid::new("cwd", message));
        }
        Ok(())
    }
}

/// Refuses a request beyond the operator's limits.
fn refuse_beyond(config: &ExecutorConfig, request: &ExecutionRequest) -> Result<(), Invalid> {
    let limits = [
        ("timeout_seconds", request.timeout_seconds.map(u64::from), Some(config.timeout_seconds_max.into())),
        ("memory_bytes_max", request.memory_bytes_max, config.memory_bytes_max),
    ];
    for (field, asked, max) in limits {
        if let (Some(asked), Some(max)) = (asked, max)
            && asked > max
        {
            return Err(Invalid::new(field, format!("must be at most {max} on this hub")));
        }
    }
    Ok(())
}
