//! The contents of the index and the event up to which they are exact.

use crate::domain::event::{EventKind, TextChange};

use super::columns::Values;
use super::contents::Contents;
use super::queue::Change;
use super::translate;

#[derive(Debug)]
pub(super) struct State {
    pub contents: Contents,
    /// The event up to which the contents are exact.
    pub cursor: u64,
    /// The tasks up to this id are in. A change of another is dropped.
    pub filled_until: Option<u128>,
}

impl State {
    /// Nothing, behind a log that ends at `head`.
    pub(super) fn new(head: u64) -> Self {
        Self { contents: Contents::default(), cursor: head, filled_until: None }
    }

    /// Applies the changes up to the event `until`.
    pub(super) fn apply(&mut self, changes: &[Change], until: u64) {
        for change in changes {
            let id = change.task.id.uuid().as_u128();
            if self.filled_until.is_some_and(|last| id <= last) {
                self.change(id, change);
            }
        }
        self.cursor = self.cursor.max(until);
    }

    fn change(&mut self, id: u128, change: &Change) {
        let contents = &mut self.contents;
        let before = change.task.before.as_ref().map(translate::facets);
        let after = change.task.after.as_ref().map(translate::facets);
        match (change.kind, before, after, change.text.as_deref()) {
            (EventKind::TaskCreated, _, Some(after), Some(TextChange::Created(text))) => {
                let number = change.task.after.as_ref().map_or(0, |facets| facets.number);
                let at = change.at.ms();
                let values = Values { id, created: at, updated: at, number };
                contents.insert(values, &after, translate::text(text));
            }
            (EventKind::TaskUpdated, Some(before), Some(after), text) => {
                contents.update(id, &before, &after, change.at.ms());
                if let Some(TextChange::Changed { before, after }) = text {
                    contents.update_text(id, translate::text(before), translate::text(after));
                }
            }
            (EventKind::TaskDeleted, Some(before), ..) => contents.delete(id, &before),
            (EventKind::CommentAdded, .., Some(TextChange::Commented(text))) => {
                contents.comment(id, text.as_str());
            }
            _ => {}
        }
    }
}
