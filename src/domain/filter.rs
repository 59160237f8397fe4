//! Filters: which events a client wants. Each filter is a list of values.
//!
//! A value of a list is enough to match that list (OR). An event must match all lists (AND). A
//! filter on a task's fields matches when the task matched before *or* after the change, so that a
//! client sees a task leave its view. An event without a task matches no filter on tasks.
//!
//! A filter also holds what its client may see. An event of another project never passes, whatever
//! the client asks for. An announcement is for everybody.

use super::allowed_projects::AllowedProjects;
use super::event::{EventKind, EventMeta, Facets, Subject, TaskMeta};
use super::id::TaskId;
use super::project::ProjectName;
use super::task::{PriorityFilter, Status, TaskKey};
use super::text::{Assignee, Tag};

/// What a client asks for and may see. An empty list matches everything. Each stream and each wait keeps one, so the lists take
/// no more than they need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    pub events: Box<[EventKind]>,
    pub task_ids: Box<[TaskId]>,
    pub facets: FacetFilter,
}

/// The filters on a task's fields. The lists of tasks use them too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FacetFilter {
    pub projects: Box<[ProjectName]>,
    pub keys: Box<[TaskKey]>,
    pub ready: Option<bool>,
    pub statuses: Box<[Status]>,
    pub priorities: Box<[PriorityFilter]>,
    /// The name [`NOBODY`](super::text::NOBODY) matches tasks without an assignee.
    pub assignees: Box<[Assignee]>,
    pub tags: Box<[Tag]>,
    /// What the client may see, which it did not ask for. Part of equality, so that streams with and without a binding
    /// share nothing.
    pub allowed: AllowedProjects,
}

impl EventFilter {
    /// Whether everything passes.
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
            && match &meta.subject {
                Subject::Task(task) => self.matches_task(task),
                Subject::Project(project) => self.task_ids.is_empty() && self.facets.match_project(project),
                Subject::Hub => self.task_ids.is_empty() && self.facets.ask_for_nothing(),
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
    /// Whether every task matches.
    pub fn is_empty(&self) -> bool {
        self.ask_for_nothing() && !self.allowed.is_bound()
    }

    fn ask_for_nothing(&self) -> bool {
        self.projects.is_empty() && self.asks_for_no_task()
    }

    /// Whether nothing is asked for that only tasks have.
    fn asks_for_no_task(&self) -> bool {
        self.keys.is_empty()
            && self.ready.is_none()
            && self.statuses.is_empty()
            && self.priorities.is_empty()
            && self.assignees.is_empty()
            && self.tags.is_empty()
    }

    fn match_project(&self, project: &ProjectName) -> bool {
        self.allowed.allow(project)
            && self.asks_for_no_task()
            && (self.projects.is_empty() || self.projects.contains(project))
    }

    pub fn matches(&self, facets: &Facets) -> bool {
        self.allowed.allow(&facets.project)
            && (self.projects.is_empty() || self.projects.contains(&facets.project))
            && (self.keys.is_empty() || self.keys.iter().any(|key| facets.has_key(key)))
            && self.ready.is_none_or(|ready| ready == facets.ready)
            && (self.statuses.is_empty() || self.statuses.contains(&facets.status))
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
            project: ProjectName::default(),
            number: 1,
            ready: false,
            status,
            priority: Some(Priority::High),
            assignee: Some(assignee.parse().expect("a name")),
            tags: vec!["web".parse().expect("a tag")],
        }
    }

    fn update(before: Facets, after: Facets) -> EventMeta {
        EventMeta {
            kind: EventKind::TaskUpdated,
            subject: TaskMeta { id: TaskId::generate(), before: Some(before), after: Some(after) }.into(),
        }
    }

