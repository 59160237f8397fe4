//! What an event changes in the texts that a search reads. An event carries it only until its commit has reached the index in
//! memory: it is neither stored nor sent.

use std::sync::Arc;

use crate::domain::comment::{Comment, CommentText};
use crate::domain::task::{Task, TaskField};
use crate::domain::text::{Description, Title};

/// Title and description of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskText {
    pub title: Title,
    pub description: Description,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextChange {
    Created(TaskText),
    Changed { before: TaskText, after: TaskText },
    Commented(CommentText),
}

impl TaskText {
    fn of(task: &Task) -> Self {
        Self { title: task.title.clone(), description: task.description.clone() }
    }
}

impl TextChange {
    pub(super) fn created(task: &Task) -> Option<Arc<Self>> {
        Some(Arc::new(Self::Created(TaskText::of(task))))
    }

    /// `None` when neither text has changed, as with most changes.
    pub(super) fn changed(before: &Task, after: &Task, changed: &[TaskField]) -> Option<Arc<Self>> {
        let is_text = |field: &TaskField| matches!(field, TaskField::Title | TaskField::Description);
        let change = || Self::Changed { before: TaskText::of(before), after: TaskText::of(after) };
        changed.iter().any(is_text).then(change).map(Arc::new)
    }

    pub(super) fn commented(comment: &Comment) -> Option<Arc<Self>> {
        Some(Arc::new(Self::Commented(comment.text.clone())))
    }
}
