//! Lists of tasks, one page at a time.
//!
//! A page starts after a key, not at an offset: after the last row of the page before. So rows that
//! somebody creates or deletes meanwhile cause no repetition and no gap. The id breaks ties.

use std::fmt;
use std::str::FromStr;

use super::filter::FacetFilter;
use super::id::TaskId;
use super::schema::word_enum;
use super::task::{Priority, Task};

word_enum! {
    /// What a list of tasks is sorted by. Ties are broken by id, which is the order of creation.
    TaskSort {
        /// by the time of creation
        CreatedAt = "created_at",
        /// by the time of the last change
        UpdatedAt = "updated_at",
        /// from none over `low` and `medium` to `high`
        Priority = "priority",
        /// in the order `todo`, `inprogress`, `review`, `done`
        Status = "status",
    }
}

word_enum! {
    /// The direction of a list.
    SortOrder {
        /// lowest, or oldest, first
        Ascending = "asc",
        /// highest, or latest, first
        Descending = "desc",
    }
}

/// Which tasks, in which order, and how many of them.
#[derive(Debug, Clone)]
pub struct TaskQuery {
    pub filter: FacetFilter,
    /// What to search for, as somebody typed it ([`Search`](super::words::Search)).
    pub text: Option<String>,
    pub sort: TaskSort,
    pub order: SortOrder,
    pub after: Option<PageKey>,
    pub limit: usize,
}

/// The key after which a page starts. Written `{sort}.{order}.{key}.{id}`. Clients treat it as
/// opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKey {
    pub sort: TaskSort,
    pub order: SortOrder,
    /// The value of the last row in the sorted column: milliseconds, or a rank.
    pub key: i64,
    pub id: TaskId,
}

impl PageKey {
    pub fn of(task: &Task, sort: TaskSort, order: SortOrder) -> Self {
        let key = match sort {
            TaskSort::CreatedAt => task.created_at.ms(),
            TaskSort::UpdatedAt => task.updated_at.ms(),
            TaskSort::Priority => task.priority.map_or(0, Priority::rank),
            TaskSort::Status => task.status as i64,
        };
        Self { sort, order, key, id: task.id }
    }
}

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.sort, self.order, self.key, self.id)
    }
}

impl FromStr for PageKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let mut parts = text.split('.');
            let key = Self {
                sort: parts.next()?.parse().ok()?,
                order: parts.next()?.parse().ok()?,
                key: parts.next()?.parse().ok()?,
                id: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(key)
        };
        parse().ok_or_else(|| "expected the cursor from the Link header of the page before".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_key_survives_its_text_form() {
        let key = PageKey {
            sort: TaskSort::Priority,
            order: SortOrder::Descending,
            key: 3,
            id: TaskId::generate(),
        };
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!("created_at.asc.x.y".parse::<PageKey>().is_err());
    }
}
