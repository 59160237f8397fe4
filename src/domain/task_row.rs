//! A task as the index in memory reads it from the store: borrowed, and without what no list is filtered or sorted by.

use std::borrow::Cow;

use super::id::TaskId;

/// The row of one task.
#[derive(Debug, Clone)]
pub struct TaskRow<'a> {
    pub id: TaskId,
    pub created_at_ms: i64,
    pub updated_at_ms: i64,
    pub project: &'a str,
    /// The number in its key.
    pub number: i64,
    pub ready: bool,
    /// Its place among the statuses, from 0.
    pub status_rank: u8,
    /// Its place among the priorities, from 0 for none.
    pub priority_rank: u8,
    pub assignee: Option<&'a str>,
    pub tags: Vec<Cow<'a, str>>,
    pub title: &'a str,
    pub description: &'a str,
}
