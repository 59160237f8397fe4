//! The columns of rows with a checksum, in the order in which they are summed up.

pub(super) const TASKS: &str = "id, title, description, status, priority, assignee, tags, artifacts, script, \
                                  version, created_at, updated_at";

pub(super) const EVENTS: &str = "seq, at, kind, task_id, facets, body, bytes_before";
