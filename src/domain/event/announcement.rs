//! Announcements: messages from one caller to everybody.

use std::fmt;
use std::str::FromStr;

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use serde::{Deserialize, Serialize};

use crate::domain::schema::{text_type, word_enum};
use crate::domain::text::{SEEN_PATTERN, TokenName, must_be_seen};

/// Longest message of an announcement, in characters.
pub const MESSAGE_CHARS_MAX: usize = 2000;

word_enum! {
    /// How much an announcement matters.
    AnnouncementLevel {
        /// good to know
        Info = "info",
        /// something may not work as usual
        Warning = "warning",
        /// something needs attention now
        Critical = "critical",
    }
}

/// A system-wide message to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct AnnouncementData {
    /// How much it matters.
    pub level: AnnouncementLevel,
    /// What to tell people, in plain text.
    pub message: Message,
}

/// What somebody tells everybody.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct AnnouncementEventData {
    /// How much it matters.
    pub level: AnnouncementLevel,
    /// What to tell people, in plain text.
    pub message: Message,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
}

/// The text of an announcement: 1–2,000 characters, not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    fn meta() -> MetaSchema {
        MetaSchema {
            min_length: Some(1),
            max_length: Some(MESSAGE_CHARS_MAX),
            pattern: Some(SEEN_PATTERN.into()),
            example: Some("Maintenance at 18:00 UTC".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Message {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if must_be_seen(text).is_err() || text.chars().count() > MESSAGE_CHARS_MAX {
            return Err(format!("must be 1 to {MESSAGE_CHARS_MAX} characters and not blank"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_type!(Message, "message");
