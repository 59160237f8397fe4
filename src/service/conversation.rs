//! What comments and questions have in common: who speaks, and that all of it goes with the task.

use crate::domain::event::NewEvent;
use crate::domain::task::Task;
use crate::domain::text::Author;
use crate::store::Tx;

use super::ServiceError;

/// The name of the actor's token, if it has one.
pub(super) fn named(tx: &Tx<'_>) -> Option<Author> {
    tx.actor().token.as_ref().map(Author::from)
}

/// Removes the comments and questions of a task that is about to be deleted. Its open questions end first, so that those
/// who wait for them learn it.
pub(super) fn delete_conversation(tx: &mut Tx<'_>, task: &Task) -> Result<(), ServiceError> {
    for id in &task.waiting_for {
        if let Some(question) = tx.question(*id)? {
            let withdrawn = question.withdrawn(tx.now())?;
            tx.append(&NewEvent::question(&withdrawn, task))?;
        }
    }
    tx.delete_questions(task.id)?;
    Ok(tx.delete_comments(task.id)?)
}
