//! A task: its fields, and the rules for a change.
//!
//! [`Task::succeeded_by`] is the only way from one version to the next. It answers `None` when nothing
//! would change. So a change without effect gives no new version and no event.

mod draft;
mod key;
mod limits;
mod patch;
mod words;

pub use draft::TaskDraft;
pub use key::TaskKey;
pub use limits::TAGS_MAX;
pub use patch::{StatusUpdate, TaskPatch};
pub use words::{Priority, PriorityFilter, Status, TaskField};

use std::collections::HashSet;

use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::error::Invalid;
use super::id::{QuestionId, TaskId};
use super::lease::Lease;
use super::project::ProjectName;
use super::text::{Artifact, Assignee, Description, Script, Tag, Title};

pub use limits::BLOCKERS_MAX;
use limits::{
    ARTIFACTS_CHARS_MAX, ARTIFACTS_MAX, artifacts, chars_of, check_words, checked_attempts, distinct,
};

/// A task as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Task {
    /// Identifies the task; a UUIDv7, so ids sort by creation time.
    pub id: TaskId,
    /// The project that the task belongs to.
    pub project: ProjectName,
    /// What people call the task by: the project and a number, such as `web-17`; never given twice.
    pub key: TaskKey,
    /// What the task is called; never blank.
    pub title: Title,
    /// Markdown; empty when none was given.
    pub description: Description,
    /// Where the task stands.
    pub status: Status,
    /// How urgent it is; null when nobody has said.
    #[oai(nullable)]
    pub priority: Option<Priority>,
    /// Who does it; null when nobody does.
    #[oai(nullable)]
    pub assignee: Option<Assignee>,
    /// Labels, in the order given, each once.
    #[oai(validator(max_items = 50))]
    pub tags: Vec<Tag>,
    /// Paths of what the task has produced, in the order given, each once.
    #[oai(validator(max_items = 1000))]
    pub artifacts: Vec<Artifact>,
    /// What an execution of the task runs; null when the task has no script of its own.
    #[oai(nullable)]
    pub script: Option<Script>,
    /// The tasks that have to be `done` before this one is ready. One that was deleted does not count any more.
    #[oai(validator(max_items = 100))]
    pub blocked_by: Vec<TaskId>,
    /// Whether somebody may begin: the status is `todo`, nobody has the task, and every blocker is `done`.
    pub ready: bool,
    /// Whether the hub starts an execution as soon as the task is ready. Doing so clears it.
    pub auto_start: bool,
    /// The lease of the worker that has the task; null when nobody has claimed it.
    #[oai(nullable)]
    pub lease: Option<Lease>,
    /// How many leases of the task have expired since it last went back from `review` to `todo`.
    #[oai(validator(minimum(value = "0")))]
    pub attempts: i64,
    /// After so many expired leases the task goes to `review`.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub attempts_max: i64,
    /// The open questions of the task.
    #[oai(validator(max_items = 100))]
    pub waiting_for: Vec<QuestionId>,
    /// Starts at 1 and grows by 1 with every change; the number inside the `ETag`.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the task last changed.
    pub updated_at: Timestamp,
}

impl Task {
    /// The memory that this task takes, in bytes. An estimate.
    pub fn weight(&self) -> usize {
        let lists = self.tags.iter().map(Tag::as_str).chain(self.artifacts.iter().map(Artifact::as_str));
        let texts = [self.title.as_str(), self.description.as_str()]
            .into_iter()
            .chain(self.assignee.as_ref().map(Assignee::as_str))
            .chain(self.script.as_ref().map(Script::as_str));
        size_of::<Self>() + lists.chain(texts).map(str::len).sum::<usize>()
    }

