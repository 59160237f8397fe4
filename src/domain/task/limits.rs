//! How much a task can hold, and the checks of what a caller sends for its fields.

use std::collections::HashSet;
use std::hash::Hash;

use crate::domain::error::Invalid;
use crate::domain::text::{Artifact, Assignee, Tag, Title, must_be_one_line, must_be_seen};

/// Most tasks that a task can wait for.
pub const BLOCKERS_MAX: usize = 100;
/// Most tags a task can carry.
pub const TAGS_MAX: usize = 50;
/// Most artifacts a task can list.
pub(super) const ARTIFACTS_MAX: usize = 1000;
/// Most characters that all artifacts of a task may have together. Each event of the task carries
/// them all.
pub(super) const ARTIFACTS_CHARS_MAX: usize = 64 << 10;

/// Checks the title and names that a caller sends. See [`must_be_seen`].
pub(super) fn check_words(
    title: Option<&Title>,
    assignee: Option<&Assignee>,
    tags: &[Tag],
) -> Result<(), Invalid> {
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

pub(super) fn checked_attempts(value: i64) -> Result<i64, Invalid> {
    match (1..=100).contains(&value) {
        true => Ok(value),
        false => Err(Invalid::new("attempts_max", "must be 1 to 100")),
    }
}

pub(super) fn chars_of(artifact: &Artifact) -> usize {
    artifact.as_str().chars().count()
}

pub(super) fn artifacts(values: Vec<Artifact>) -> Result<Vec<Artifact>, Invalid> {
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
pub(super) fn distinct<T: Clone + Eq + Hash>(
    field: &str,
    values: Vec<T>,
    max: usize,
) -> Result<Vec<T>, Invalid> {
    if values.len() > max {
        let message = format!("holds {} entries; at most {max} are allowed", values.len());
        return Err(Invalid::new(field, message));
    }
    let mut seen = HashSet::with_capacity(values.len());
    Ok(values.into_iter().filter(|value| seen.insert(value.clone())).collect())
}
