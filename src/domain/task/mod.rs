//! A task: its fields, and the rules for a change.
//!
//! [`Task::patched`] is the only way from one version to the next. It answers `None` when nothing
//! would change. So a change without effect gives no new version and no event.

mod patch;
mod words;

pub use patch::{StatusUpdate, TaskPatch};
pub use words::{Priority, PriorityFilter, Status, TaskField};

use std::collections::HashSet;

use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::error::Invalid;
use super::id::TaskId;
use super::text::{Artifact, Assignee, Description, Script, Tag, Title, must_be_one_line, must_be_seen};

/// Most tags a task can carry.
pub const TAGS_MAX: usize = 50;
/// Most artifacts a task can list.
pub const ARTIFACTS_MAX: usize = 1000;
/// Most characters that all artifacts of a task may have together. Each event of the task carries
/// them all.
pub const ARTIFACTS_CHARS_MAX: usize = 64 << 10;

/// A task as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Task {
    /// Identifies the task; a UUIDv7, so ids sort by creation time.
    pub id: TaskId,
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
    /// Starts at 1 and grows by 1 with every change; the number inside the `ETag`.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the task last changed.
    pub updated_at: Timestamp,
}

/// What it takes to create a task. Only `title` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct TaskDraft {
    /// What the task is called; never blank.
    pub title: Title,
    /// Markdown.
    #[oai(default)]
    #[serde(default)]
    pub description: Description,
    /// Where the task starts.
    #[oai(default = "todo")]
    #[serde(default = "todo")]
    pub status: Status,
    /// How urgent it is.
    #[oai(nullable)]
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Who does it.
    #[oai(nullable)]
    #[serde(default)]
    pub assignee: Option<Assignee>,
    /// Labels; repetitions are dropped.
    #[oai(default, validator(max_items = 50))]
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Paths of what the task has produced, at most 65,536 characters together; repetitions are dropped.
    #[oai(default, validator(max_items = 1000))]
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// What an execution of the task runs.
    #[oai(nullable)]
    #[serde(default)]
    pub script: Option<Script>,
}