    /// A task at version 1. `number` is the next one of its project.
    ///
    /// # Errors
    /// [`Invalid`] when a list is too long, or a title or name has no visible character.
    pub fn create(id: TaskId, number: i64, new: TaskDraft, now: Timestamp) -> Result<Self, Invalid> {
        check_words(Some(&new.title), new.assignee.as_ref(), &new.tags)?;
        Ok(Self {
            id,
            key: TaskKey { project: new.project.clone(), number },
            project: new.project,
            title: new.title,
            description: new.description,
            status: new.status,
            priority: new.priority,
            assignee: new.assignee,
            tags: distinct("tags", new.tags, TAGS_MAX)?,
            artifacts: artifacts(new.artifacts)?,
            script: new.script,
            blocked_by: distinct("blocked_by", new.blocked_by, BLOCKERS_MAX)?,
            ready: false,
            auto_start: new.auto_start,
            lease: None,
            attempts: 0,
            attempts_max: checked_attempts(new.attempts_max)?,
            waiting_for: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// This task as a patch wants it, at the same version.
    ///
    /// # Errors
    /// [`Invalid`] when a list is too long, a title or name has no visible character, or the patch clears a field that every
    /// task has.
    pub fn edited(&self, patch: TaskPatch) -> Result<Self, Invalid> {
        let patch = patch.checked()?;
        check_words(
            patch.title.value(),
            patch.assignee.value(),
            patch.tags.value().map_or(&[], Vec::as_slice),
        )?;
        let mut next = self.clone();
        set(patch.title, &mut next.title);
        set(patch.status, &mut next.status);
        // Who had the task by a lease has it no longer when it is to be begun anew, unless the patch says so.
        if self.lease.is_some() && next.status == Status::Todo && patch.assignee.is_undefined() {
            next.assignee = None;
        }
        if self.status == Status::Review && next.status == Status::Todo {
            next.attempts = 0;
        }
        set(patch.auto_start, &mut next.auto_start);
        set(patch.attempts_max, &mut next.attempts_max);
        clear_or_set(patch.description, &mut next.description);
        clear_or_set(optional(patch.priority), &mut next.priority);
        clear_or_set(optional(patch.assignee), &mut next.assignee);
        clear_or_set(optional(patch.script), &mut next.script);
        clear_or_set(patch.tags, &mut next.tags);
        clear_or_set(patch.artifacts, &mut next.artifacts);
        clear_or_set(patch.blocked_by, &mut next.blocked_by);
        next.tags = distinct("tags", next.tags, TAGS_MAX)?;
        next.artifacts = artifacts(next.artifacts)?;
        next.blocked_by = distinct("blocked_by", next.blocked_by, BLOCKERS_MAX)?;
        next.attempts_max = checked_attempts(next.attempts_max)?;
        Ok(next)
    }

    /// `next` as the version after this one, with the names of the fields that differ, or `None` when nothing does.
    pub fn succeeded_by(&self, mut next: Self, now: Timestamp) -> Option<(Self, Vec<TaskField>)> {
        let changed = self.differing_fields(&next);
        if changed.is_empty() {
            return None;
        }
        next.version = self.version + 1;
        next.updated_at = now.max(self.updated_at);
        Some((next, changed))
    }

    pub fn is_done(&self) -> bool {
        self.status == Status::Done
    }

    /// Whether the task is still worked on under this lease: somebody who gives it another status or another assignee has
    /// taken it away.
    pub fn is_held_under(&self, lease: &Lease) -> bool {
        self.status == Status::InProgress && self.assignee.as_ref() == Some(&lease.worker)
    }

    /// Whether nobody has the task and its status lets somebody begin. What it waits for is another matter.
    pub fn is_free(&self) -> bool {
        self.status == Status::Todo && self.assignee.is_none() && self.lease.is_none()
    }

    /// The artifacts of this task with `more` added as far as the limits allow. The number says how
    /// many of them had no room.
    pub fn artifacts_with(&self, more: Vec<Artifact>) -> (Vec<Artifact>, usize) {
        let mut all = self.artifacts.clone();
        let mut known: HashSet<Artifact> = all.iter().cloned().collect();
        let mut chars = all.iter().map(chars_of).sum::<usize>();
        let mut left_out = 0;
        for artifact in more {
            if known.contains(&artifact) {
                continue;
            }
            if all.len() < ARTIFACTS_MAX && chars + chars_of(&artifact) <= ARTIFACTS_CHARS_MAX {
                chars += chars_of(&artifact);
                known.insert(artifact.clone());
                all.push(artifact);
            } else {
                left_out += 1;
            }
        }
        (all, left_out)
    }

    fn differing_fields(&self, next: &Self) -> Vec<TaskField> {
        [
            (TaskField::Title, self.title != next.title),
            (TaskField::Description, self.description != next.description),
            (TaskField::Status, self.status != next.status),
            (TaskField::Priority, self.priority != next.priority),
            (TaskField::Assignee, self.assignee != next.assignee),
            (TaskField::Tags, self.tags != next.tags),
            (TaskField::Artifacts, self.artifacts != next.artifacts),
            (TaskField::Script, self.script != next.script),
            (TaskField::BlockedBy, self.blocked_by != next.blocked_by),
            (TaskField::Ready, self.ready != next.ready),
            (TaskField::AutoStart, self.auto_start != next.auto_start),
            (TaskField::Lease, self.lease != next.lease),
            (TaskField::Attempts, self.attempts != next.attempts),
            (TaskField::AttemptsMax, self.attempts_max != next.attempts_max),
            (TaskField::WaitingFor, self.waiting_for != next.waiting_for),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }
}

fn set<T>(change: MaybeUndefined<T>, slot: &mut T) {
    if let MaybeUndefined::Value(value) = change {
        *slot = value;
    }
}

fn clear_or_set<T: Default>(change: MaybeUndefined<T>, slot: &mut T) {
    match change {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => *slot = T::default(),
        MaybeUndefined::Value(value) => *slot = value,
    }
}

fn optional<T>(change: MaybeUndefined<T>) -> MaybeUndefined<Option<T>> {
    match change {
        MaybeUndefined::Undefined => MaybeUndefined::Undefined,
        MaybeUndefined::Null => MaybeUndefined::Null,
        MaybeUndefined::Value(value) => MaybeUndefined::Value(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        let new: TaskDraft = serde_json::from_str(
            r#"{"title":"Ship it","priority":"low","assignee":"ada","tags":["a","b","a"]}"#,
        )
        .expect("a valid task");
        Task::create(TaskId::generate(), 1, new, Timestamp::from_ms(1000)).expect("valid")
    }

    fn patched(
        task: &Task,
        patch: TaskPatch,
        now: Timestamp,
    ) -> Result<Option<(Task, Vec<TaskField>)>, Invalid> {
        Ok(task.succeeded_by(task.edited(patch)?, now))
    }

    fn patch(json: &str) -> TaskPatch {
        serde_json::from_str(json).expect("a valid patch")
    }

    #[test]
    fn repeated_tags_are_kept_once_in_order() {
        let tags: Vec<_> = task().tags.iter().map(ToString::to_string).collect();
        assert_eq!(tags, ["a", "b"]);
    }

    #[test]
    fn artifacts_are_bounded_together() {
        let with = |count: usize| {
            let paths: Vec<_> = (0..count).map(|number| format!("{number:0>4096}")).collect();
            let json = serde_json::json!({ "artifacts": paths }).to_string();
            patched(&task(), patch(&json), Timestamp::from_ms(2000))
        };
        assert!(with(16).is_ok());
        assert_eq!(with(17).expect_err("too many").field, "artifacts");
    }

    #[test]
    fn null_clears_what_is_optional_and_is_refused_elsewhere() {
        let now = Timestamp::from_ms(2000);
        let (next, changed) = patched(&task(), patch(r#"{"assignee":null,"tags":null}"#), now)
            .expect("valid")
            .expect("a change");
        assert_eq!((next.assignee, next.tags), (None, vec![]));
        assert_eq!(changed, [TaskField::Assignee, TaskField::Tags]);
        assert_eq!((next.version, next.updated_at), (2, now));

        let refused = patched(&task(), patch(r#"{"title":null}"#), now);
        assert_eq!(refused.expect_err("refused").field, "title");
    }

    #[test]
    fn a_patch_that_changes_nothing_is_no_change() {
        let now = Timestamp::from_ms(2000);
        for same in ["{}", r#"{"title":"Ship it"}"#, r#"{"tags":["a","a","b"]}"#, r#"{"script":null}"#] {
            assert_eq!(patched(&task(), patch(same), now), Ok(None), "{same}");
        }
    }

    #[test]
    fn a_status_report_leaves_what_it_does_not_name() {
        let report: StatusUpdate =
            serde_json::from_str(r#"{"new_status":"review","priority":null}"#).expect("valid");
        let (next, changed) =
            patched(&task(), report.into(), Timestamp::from_ms(2000)).expect("valid").expect("a change");
        assert_eq!(changed, [TaskField::Status]);
        assert_eq!(next.priority, Some(Priority::Low));
    }

    #[test]
    fn time_never_runs_backwards_in_a_task() {
        let (next, _) = patched(&task(), patch(r#"{"status":"done"}"#), Timestamp::from_ms(1))
            .expect("valid")
            .expect("a change");
        assert_eq!(next.updated_at, Timestamp::from_ms(1000));
    }
}
