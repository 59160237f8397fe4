//! Any lists, as the filter of a stream, over a task before and after a change: what passes is what the specification
//! says, worked out in another way. `tests/fuzz/run filters -max_total_time=3600`
#![no_main]

use libfuzzer_sys::fuzz_target;
use taskhub::domain::allowed_projects::AllowedProjects;
use taskhub::domain::event::{EventKind, EventMeta, Facets, Subject, TaskMeta};
use taskhub::domain::filter::{EventFilter, FacetFilter};
use taskhub::domain::id::TaskId;
use taskhub::domain::project::ProjectName;
use taskhub::domain::task::{Priority, PriorityFilter, Status, TaskKey};

/// Takes choices from bytes; nothing when there are no more.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        self.0.next().copied().unwrap_or_default().into()
    }

    fn some<T: Copy>(&mut self, all: &[T]) -> Vec<T> {
        let bits = self.next();
        let chosen = all.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        chosen.map(|(_, value)| *value).collect()
    }

    fn named<T: std::str::FromStr<Err = String>>(&mut self) -> Vec<T> {
        self.some(&["a", "b", "c"]).into_iter().map(|name| name.parse().expect("a name")).collect()
    }

    fn project(&mut self) -> ProjectName {
        project(self.next())
    }

    fn facets(&mut self) -> Option<Facets> {
        (!self.next().is_multiple_of(4)).then(|| Facets {
            project: self.project(),
            number: 1 + (self.next() % 2) as i64,
            ready: self.next().is_multiple_of(2),
            status: Status::ALL[self.next() % Status::ALL.len()],
            priority: Priority::ALL.get(self.next() % 4).copied(),
            assignee: self.named().pop(),
            tags: self.named(),
        })
    }
}

fn project(choice: usize) -> ProjectName {
    ["default", "web"][choice % 2].parse().expect("a name")
}

fn key((choice, number): (usize, i64)) -> TaskKey {
    TaskKey { project: project(choice), number }
}

fn wants<T: PartialEq>(list: &[T], value: Option<&T>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.iter().any(|it| it == value))
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes.iter());
    let ids = ["0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e", "0197f9a2-7d2f-7c6b-8e4f-3a5b9d7c2e1f"]
        .map(|id| id.parse::<TaskId>().expect("an id"));
    let filter = EventFilter {
        events: choices.some(EventKind::ALL).into(),
        task_ids: choices.some(&ids).into(),
        facets: FacetFilter {
            projects: choices.some(&[0, 1]).into_iter().map(project).collect(),
            keys: choices.some(&[(0, 1), (0, 2), (1, 1)]).into_iter().map(key).collect(),
            ready: [None, Some(true), Some(false)][choices.next() % 3],
            statuses: choices.some(Status::ALL).into(),
            priorities: choices.some(PriorityFilter::ALL).into(),
            assignees: choices.named().into(),
            tags: choices.named().into(),
            allowed: match choices.next() % 2 {
                0 => AllowedProjects::default(),
                _ => AllowedProjects::only(choices.some(&[0, 1]).into_iter().map(project).collect()),
            },
        },
    };
    let kind = EventKind::ALL[choices.next() % EventKind::ALL.len()];
    let subject = match choices.next() % 4 {
        0 => Subject::Hub,
        1 => Subject::Project(choices.project()),
        _ => {
            TaskMeta { id: ids[choices.next() % 2], before: choices.facets(), after: choices.facets() }.into()
        }
    };

    let FacetFilter { projects, keys, statuses, priorities, assignees, tags, ready, allowed } =
        &filter.facets;
    let sees = |project: &ProjectName| allowed.names().is_none_or(|names| names.contains(project));
    let fits = |it: &Facets| {
        sees(&it.project)
            && wants(projects, Some(&it.project))
            && ready.is_none_or(|ready| ready == it.ready)
            && wants(keys, Some(&TaskKey { project: it.project.clone(), number: it.number }))
            && wants(statuses, Some(&it.status))
            && wants(priorities, Some(&PriorityFilter::from(it.priority)))
            && wants(assignees, it.assignee.as_ref())
            && (tags.is_empty() || it.tags.iter().any(|tag| tags.contains(tag)))
    };
    let asks_no_task =
        keys.len() + statuses.len() + priorities.len() + assignees.len() + tags.len() == 0 && ready.is_none();
    let asks_nothing = asks_no_task && projects.is_empty();
    let about = match &subject {
        Subject::Hub => filter.task_ids.is_empty() && asks_nothing,
        Subject::Project(project) => {
            filter.task_ids.is_empty() && asks_no_task && sees(project) && wants(projects, Some(project))
        }
        Subject::Task(task) => {
            let states = [task.before.as_ref(), task.after.as_ref()];
            wants(&filter.task_ids, Some(&task.id))
                && (asks_nothing && allowed.names().is_none() || states.into_iter().flatten().any(fits))
        }
    };
    let expected = wants(&filter.events, Some(&kind)) && about;
    assert_eq!(filter.matches(&EventMeta { kind, subject }), expected, "{filter:?}");
    assert!(!filter.is_empty() || expected, "no filter lets everything pass");
});
