//! A project: a name that groups tasks and counts them.
//!
//! [`Project::patched`] is the only way from one version to the next, as for tasks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::MaybeUndefined;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::error::Invalid;
use super::schema::text_type;
use super::text::{Description, Title, must_be_seen};

/// The project of tasks for which nobody names another.
pub const DEFAULT_PROJECT: &str = "default";
/// Longest name of a project, in characters.
const NAME_CHARS_MAX: usize = 32;
/// `pattern` of the name in the specification.
const NAME_PATTERN: &str = "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$";

/// The name of a project: 1–32 lower-case letters, digits and `-`; it begins and ends with a letter or a digit.
/// Events in memory hold it twice each, so that clones share their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectName(Arc<str>);

impl ProjectName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT_PROJECT
    }

    fn meta() -> MetaSchema {
        MetaSchema {
            example: Some("web".into()),
            min_length: Some(1),
            max_length: Some(NAME_CHARS_MAX),
            pattern: Some(NAME_PATTERN.into()),
            ..MetaSchema::new("string")
        }
    }
}

impl Default for ProjectName {
    fn default() -> Self {
        Self(DEFAULT_PROJECT.into())
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_slug = text.bytes().all(is_allowed) && !text.starts_with('-') && !text.ends_with('-');
        match is_slug && (1..=NAME_CHARS_MAX).contains(&text.len()) {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "must be 1 to {NAME_CHARS_MAX} lower-case letters, digits or `-`, with a letter or a digit at both ends"
            )),
        }
    }
}

text_type!(ProjectName, "project_name");

/// A project as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Project {
    /// The name of the project; it begins the key of each of its tasks.
    pub project: ProjectName,
    /// What people call the project.
    pub title: Title,
    /// Markdown; empty when none was given.
    pub description: Description,
    /// Whether the project is closed: it takes no new tasks.
    pub archived: bool,
    /// Starts at 1 and grows by 1 with every change; the number inside the `ETag`.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the project was created.
    pub created_at: Timestamp,
    /// When the project last changed.
    pub updated_at: Timestamp,
}

/// What it takes to create a project. Only `project` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ProjectDraft {
    /// The name of the project. It cannot be changed.
    pub project: ProjectName,
    /// What people call the project; without it they call it by its name.
    #[oai(nullable)]
    #[serde(default)]
    pub title: Option<Title>,
    /// Markdown.
    #[oai(default)]
    #[serde(default)]
    pub description: Description,
}

/// A JSON Merge Patch (RFC 7396) of a project: what is absent stays, `null` clears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectPatch {
    /// A new title. A title cannot be cleared.
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub title: MaybeUndefined<Title>,
    /// A new description; null empties it.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub description: MaybeUndefined<Description>,
    /// `true` closes the project for new tasks, `false` opens it again.
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub archived: MaybeUndefined<bool>,
}

impl Project {
    /// A project at version 1.
    ///
    /// # Errors
    /// [`Invalid`] when nothing of the title can be seen.
    pub fn create(new: ProjectDraft, now: Timestamp) -> Result<Self, Invalid> {
        let title = match new.title {
            Some(title) => title,
            None => new.project.as_str().parse().map_err(|words: String| Invalid::new("title", words))?,
        };
        must_be_seen(title.as_str()).map_err(|words| Invalid::new("title", words))?;
        Ok(Self {
            project: new.project,
            title,
            description: new.description,
            archived: false,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// The next version, or `None` when nothing would change.
    ///
    /// # Errors
    /// [`Invalid`] when nothing of the title can be seen, or a field that every project has would be cleared.
    pub fn patched(&self, patch: ProjectPatch, now: Timestamp) -> Result<Option<Self>, Invalid> {
        for (field, cleared) in [("title", patch.title.is_null()), ("archived", patch.archived.is_null())] {
            if cleared {
                return Err(Invalid::new(field, "cannot be cleared; send a value or leave it out"));
            }
        }
        let mut next = self.clone();
        if let MaybeUndefined::Value(title) = patch.title {
            must_be_seen(title.as_str()).map_err(|words| Invalid::new("title", words))?;
            next.title = title;
        }
        match patch.description {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => next.description = Description::default(),
            MaybeUndefined::Value(description) => next.description = description,
        }
        if let MaybeUndefined::Value(archived) = patch.archived {
            next.archived = archived;
        }
        if next == *self {
            return Ok(None);
        }
        next.version = self.version + 1;
        next.updated_at = now.max(self.updated_at);
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_slug_as_its_pattern_says() {
        let pattern = regex::Regex::new(NAME_PATTERN).expect("a pattern");
        let long = "a".repeat(32);
        for good in ["a", "7", "web", "web-2", "a--b", &long] {
            assert!(good.parse::<ProjectName>().is_ok() && pattern.is_match(good), "{good}");
        }
        for bad in ["", "-", "-a", "a-", "Web", "a_b", "a b", "ä", "a\n"] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
        }
        assert!(format!("{long}a").parse::<ProjectName>().is_err());
    }

    #[test]
    fn a_patch_that_changes_nothing_is_no_change() {
        let draft: ProjectDraft = serde_json::from_str(r#"{"project":"web"}"#).expect("a draft");
        let project = Project::create(draft, Timestamp::from_ms(1)).expect("a project");
        assert_eq!(project.title.as_str(), "web");
        let patched =
            |json: &str| project.patched(serde_json::from_str(json).expect("a patch"), Timestamp::from_ms(2));
        for same in ["{}", r#"{"archived":false}"#, r#"{"description":null}"#] {
            assert_eq!(patched(same), Ok(None), "{same}");
        }
        let next = patched(r#"{"archived":true}"#).expect("valid").expect("a change");
        assert!(next.archived && next.version == 2);
        assert_eq!(patched(r#"{"title":null}"#).expect_err("refused").field, "title");
    }
}
