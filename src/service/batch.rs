//! Many changes of tasks in one transaction: all or none, or each for itself.

use serde::{Deserialize, Serialize};

use crate::domain::batch::TaskOperation;
use crate::domain::task::Task;
use crate::store::Tx;

use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::precondition::{Precondition, Versions};
use super::tasks::{change, create, remove};
use super::{Service, ServiceError, Stamped};

/// Bytes of events after which a batch takes no more operations: others wait for the writer meanwhile.
const EVENTS_BYTES_MAX: u64 = 16 << 20;
/// Bytes of tasks after which its answer is full.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    Created(Task),
    Changed(Task),
    Deleted,
}

impl Done {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize {
        match self {
            Self::Created(task) | Self::Changed(task) => task.weight(),
            Self::Deleted => 0,
        }
    }
}

/// Why a batch that is all or none was refused.
#[derive(Debug)]
pub struct BatchRefused {
    /// Which operation could not be done, from 0; none when it was not an operation's fault.
    pub operation: Option<usize>,
    pub error: ServiceError,
}

impl Service {
    /// Does each operation for itself, in order. One that is refused changes nothing and stops none that follow.
    ///
    /// # Errors
    /// [`ServiceError::Store`]: then nothing was changed.
    pub async fn each_of(
        &self,
        operations: Vec<TaskOperation>,
        may_delete_scripts: bool,
    ) -> Result<Stamped<Vec<Result<Done, ServiceError>>>, ServiceError> {
        let has_default = self.shared.executions.exec_default.is_some();
        self.write(move |tx| {
            let (mut results, mut answered) = (Vec::with_capacity(operations.len()), 0);
            for operation in operations {
                if tx.appended_bytes() > EVENTS_BYTES_MAX || answered > ANSWER_BYTES_MAX {
                    results.push(Err(ServiceError::BatchTooLarge));
                    continue;
                }
                let done = tx.attempt(|tx| perform(tx, operation, may_delete_scripts, has_default));
                answered += done.as_ref().map_or(0, Done::weight);
                match done {
                    // The transaction may be gone.
                    Err(ServiceError::Store(error)) => return Err(error.into()),
                    done => results.push(done),
                }
            }
            Ok(results)
        })
        .await
    }

    /// Does all operations, in order, or none. With a key a repetition does nothing and answers what the first one answered.
    ///
    /// # Errors
    /// [`BatchRefused`]
    pub async fn all_of(
        &self,
        operations: Vec<TaskOperation>,
        may_delete_scripts: bool,
        key: Option<IdempotencyKey>,
    ) -> Result<Stamped<Vec<Done>>, BatchRefused> {
        let has_default = self.shared.executions.exec_default.is_some();
        let (tell, failed) = std::sync::mpsc::channel();
        let written = self.write(move |tx| {
            let fingerprint = fingerprint("batch", &operations);
            let perform_all = |tx: &mut Tx<'_>| {
                let (mut done, mut answered) = (Vec::with_capacity(operations.len()), 0);
                for (index, operation) in operations.into_iter().enumerate() {
                    let result = match tx.appended_bytes() > EVENTS_BYTES_MAX || answered > ANSWER_BYTES_MAX {
                        true => Err(ServiceError::BatchTooLarge),
                        false => perform(tx, operation, may_delete_scripts, has_default),
                    };
                    answered += result.as_ref().map_or(0, Done::weight);
                    // Nobody listens when the caller has gone.
                    done.push(result.inspect_err(|_| _ = tell.send(index))?);
                }
                Ok(done)
            };
            Ok(once(tx, key, &fingerprint, perform_all)?.0)
        });
        written.await.map_err(|error| BatchRefused { operation: failed.try_recv().ok(), error })
    }
}

fn perform(
    tx: &mut Tx<'_>,
    operation: TaskOperation,
    may_delete_scripts: bool,
    has_default: bool,
) -> Result<Done, ServiceError> {
    let expected = |version: Option<i64>| Precondition {
        if_match: version.map(|version| Versions::OneOf(vec![version])),
        if_none_match: None,
    };
    match operation {
        TaskOperation::Create(draft) => create(tx, *draft, has_default).map(Done::Created),
        TaskOperation::Change { task, patch, comment, version, lease } => {
            change(tx, task, *patch, comment, &expected(version), lease, has_default).map(Done::Changed)
        }
        TaskOperation::Delete { task, version, lease } => {
            remove(tx, task, &expected(version), lease, may_delete_scripts)?;
            Ok(Done::Deleted)
        }
    }
}
