//! Groups clients with the same options, and finds the groups that an event concerns.
//!
//! Events are encoded once for a group. A group costs nothing while no event concerns it: groups
//! whose filter names tasks, assignees, tags or projects are indexed by these. So a thousand clients that
//! each follow something different do not cost a thousand comparisons for each event. The filters
//! of all other groups choose among a few words. These groups are few, and every event checks them
//! all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::domain::event::{EventMeta, Subject};
use crate::domain::filter::EventFilter;
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::text::{Assignee, Tag};
use crate::events::options::StreamOptions;

use super::key::{GroupId, Key};

#[derive(Debug)]
pub struct Group {
    pub options: Arc<StreamOptions>,
    /// Its live clients.
    pub live: Vec<Key>,
    /// All of its clients.
    clients: usize,
    /// The last event that was checked against its filter.
    seen: u64,
}

#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<Option<Group>>,
    free: Vec<GroupId>,
    by_options: HashMap<Arc<StreamOptions>, GroupId>,
    by_task: HashMap<TaskId, Vec<GroupId>>,
    by_assignee: HashMap<Assignee, Vec<GroupId>>,
    by_tag: HashMap<Tag, Vec<GroupId>>,
    /// By the projects that the filter names, or else by those that its clients may see.
    by_project: HashMap<ProjectName, Vec<GroupId>>,
    /// Groups that are indexed only by what their clients may see: announcements concern them too.
    bound: Vec<GroupId>,
    others: Vec<GroupId>,
}

impl Groups {
    /// Adds a client with these options. Returns its group, and the options that the whole group
    /// shares.
    pub fn enter(&mut self, options: &Arc<StreamOptions>) -> (GroupId, Arc<StreamOptions>) {
        let id = match self.by_options.get(options) {
            Some(id) => *id,
            None => self.add(options.clone()),
        };
        let group = self.group(id);
        group.clients += 1;
        (id, group.options.clone())
    }

    /// Removes a client of the group.
    pub fn leave(&mut self, id: GroupId) {
        let group = self.group(id);
        group.clients -= 1;
        if group.clients == 0 {
            let options = group.options.clone();
            self.by_options.remove(&options);
            self.index(&options.filter, |list| list.retain(|it| *it != id));
            self.groups[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    /// An existing group.
    pub fn group(&mut self, id: GroupId) -> &mut Group {
        self.groups[id.0 as usize].as_mut().expect("a group is there as long as it has clients")
    }

    /// A live client of a group. The group is gone when its last client has left.
    pub fn live_client(&self, id: GroupId, index: usize) -> Option<Key> {
        self.groups.get(id.0 as usize)?.as_ref()?.live.get(index).copied()
    }

    /// Calls `each` for every group whose filter lets this event pass.
    pub fn concerned(&mut self, seq: u64, meta: &EventMeta, mut each: impl FnMut(GroupId)) {
        let groups = &mut self.groups;
        let mut look = |ids: &[GroupId]| {
            for id in ids {
                let Some(group) = &mut groups[id.0 as usize] else {
                    continue;
                };
                // Several words of the event may lead to the same group.
                if group.seen != seq {
                    group.seen = seq;
                    if group.options.filter.matches(meta) {
                        each(*id);
                    }
                }
            }
        };
        look(&self.others);
        let task = match &meta.subject {
            Subject::Task(task) => task,
            Subject::Project(project) => {
                return self.by_project.get(project).into_iter().for_each(|ids| look(ids));
            }
            Subject::Hub => return look(&self.bound),
        };
        if let Some(ids) = self.by_task.get(&task.id) {
            look(ids);
        }
        for facets in [&task.before, &task.after].into_iter().flatten() {
            if let Some(ids) = self.by_assignee.get(facets.assignee_word()) {
                look(ids);
            }
            facets.tags.iter().filter_map(|tag| self.by_tag.get(tag)).for_each(|ids| look(ids));
            self.by_project.get(&facets.project).into_iter().for_each(|ids| look(ids));
        }
    }

    fn add(&mut self, options: Arc<StreamOptions>) -> GroupId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.groups.push(None);
            // There are no more groups than clients.
            GroupId(self.groups.len() as u32 - 1)
        });
        self.index(&options.filter, |list| list.push(id));
        self.by_options.insert(options.clone(), id);
        self.groups[id.0 as usize] = Some(Group { options, live: Vec::new(), clients: 0, seen: 0 });
        id
    }

