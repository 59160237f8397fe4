//! Adds and lists comments.

use crate::domain::comment::{Comment, CommentDraft};
use crate::domain::event::NewEvent;
use crate::domain::id::{CommentId, LeaseId, TaskId};
use crate::store::{CommentPage, CommentQuery, Tx};

use super::conversation::named;
use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::leases::require_any;
use super::lookup::load;
use super::{Service, ServiceError, Stamped};

impl Service {
    /// Adds a comment. `true` when an earlier request with the same key has added it.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Invalid`], [`ServiceError::KeyReused`], [`ServiceError::Store`]
    pub async fn comment(
        &self,
        task_id: TaskId,
        draft: CommentDraft,
        key: Option<IdempotencyKey>,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<(Comment, bool)>, ServiceError> {
        let draft = draft.checked()?;
        self.write(move |tx| {
            let fingerprint = fingerprint(&format!("comment {task_id}"), &draft);
            once(tx, key, &fingerprint, |tx| {
                require_any(tx, lease, task_id)?;
                add(tx, task_id, draft)
            })
        })
        .await
    }

    /// A page of the comments on a task, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn comments(&self, query: CommentQuery) -> Result<CommentPage, ServiceError> {
        self.store
            .read(move |view| {
                load(view, query.task_id)?;
                Ok(view.comments(&query)?)
            })
            .await
    }

    /// How many comments a task has.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn comment_count(&self, task: TaskId) -> Result<i64, ServiceError> {
        self.store
            .read(move |view| {
                load(view, task)?;
                Ok(view.comment_count(task)?)
            })
            .await
    }

    /// The last comments on a task, at most `limit`, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn latest_comments(&self, task: TaskId, limit: usize) -> Result<Vec<Comment>, ServiceError> {
        self.store
            .read(move |view| {
                load(view, task)?;
                Ok(view.latest_comments(task, limit)?)
            })
            .await
    }
}

/// Adds a comment, in the name of the token or else of who is stated.
///
/// # Errors
/// [`ServiceError::NoTask`], [`ServiceError::Store`]
pub(super) fn add(tx: &mut Tx<'_>, task_id: TaskId, draft: CommentDraft) -> Result<Comment, ServiceError> {
    let task = load(tx, task_id)?;
    let comment = Comment {
        id: CommentId::generate(),
        task_id,
        author: named(tx).or(draft.author),
        text: draft.text,
        created_at: tx.now(),
    };
    tx.insert_comment(&comment)?;
    tx.append(&NewEvent::comment(&comment, &task))?;
    Ok(comment)
}
