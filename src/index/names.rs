//! The tasks of each name: of a project, of an assignee, with a tag.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::postings::{Postings, Union};

#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Box<str>, Postings>);

impl Names {
    pub(super) fn insert(&mut self, name: &str, slot: u32) {
        match self.0.get_mut(name) {
            Some(postings) => postings.insert(slot),
            None => drop(self.0.insert(name.into(), Postings::One(slot))),
        }
    }

    pub(super) fn remove(&mut self, name: &str, slot: u32) {
        if self.0.get_mut(name).is_some_and(|postings| !postings.remove(slot)) {
            self.0.remove(name);
        }
    }

    pub(super) fn shrink(&mut self) {
        self.0.values_mut().for_each(Postings::shrink);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Postings> {
        self.0.get(name)
    }

    /// The tasks that have one of these names.
    pub(super) fn any_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> RoaringBitmap {
        let mut union = Union::default();
        names.into_iter().filter_map(|name| self.get(name)).for_each(|postings| union.add(postings));
        union.into_bitmap()
    }
}
