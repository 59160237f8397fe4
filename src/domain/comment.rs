//! A comment: what somebody has said about a task. It never changes, and it goes with its task.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::error::Invalid;
use super::id::{CommentId, TaskId};
use super::text::{Author, must_be_one_line, seen_and_at_most_chars, seen_meta, text_newtype};

/// Longest comment, in characters. Each event of a comment carries its text.
pub const COMMENT_CHARS_MAX: usize = 16 << 10;

text_newtype!(
    /// What a comment says: Markdown, 1–16,384 characters, not blank.
    CommentText,
    "comment_text",
    |text| seen_and_at_most_chars(text, COMMENT_CHARS_MAX),
    seen_meta(COMMENT_CHARS_MAX, "The figures of May are *still* missing.")
);

/// A comment on a task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Comment {
    /// Identifies the comment; a UUIDv7, so ids sort by time.
    pub id: CommentId,
    /// The task that it is about.
    pub task_id: TaskId,
    /// Who wrote it: the name of the token, or else the name that was stated; null when nobody was named.
    #[oai(nullable)]
    pub author: Option<Author>,
    /// Markdown.
    pub text: CommentText,
    /// When it was written.
    pub created_at: Timestamp,
}

/// What it takes to comment.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct CommentDraft {
    /// Markdown.
    pub text: CommentText,
    /// Who writes it. With a token it is always the token's name, and this is ignored.
    #[oai(nullable)]
    #[serde(default)]
    pub author: Option<Author>,
}

impl CommentDraft {
    /// # Errors
    /// [`Invalid`] when the author's name has no visible character or a line break.
    pub fn checked(self) -> Result<Self, Invalid> {
        if let Some(author) = &self.author {
            must_be_one_line(author.as_str()).map_err(|message| Invalid::new("author", message))?;
        }
        Ok(self)
    }
}
