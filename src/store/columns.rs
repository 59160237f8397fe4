//! The columns of rows that have a checksum, in the order in which the checksum covers them.
//!
//! A new column needs a migration (`migrations/`), a place in these lists, and changes to the
//! statements and the reader of its table (`tasks.rs`, `events.rs`).

pub(super) const TASKS: &str = "id, title, description, status, priority, assignee, tags, artifacts, script, \
                                  version, created_at, updated_at, project, number, \
                                  blocked_by, ready, auto_start, lease, attempts, attempts_max, waiting_for";

pub(super) const EVENTS: &str = "seq, at, kind, task_id, facets, body, bytes_before";
