//! The sets of tasks for each filter: by status, priority, readiness, project, assignee and tag.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::names::Names;
use super::postings::shrink;

/// The fields of a task that filters look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facets<'a> {
    pub project: &'a str,
    pub ready: bool,
    /// Its place among the statuses, from 0.
    pub status: u8,
    /// Its place among the priorities, from 0 for none.
    pub priority: u8,
    /// The word that a filter has for it; also for nobody.
    pub assignee: &'a str,
    pub tags: Vec<&'a str>,
}

/// What a list is filtered by. An empty list and `None` let everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter<'a> {
    pub projects: Vec<&'a str>,
    /// Each of these is all that the caller may see.
    pub allowed: Vec<Vec<&'a str>>,
    pub ready: Option<bool>,
    pub statuses: Vec<u8>,
    pub priorities: Vec<u8>,
    pub assignees: Vec<&'a str>,
    pub tags: Vec<&'a str>,
}

#[derive(Debug, Default)]
pub(super) struct FacetSets {
    /// Every task that is not deleted.
    all: RoaringBitmap,
    ready: RoaringBitmap,
    statuses: [RoaringBitmap; 4],
    priorities: [RoaringBitmap; 4],
    projects: Names,
    assignees: Names,
    tags: Names,
}

impl FacetSets {
    pub(super) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    pub(super) fn statuses(&self) -> &[RoaringBitmap; 4] {
        &self.statuses
    }

    pub(super) fn priorities(&self) -> &[RoaringBitmap; 4] {
        &self.priorities
    }

    pub(super) fn projects(&self) -> &Names {
        &self.projects
    }

    pub(super) fn insert(&mut self, slot: u32, facets: &Facets<'_>) {
        self.all.insert(slot);
        self.statuses[usize::from(facets.status)].insert(slot);
        self.priorities[usize::from(facets.priority)].insert(slot);
        if facets.ready {
            self.ready.insert(slot);
        }
        self.projects.insert(facets.project, slot);
        self.assignees.insert(facets.assignee, slot);
        facets.tags.iter().for_each(|tag| self.tags.insert(tag, slot));
    }

    pub(super) fn remove(&mut self, slot: u32, facets: &Facets<'_>) {
        self.all.remove(slot);
        self.statuses[usize::from(facets.status)].remove(slot);
        self.priorities[usize::from(facets.priority)].remove(slot);
        self.ready.remove(slot);
        self.projects.remove(facets.project, slot);
        self.assignees.remove(facets.assignee, slot);
        facets.tags.iter().for_each(|tag| self.tags.remove(tag, slot));
    }

    pub(super) fn replace(&mut self, slot: u32, before: &Facets<'_>, after: &Facets<'_>) {
        if before.status != after.status {
            self.statuses[usize::from(before.status)].remove(slot);
            self.statuses[usize::from(after.status)].insert(slot);
        }
        if before.priority != after.priority {
            self.priorities[usize::from(before.priority)].remove(slot);
            self.priorities[usize::from(after.priority)].insert(slot);
        }
        match (before.ready, after.ready) {
            (true, false) => drop(self.ready.remove(slot)),
            (false, true) => drop(self.ready.insert(slot)),
            _ => {}
        }
        if before.project != after.project {
            self.projects.remove(before.project, slot);
            self.projects.insert(after.project, slot);
        }
        if before.assignee != after.assignee {
            self.assignees.remove(before.assignee, slot);
            self.assignees.insert(after.assignee, slot);
        }
        if before.tags != after.tags {
            before.tags.iter().for_each(|tag| self.tags.remove(tag, slot));
            after.tags.iter().for_each(|tag| self.tags.insert(tag, slot));
        }
    }

    pub(super) fn shrink(&mut self) {
        [&mut self.projects, &mut self.assignees, &mut self.tags].into_iter().for_each(Names::shrink);
        let sets = self.statuses.iter_mut().chain(&mut self.priorities);
        sets.chain([&mut self.all, &mut self.ready]).for_each(shrink);
    }

    /// The tasks that pass the filter.
    pub(super) fn matching(&self, filter: &Filter<'_>) -> Cow<'_, RoaringBitmap> {
        let mut found = Cow::Borrowed(&self.all);
        let mut keep = |set: Cow<'_, RoaringBitmap>| match &mut found {
            Cow::Owned(found) => *found &= &*set,
            Cow::Borrowed(all) => found = Cow::Owned(&**all & &*set),
        };
        if !filter.projects.is_empty() {
            keep(Cow::Owned(self.projects.any_of(filter.projects.iter().copied())));
        }
        for allowed in &filter.allowed {
            keep(Cow::Owned(self.projects.any_of(allowed.iter().copied())));
        }
        if !filter.assignees.is_empty() {
            keep(Cow::Owned(self.assignees.any_of(filter.assignees.iter().copied())));
        }
        if !filter.tags.is_empty() {
            keep(Cow::Owned(self.tags.any_of(filter.tags.iter().copied())));
        }
        if !filter.statuses.is_empty() {
            keep(any_of(&self.statuses, &filter.statuses));
        }
        if !filter.priorities.is_empty() {
            keep(any_of(&self.priorities, &filter.priorities));
        }
        match filter.ready {
            Some(true) => keep(Cow::Borrowed(&self.ready)),
            Some(false) => keep(Cow::Owned(&self.all - &self.ready)),
            None => {}
        }
        found
    }
}

fn any_of<'a>(sets: &'a [RoaringBitmap; 4], wanted: &[u8]) -> Cow<'a, RoaringBitmap> {
    match wanted {
        [one] => Cow::Borrowed(&sets[usize::from(*one)]),
        _ => {
            use roaring::MultiOps;
            Cow::Owned(wanted.iter().map(|one| &sets[usize::from(*one)]).union())
        }
    }
}