    fn todo_of_ada() -> EventFilter {
        EventFilter {
            facets: FacetFilter {
                statuses: vec![Status::Todo].into(),
                assignees: vec!["ada".parse().expect("a name")].into(),
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
            assignees: vec!["bob".parse().expect("a name"), NOBODY.parse().expect("a name")].into(),
            ..FacetFilter::default()
        };
        let ada = facets(Status::Todo, "ada");
        assert!(filter.matches(&Facets { assignee: None, ..ada.clone() }));
        assert!(!filter.matches(&ada) && filter.matches(&facets(Status::Todo, "bob")));
    }

    #[test]
    fn none_stands_for_no_priority() {
        let filter = |priorities: &[PriorityFilter]| FacetFilter {
            priorities: priorities.to_vec().into(),
            ..FacetFilter::default()
        };
        let high = facets(Status::Todo, "ada");
        let unset = Facets { priority: None, ..high.clone() };
        let (none, some) = (filter(&[PriorityFilter::None]), filter(&[PriorityFilter::High]));
        assert!(none.matches(&unset) && !none.matches(&high));
        assert!(!some.matches(&unset) && some.matches(&high));
    }

    #[test]
    fn a_project_matches_its_tasks_and_itself() {
        let web: ProjectName = "web".parse().expect("a name");
        let filter = |projects: &[&ProjectName], keys: &[&str]| EventFilter {
            facets: FacetFilter {
                projects: projects.iter().map(|it| (*it).clone()).collect(),
                keys: keys.iter().map(|key| key.parse().expect("a key")).collect(),
                ..FacetFilter::default()
            },
            ..EventFilter::default()
        };
        let facets = Facets { project: web.clone(), number: 17, ..facets(Status::Todo, "ada") };
        let of_task = update(facets.clone(), facets);
        let of_project =
            EventMeta { kind: EventKind::ProjectUpdated, subject: Subject::Project(web.clone()) };
        let other = ProjectName::default();
        assert!(filter(&[&web], &[]).matches(&of_task) && filter(&[&web], &[]).matches(&of_project));
        assert!(!filter(&[&other], &[]).matches(&of_task) && !filter(&[&other], &[]).matches(&of_project));
        assert!(filter(&[], &["web-17"]).matches(&of_task) && !filter(&[], &["web-17"]).matches(&of_project));
        assert!(!filter(&[], &["web-18", "default-17"]).matches(&of_task));
        assert!(!todo_of_ada().matches(&of_project) && EventFilter::default().matches(&of_project));
    }

    #[test]
    fn who_is_bound_sees_its_projects_and_announcements_alone() {
        let (web, api): (ProjectName, ProjectName) =
            ("web".parse().expect("a name"), "api".parse().expect("a name"));
        let of = |project: &ProjectName| {
            let facets = Facets { project: project.clone(), ..facets(Status::Todo, "ada") };
            let subject = Subject::Project(project.clone());
            [update(facets.clone(), facets), EventMeta { kind: EventKind::ProjectUpdated, subject }]
        };
        let announcement = EventMeta { kind: EventKind::Announcement, subject: Subject::Hub };
        let bound = |filter: EventFilter| EventFilter {
            facets: FacetFilter { allowed: AllowedProjects::only(vec![web.clone()]), ..filter.facets },
            ..filter
        };
        let plain = bound(EventFilter::default());
        assert!(!plain.is_empty() && plain.matches(&announcement));
        assert!(of(&web).iter().all(|event| plain.matches(event)));
        assert!(!of(&api).iter().any(|event| plain.matches(event)));
        let [task, project] = of(&web);
        assert!(bound(todo_of_ada()).matches(&task) && !bound(todo_of_ada()).matches(&of(&api)[0]));
        assert!(!bound(todo_of_ada()).matches(&project) && !bound(todo_of_ada()).matches(&announcement));
        let facets = FacetFilter { projects: vec![api.clone()].into(), ..FacetFilter::default() };
        let asking = bound(EventFilter { facets, ..EventFilter::default() });
        assert!(!of(&web).iter().chain(&of(&api)).any(|event| asking.matches(event)));
        // An execution whose task is gone: nobody can tell its project.
        let subject = TaskMeta { id: TaskId::generate(), before: None, after: None }.into();
        let orphan = EventMeta { kind: EventKind::ExecutionEvent, subject };
        assert!(!plain.matches(&orphan) && EventFilter::default().matches(&orphan));
    }

    #[test]
    fn before_and_after_do_not_match_half_and_half() {
        let half = update(facets(Status::Todo, "bob"), facets(Status::Done, "ada"));
        assert!(!todo_of_ada().matches(&half));
    }

    #[test]
    fn an_announcement_passes_unless_tasks_are_asked_for() {
        let announcement = EventMeta { kind: EventKind::Announcement, subject: Subject::Hub };
        assert!(EventFilter::default().matches(&announcement));
        assert!(!todo_of_ada().matches(&announcement));
    }
}
