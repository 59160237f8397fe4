//! The types of the domain as the index reads them.

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::event::{Facets as DomainFacets, TaskText};
use crate::domain::filter::FacetFilter;
use crate::domain::page::{SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::{Priority, PriorityFilter};
use crate::domain::task_row::TaskRow;
use crate::domain::text::{Assignee, NOBODY, Tag};

use super::columns::{Sort, Values};
use super::facets::{Facets, Filter};
use super::pages::Page;
use super::texts::Text;

pub(super) fn facets(of: &DomainFacets) -> Facets<'_> {
    Facets {
        project: of.project.as_str(),
        ready: of.ready,
        status: of.status as u8,
        priority: of.priority.map_or(0, |priority| Priority::rank(priority) as u8),
        assignee: of.assignee_word(),
        tags: of.tags.iter().map(Tag::as_str).collect(),
    }
}

/// `None` when the row has a rank that does not exist.
pub(super) fn row<'a>(of: &'a TaskRow<'a>) -> Option<(Values, Facets<'a>, Text<'a>)> {
    let values = Values {
        id: of.id.uuid().as_u128(),
        created: of.created_at_ms,
        updated: of.updated_at_ms,
        number: of.number,
    };
    let facets = Facets {
        project: of.project,
        ready: of.ready,
        status: of.status_rank,
        priority: of.priority_rank,
        assignee: of.assignee.unwrap_or(NOBODY),
        tags: of.tags.iter().map(AsRef::as_ref).collect(),
    };
    let is_known = of.status_rank < 4 && of.priority_rank < 4;
    is_known.then_some((values, facets, Text { title: of.title, description: of.description }))
}

pub(super) fn text(of: &TaskText) -> Text<'_> {
    Text { title: of.title.as_str(), description: of.description.as_str() }
}

pub(super) fn filter<'a>(of: &'a FacetFilter, allowed: &'a AllowedProjects) -> Filter<'a> {
    let names = |names: &'a [ProjectName]| names.iter().map(ProjectName::as_str).collect::<Vec<_>>();
    let rank = |priority: &PriorityFilter| match priority {
        PriorityFilter::None => 0,
        PriorityFilter::Low => Priority::Low.rank() as u8,
        PriorityFilter::Medium => Priority::Medium.rank() as u8,
        PriorityFilter::High => Priority::High.rank() as u8,
    };
    Filter {
        projects: names(&of.projects),
        allowed: [allowed, &of.allowed].into_iter().filter_map(AllowedProjects::names).map(names).collect(),
        ready: of.ready,
        statuses: of.statuses.iter().map(|status| *status as u8).collect(),
        priorities: of.priorities.iter().map(rank).collect(),
        assignees: of.assignees.iter().map(Assignee::as_str).collect(),
        tags: of.tags.iter().map(Tag::as_str).collect(),
    }
}

/// With one task more than the page has, to learn whether another page follows.
pub(super) fn page(of: &TaskQuery) -> Page {
    let sort = match of.sort {
        TaskSort::CreatedAt => Sort::Created,
        TaskSort::UpdatedAt => Sort::Updated,
        TaskSort::Priority => Sort::Priority,
        TaskSort::Status => Sort::Status,
    };
    Page {
        sort,
        descending: of.order == SortOrder::Descending,
        after: of.after.as_ref().map(|after| (after.key, after.id.uuid().as_u128())),
        limit: of.limit + 1,
    }
}
