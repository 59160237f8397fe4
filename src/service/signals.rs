//! Wake-ups that follow from what was committed to the log.
//!
//! The store's writer tells of each commit, so those who wait need no polling, and a change wakes the same listeners
//! whatever use case has made it. A wake-up says only that there may be work: what there is, the rows say.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::event::{EventKind, StoredEvent, TaskMeta};

/// What background work waits for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signals {
    work: Arc<Notify>,
    ready: watch::Sender<u64>,
    asked: Arc<Notify>,
    questions_ended: watch::Sender<u64>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            work: Arc::default(),
            ready: watch::Sender::new(0),
            asked: Arc::default(),
            questions_ended: watch::Sender::new(0),
        }
    }
}

impl Signals {
    /// Wakes who is concerned by these events, which were just committed. Does not block.
    pub fn committed(&self, events: &[StoredEvent]) {
        if events.iter().any(|event| event.meta.kind == EventKind::ExecutionEvent) {
            self.work.notify_one();
        }
        for event in events {
            match event.meta.kind {
                EventKind::QuestionAsked => self.asked.notify_one(),
                EventKind::QuestionAnswered | EventKind::QuestionExpired => {
                    self.questions_ended.send_modify(|count| *count += 1);
                }
                _ => {}
            }
        }
        if events.iter().any(may_be_claimed) {
            self.ready.send_modify(|count| *count += 1);
        }
    }

    /// Woken when an execution was queued or asked to stop. One listener; a wake-up before it listens is kept.
    pub fn work(&self) -> &Notify {
        &self.work
    }

    /// Changes when a task may be claimed that could not be before, by anybody or by some.
    pub fn ready(&self) -> watch::Receiver<u64> {
        self.ready.subscribe()
    }

    /// Woken when a question was asked. One listener; a wake-up before it listens is kept.
    pub(super) fn asked(&self) -> &Notify {
        &self.asked
    }

    /// Changes after any question has ended. Any number of listeners.
    pub(super) fn questions_ended(&self) -> watch::Receiver<u64> {
        self.questions_ended.subscribe()
    }
}

/// Whether a claim that found nothing may find the task of this event. A task that was ready before counts as well: it may
/// fit other filters now, or its execution has ended.
fn may_be_claimed(event: &StoredEvent) -> bool {
    let Some(TaskMeta { before, after: Some(after), .. }) = event.meta.task() else {
        return false;
    };
    after.ready && (event.meta.kind == EventKind::ExecutionEvent || before.as_ref() != Some(after))
}
