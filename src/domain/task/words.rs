//! The words of a task: its statuses, its priorities, the names of its fields.

use crate::domain::schema::word_enum;

word_enum! {
    /// Where a task stands. Any status may follow any other.
    Status {
        /// nobody has begun; where a new task stands
        Todo = "todo",
        /// somebody, or an execution, is at it
        InProgress = "inprogress",
        /// done as far as its worker can tell; a successful execution moves its task here
        Review = "review",
        /// finished
        Done = "done",
    }
}

word_enum! {
    /// How urgent a task is, from low to high.
    Priority {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
}

impl Priority {
    /// Its place among priorities, from 1; a task without one has 0.
    pub fn rank(self) -> i64 {
        self as i64 + 1
    }
}

word_enum! {
    /// A priority to filter by.
    PriorityFilter {
        /// the lowest priority
        Low = "low",
        /// between the two
        Medium = "medium",
        /// the highest priority
        High = "high",
        /// no priority is set
        None = "none",
    }
}

impl From<Option<Priority>> for PriorityFilter {
    fn from(priority: Option<Priority>) -> Self {
        match priority {
            Some(Priority::Low) => Self::Low,
            Some(Priority::Medium) => Self::Medium,
            Some(Priority::High) => Self::High,
            None => Self::None,
        }
    }
}

word_enum! {
    /// A field of a task, as named in `changed` of a `task_updated` event.
    TaskField {
        Title = "title",
        Description = "description",
        Status = "status",
        Priority = "priority",
        Assignee = "assignee",
        Tags = "tags",
        Artifacts = "artifacts",
        Script = "script",
        BlockedBy = "blocked_by",
        Ready = "ready",
        AutoStart = "auto_start",
        Lease = "lease",
        Attempts = "attempts",
        AttemptsMax = "attempts_max",
        WaitingFor = "waiting_for",
    }
}