    /// Calls `each` for every list that must hold a group with this filter: any event that passes
    /// leads to one of them.
    fn index(&mut self, filter: &EventFilter, mut each: impl FnMut(&mut Vec<GroupId>)) {
        fn lists<T: Hash + Eq + Clone>(
            index: &mut HashMap<T, Vec<GroupId>>,
            words: &[T],
            each: &mut impl FnMut(&mut Vec<GroupId>),
        ) {
            for word in words {
                let list = index.entry(word.clone()).or_default();
                each(list);
                if list.is_empty() {
                    index.remove(word);
                }
            }
        }
        let facets = &filter.facets;
        if !filter.task_ids.is_empty() {
            lists(&mut self.by_task, &filter.task_ids, &mut each);
        } else if !facets.assignees.is_empty() {
            lists(&mut self.by_assignee, &facets.assignees, &mut each);
        } else if !facets.tags.is_empty() {
            lists(&mut self.by_tag, &facets.tags, &mut each);
        } else if !facets.projects.is_empty() {
            lists(&mut self.by_project, &facets.projects, &mut each);
        } else if let Some(allowed) = facets.allowed.names() {
            lists(&mut self.by_project, allowed, &mut each);
            each(&mut self.bound);
        } else {
            each(&mut self.others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::allowed_projects::AllowedProjects;
    use crate::domain::event::{EventKind, Facets, TaskMeta};
    use crate::domain::filter::FacetFilter;
    use crate::domain::task::Status;
    use crate::events::frame::Format;

    fn options(filter: EventFilter) -> Arc<StreamOptions> {
        Arc::new(StreamOptions::new(filter, Format::Sse))
    }

    fn of_assignees(names: &[&str]) -> EventFilter {
        let assignees = names.iter().map(|name| name.parse().expect("a name")).collect();
        EventFilter { facets: FacetFilter { assignees, ..FacetFilter::default() }, ..EventFilter::default() }
    }

    fn bound(projects: &[&str], filter: EventFilter) -> EventFilter {
        let names = projects.iter().map(|name| name.parse().expect("a name")).collect();
        EventFilter {
            facets: FacetFilter { allowed: AllowedProjects::only(names), ..filter.facets },
            ..filter
        }
    }

    fn facets(assignee: &str, tags: &[&str]) -> Facets {
        Facets {
            project: ProjectName::default(),
            number: 1,
            ready: false,
            status: Status::Todo,
            priority: None,
            assignee: Some(assignee.parse().expect("a name")),
            tags: tags.iter().map(|tag| tag.parse().expect("a tag")).collect(),
        }
    }

    fn update(id: TaskId, before: Facets, after: Facets) -> EventMeta {
        let subject = TaskMeta { id, before: Some(before), after: Some(after) }.into();
        EventMeta { kind: EventKind::TaskUpdated, subject }
    }

    fn concerned(groups: &mut Groups, seq: u64, meta: &EventMeta) -> Vec<GroupId> {
        let mut found = Vec::new();
        groups.concerned(seq, meta, |id| found.push(id));
        found.sort_by_key(|id| id.0);
        found
    }

    #[test]
    fn an_event_finds_exactly_the_groups_that_its_filters_let_it_pass_to() {
        let task = TaskId::generate();
        let filters = [
            EventFilter::default(),
            of_assignees(&["ada"]),
            of_assignees(&["bob", "ada"]),
            of_assignees(&["eve"]),
            of_assignees(&["none"]),
            EventFilter { task_ids: vec![task, TaskId::generate()].into(), ..of_assignees(&["eve"]) },
            EventFilter { task_ids: vec![task].into(), ..EventFilter::default() },
            EventFilter {
                facets: FacetFilter {
                    tags: vec!["web".parse().expect("a tag"), "api".parse().expect("a tag")].into(),
                    ..FacetFilter::default()
                },
                ..EventFilter::default()
            },
            EventFilter { events: vec![EventKind::Announcement].into(), ..EventFilter::default() },
            EventFilter {
                facets: FacetFilter {
                    projects: vec![ProjectName::default()].into(),
                    ..FacetFilter::default()
                },
                ..EventFilter::default()
            },
            EventFilter {
                facets: FacetFilter {
                    keys: vec!["default-1".parse().expect("a key")].into(),
                    ..FacetFilter::default()
                },
                ..EventFilter::default()
            },
            bound(&["default"], EventFilter::default()),
            bound(&["web", "default"], EventFilter::default()),
            bound(&["web"], of_assignees(&["eve"])),
            bound(&["web"], EventFilter { task_ids: vec![task].into(), ..EventFilter::default() }),
            bound(
                &["web"],
                EventFilter { events: vec![EventKind::Announcement].into(), ..EventFilter::default() },
            ),
            bound(&[], EventFilter::default()),
        ];
        let mut groups = Groups::default();
        let ids: Vec<_> = filters.iter().map(|filter| groups.enter(&options(filter.clone())).0).collect();
        let of_web = Facets { project: "web".parse().expect("a name"), ..facets("eve", &[]) };
        let metas = [
            update(task, facets("ada", &["web", "api"]), facets("bob", &["web"])),
            update(TaskId::generate(), facets("eve", &[]), facets("eve", &["web"])),
            update(task, facets("eve", &[]), facets("eve", &[])),
            update(task, of_web.clone(), of_web),
            update(task, facets("eve", &[]), Facets { assignee: None, ..facets("eve", &[]) }),
            EventMeta { kind: EventKind::Announcement, subject: Subject::Hub },
            EventMeta { kind: EventKind::ProjectUpdated, subject: Subject::Project(ProjectName::default()) },
            EventMeta {
                kind: EventKind::ProjectUpdated,
                subject: Subject::Project("web".parse().expect("a name")),
            },
        ];
        for (seq, meta) in (1..).zip(&metas) {
            let expected = filters.iter().zip(&ids).filter(|(filter, _)| filter.matches(meta));
            let expected: Vec<_> = expected.map(|(_, id)| *id).collect();
            assert_eq!(concerned(&mut groups, seq, meta), expected, "{meta:?}");
        }
    }

    #[test]
    fn clients_who_want_the_same_are_one_group_and_nothing_is_left_of_it_in_the_end() {
        let mut groups = Groups::default();
        let filter = of_assignees(&["ada", "bob"]);
        let (first, shared) = groups.enter(&options(filter.clone()));
        let (second, same) = groups.enter(&options(filter));
        assert_eq!(first, second);
        assert!(Arc::ptr_eq(&shared, &same));
        groups.leave(first);
        let of_ada = update(TaskId::generate(), facets("ada", &[]), facets("ada", &[]));
        assert_eq!(concerned(&mut groups, 1, &of_ada), [first]);
        groups.leave(first);
        assert_eq!(concerned(&mut groups, 2, &of_ada), []);
        assert_eq!(groups.live_client(first, 0), None, "nobody finds it any more");
        let (of_web, _) = groups.enter(&options(bound(&["web"], EventFilter::default())));
        groups.leave(of_web);
        assert!(groups.by_options.is_empty() && groups.by_assignee.is_empty());
        assert!(groups.by_project.is_empty() && groups.bound.is_empty());
        let (again, _) = groups.enter(&options(EventFilter::default()));
        assert_eq!(again, first, "its number is free again");
    }
}