fn todo() -> Status {
    Status::Todo
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

    /// A task at version 1.
    ///
    /// # Errors
    /// [`Invalid`] when a list is too long, or a title or name has no visible character.
    pub fn create(id: TaskId, new: TaskDraft, now: Timestamp) -> Result<Self, Invalid> {
        check_words(Some(&new.title), new.assignee.as_ref(), &new.tags)?;
        Ok(Self {
            id,
            title: new.title,
            description: new.description,
            status: new.status,
            priority: new.priority,
            assignee: new.assignee,
            tags: distinct("tags", new.tags, TAGS_MAX)?,
            artifacts: artifacts(new.artifacts)?,
            script: new.script,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// The next version and the names of the fields that differ, or `None` when nothing would change.
    ///
    /// # Errors
    /// [`Invalid`] when a list is too long, when a title or name has no visible character, or when
    /// the patch clears a field that every task has.
    pub fn patched(
        &self,
        patch: TaskPatch,
        now: Timestamp,
    ) -> Result<Option<(Self, Vec<TaskField>)>, Invalid> {
        let patch = patch.checked()?;
        check_words(
            patch.title.value(),
            patch.assignee.value(),
            patch.tags.value().map_or(&[], Vec::as_slice),
        )?;
        let mut next = self.clone();
        set(patch.title, &mut next.title);
        set(patch.status, &mut next.status);
        clear_or_set(patch.description, &mut next.description);
        clear_or_set(optional(patch.priority), &mut next.priority);
        clear_or_set(optional(patch.assignee), &mut next.assignee);
        clear_or_set(optional(patch.script), &mut next.script);
        clear_or_set(patch.tags, &mut next.tags);
        clear_or_set(patch.artifacts, &mut next.artifacts);
        next.tags = distinct("tags", next.tags, TAGS_MAX)?;
        next.artifacts = artifacts(next.artifacts)?;

        let changed = self.differing_fields(&next);
        if changed.is_empty() {
            return Ok(None);
        }
        next.version = self.version + 1;
        next.updated_at = now.max(self.updated_at);
        Ok(Some((next, changed)))
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
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }
}

/// Checks the title and names that a caller sends. See [`must_be_seen`].
fn check_words(title: Option<&Title>, assignee: Option<&Assignee>, tags: &[Tag]) -> Result<(), Invalid> {
    if let Some(title) = title {
        must_be_seen(title.as_str()).map_err(|message| Invalid::new("title", message))?;
    }
    if let Some(assignee) = assignee {
        must_be_one_line(assignee.as_str()).map_err(|message| Invalid::new("assignee", message))?;
    }
    for (index, tag) in tags.iter().enumerate() {
        must_be_one_line(tag.as_str()).map_err(|message| Invalid::new(format!("tags[{index}]"), message))?;
    }
    Ok(())
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

fn chars_of(artifact: &Artifact) -> usize {
    artifact.as_str().chars().count()
}

fn artifacts(values: Vec<Artifact>) -> Result<Vec<Artifact>, Invalid> {
    let values = distinct("artifacts", values, ARTIFACTS_MAX)?;
    match values.iter().map(chars_of).sum::<usize>() {
        chars if chars > ARTIFACTS_CHARS_MAX => {
            let message =
                format!("are {chars} characters together; at most {ARTIFACTS_CHARS_MAX} are allowed");
            Err(Invalid::new("artifacts", message))
        }
        _ => Ok(values),
    }
}

/// Keeps the first of equal values, in the given order.
fn distinct<T: Clone + Eq + std::hash::Hash>(
    field: &str,
    values: Vec<T>,
    max: usize,
) -> Result<Vec<T>, Invalid> {
    if values.len() > max {
        let message = format!("holds {} entries; at most {max} are allowed", values.len());
        return Err(Invalid::new(field, message));
    }
    let mut seen = std::collections::HashSet::with_capacity(values.len());
    Ok(values.into_iter().filter(|value| seen.insert(value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        let new: TaskDraft = serde_json::from_str(
            r#"{"title":"Ship it","priority":"low","assignee":"ada","tags":["a","b","a"]}"#,
        )
        .expect("a valid task");
        Task::create(TaskId::generate(), new, Timestamp::from_ms(1000)).expect("valid")
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
            task().patched(patch(&json), Timestamp::from_ms(2000))
        };
        assert!(with(16).is_ok());
        assert_eq!(with(17).expect_err("too many").field, "artifacts");
    }

    #[test]
    fn null_clears_what_is_optional_and_is_refused_elsewhere() {
        let now = Timestamp::from_ms(2000);
        let (next, changed) =
            task().patched(patch(r#"{"assignee":null,"tags":null}"#), now).expect("valid").expect("a change");
        assert_eq!((next.assignee, next.tags), (None, vec![]));
        assert_eq!(changed, [TaskField::Assignee, TaskField::Tags]);
        assert_eq!((next.version, next.updated_at), (2, now));

        let refused = task().patched(patch(r#"{"title":null}"#), now);
        assert_eq!(refused.expect_err("refused").field, "title");
    }

    #[test]
    fn a_patch_that_changes_nothing_is_no_change() {
        let now = Timestamp::from_ms(2000);
        for same in ["{}", r#"{"title":"Ship it"}"#, r#"{"tags":["a","a","b"]}"#, r#"{"script":null}"#] {
            assert_eq!(task().patched(patch(same), now), Ok(None), "{same}");
        }
    }

    #[test]
    fn a_status_report_leaves_what_it_does_not_name() {
        let report: StatusUpdate =
            serde_json::from_str(r#"{"new_status":"review","priority":null}"#).expect("valid");
        let (next, changed) =
            task().patched(report.into(), Timestamp::from_ms(2000)).expect("valid").expect("a change");
        assert_eq!(changed, [TaskField::Status]);
        assert_eq!(next.priority, Some(Priority::Low));
    }

    #[test]
    fn time_never_runs_backwards_in_a_task() {
        let (next, _) = task()
            .patched(patch(r#"{"status":"done"}"#), Timestamp::from_ms(1))
            .expect("valid")
            .expect("a change");
        assert_eq!(next.updated_at, Timestamp::from_ms(1000));
    }
}
