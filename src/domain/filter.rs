//! Filters: which events a client wants. Each filter is a list of values.
//!
//! A value of a list is enough to match that list (OR). An event must match all lists (AND). A
//! filter on a task's fields matches when the task matched before *or* after the change, so that a
//! client sees a task leave its view. An event without a task matches no filter on tasks.

use super::event::{EventKind, EventMeta, Facets, TaskMeta};
use super::id::TaskId;
use super::task::{PriorityFilter, Status};
use super::text::{Assignee, Tag};

/// What a client asks for. An empty list matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    pub events: Vec<EventKind>,
    pub task_ids: Vec<TaskId>,
    pub facets: FacetFilter,
}

/// The filters on a task's fields. The lists of tasks use them too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FacetFilter {
    pub statuses: Vec<Status>,
    pub priorities: Vec<PriorityFilter>,
    /// The name [`NOBODY`](super::text::NOBODY) matches tasks without an assignee.
    pub assignees: Vec<Assignee>,
    pub tags: Vec<Tag>,
}

impl EventFilter {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.task_ids.is_empty() && self.facets.is_empty()
    }

    /// Whether this filter lets all changes of tasks pass, so that a client can keep its copy of
    /// the tasks up to date.
    pub fn sees_changes_of_tasks(&self) -> bool {
        let changes = [EventKind::TaskCreated, EventKind::TaskUpdated, EventKind::TaskDeleted];
        self.events.is_empty() || changes.iter().all(|kind| self.events.contains(kind))
    }

    pub fn matches(&self, meta: &EventMeta) -> bool {
        (self.events.is_empty() || self.events.contains(&meta.kind))
            && match &meta.task {
                Some(task) => self.matches_task(task),
                None => self.task_ids.is_empty() && self.facets.is_empty(),
            }
    }

    fn matches_task(&self, task: &TaskMeta) -> bool {
        (self.task_ids.is_empty() || self.task_ids.contains(&task.id))
            && (self.facets.is_empty()
                || [&task.before, &task.after]
                    .into_iter()
                    .flatten()
                    .any(|facets| self.facets.matches(facets)))
    }
}

impl FacetFilter {
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty()
            && self.priorities.is_empty()
            && self.assignees.is_empty()
            && self.tags.is_empty()
    }

    pub fn matches(&self, facets: &Facets) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&facets.status))
            && (self.priorities.is_empty() || self.priorities.contains(&facets.priority.into()))
            && (self.assignees.is_empty()
                || self.assignees.iter().any(|it| it.as_str() == facets.assignee_word()))
            && (self.tags.is_empty() || facets.tags.iter().any(|tag| self.tags.contains(tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Priority;
    use crate::domain::text::NOBODY;

    fn facets(status: Status, assignee: &str) -> Facets {
        Facets {
            status,
            priority: Some(Priority::High),
            assignee: Some(assignee.parse().expect("a name")),
            tags: vec!["web".parse().expect("a tag")],
        }
    }

    fn update(before: Facets, after: Facets) -> EventMeta {
        EventMeta {
            kind: EventKind::TaskUpdated,
            task: Some(TaskMeta { id: TaskId::generate(), before: Some(before), after: Some(after) }),
        }
    }

    fn todo_of_ada() -> EventFilter {
        EventFilter {
            facets: FacetFilter {
                statuses: vec![Status::Todo],
                assignees: vec!["ada".parse().expect("a name")],
                ..FacetFilter::default()
            },
            ..EventFilter::default()
        }
    }

    #[test]
    fn a_watcher_sees_a_task_arrive_and_leave() {
        let (inside, outside) = (facets(Status::Todo, "ada"), facets(Status::Done, "ada"));
        assert!(todo_of_ada().matches(&update(inside.clone(), outside.clone())));
        assert!(todo_of_ada().matches(&update(outside.clone(), inside)));
        assert!(!todo_of_ada().matches(&update(outside.clone(), outside)));
    }

    #[test]
    fn none_stands_for_nobody() {
        let filter = FacetFilter {
            assignees: vec!["bob".parse().expect("a name"), NOBODY.parse().expect("a name")],
            ..FacetFilter::default()
        };
        let ada = facets(Status::Todo, "ada");
        assert!(filter.matches(&Facets { assignee: None, ..ada.clone() }));
        assert!(!filter.matches(&ada) && filter.matches(&facets(Status::Todo, "bob")));
    }

    #[test]
    fn none_stands_for_no_priority() {
        let filter = |priorities: &[PriorityFilter]| FacetFilter {
            priorities: priorities.to_vec(),
            ..FacetFilter::default()
        };
        let high = facets(Status::Todo, "ada");
        let unset = Facets { priority: None, ..high.clone() };
        let (none, some) = (filter(&[PriorityFilter::None]), filter(&[PriorityFilter::High]));
        assert!(none.matches(&unset) && !none.matches(&high));
        assert!(!some.matches(&unset) && some.matches(&high));
    }

    #[test]
    fn before_and_after_do_not_match_half_and_half() {
        let half = update(facets(Status::Todo, "bob"), facets(Status::Done, "ada"));
        assert!(!todo_of_ada().matches(&half));
    }

    #[test]
    fn an_announcement_passes_unless_tasks_are_asked_for() {
        let announcement = EventMeta { kind: EventKind::Announcement, task: None };
        assert!(EventFilter::default().matches(&announcement));
        assert!(!todo_of_ada().matches(&announcement));
    }
}
