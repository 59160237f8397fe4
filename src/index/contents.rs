//! Everything that the index knows of the tasks, at one moment. It knows neither the store nor the log.

use std::borrow::Cow;

use crate::domain::words::Search;

use super::columns::{Columns, Sort, Values};
use super::facets::{FacetSets, Facets, Filter};
use super::order::Order;
use super::pages::{Orders, Page};
use super::texts::{Gathered, Text, Texts};

#[derive(Debug, Default)]
pub(super) struct Contents {
    columns: Columns,
    facets: FacetSets,
    by_change: Order,
    texts: Texts,
}

impl Contents {
    pub(super) fn insert(&mut self, values: Values, facets: &Facets<'_>, text: Text<'_>) {
        let slot = self.insert_without_text(values, facets);
        self.texts.insert(slot, text);
    }

    /// Adds a task whose words come later, with those of many others.
    pub(super) fn insert_gathering(
        &mut self,
        values: Values,
        facets: &Facets<'_>,
        text: Text<'_>,
        words: &mut Gathered,
    ) {
        let slot = self.insert_without_text(values, facets);
        words.add(slot, text.title);
        words.add(slot, text.description);
    }

    /// Gathers the words of a comment. The ids of the tasks must ascend from call to call.
    pub(super) fn comment_gathering(&self, id: u128, text: &str, words: &mut Gathered) {
        if let Some(slot) = self.slot(id) {
            words.add(slot, text);
        }
    }

    pub(super) fn insert_gathered(&mut self, of_tasks: Gathered, of_comments: Gathered) {
        self.texts.insert_gathered(of_tasks, of_comments);
    }

    /// Gives back the memory that the index has taken to grow, when it has been filled.
    pub(super) fn shrink(&mut self) {
        self.facets.shrink();
        self.texts.shrink();
    }

    fn insert_without_text(&mut self, values: Values, facets: &Facets<'_>) -> u32 {
        let before = self.facets.projects().get(facets.project).and_then(super::postings::Postings::last);
        let slot = self.columns.push(values, before);
        self.columns.set_ranks(slot, facets.status, facets.priority);
        self.facets.insert(slot, facets);
        self.put_in_order(slot);
        slot
    }

    /// Changes a task at a time. Its last change is not before that.
    pub(super) fn update(&mut self, id: u128, before: &Facets<'_>, after: &Facets<'_>, time: i64) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        let time = time.max(self.columns.value(Sort::Updated, slot));
        self.take_from_order(slot);
        self.columns.set_updated(slot, time);
        self.columns.set_ranks(slot, after.status, after.priority);
        self.facets.replace(slot, before, after);
        self.put_in_order(slot);
    }

    pub(super) fn update_text(&mut self, id: u128, before: Text<'_>, after: Text<'_>) {
        if let Some(slot) = self.slot(id) {
            self.texts.replace(slot, before, after);
        }
    }

    pub(super) fn comment(&mut self, id: u128, text: &str) {
        if let Some(slot) = self.slot(id) {
            self.texts.insert_comment(slot, text);
        }
    }

    pub(super) fn delete(&mut self, id: u128, facets: &Facets<'_>) {
        if let Some(slot) = self.slot(id) {
            self.take_from_order(slot);
            self.facets.remove(slot, facets);
        }
    }

    /// The ids of a page of tasks, in its order.
    pub(super) fn page(&self, filter: &Filter<'_>, search: Option<&Search>, page: Page) -> Vec<u128> {
        let mut matching = self.facets.matching(filter);
        if let Some(search) = search {
            let found = self.texts.find(search, self.facets.projects(), &self.columns);
            matching = Cow::Owned(&*matching & found);
        }
        let orders = Orders { columns: &self.columns, by_change: &self.by_change, facets: &self.facets };
        orders.pick(&matching, page).into_iter().map(|slot| self.columns.id(slot)).collect()
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> u64 {
        self.facets.all().len()
    }

    /// How many tasks are in the order of the last change.
    #[cfg(test)]
    pub(super) fn ordered(&self) -> usize {
        self.by_change.upwards(None, |slot| self.columns.key(Sort::Updated, slot)).count()
    }

    fn slot(&self, id: u128) -> Option<u32> {
        self.columns.slot(id).filter(|slot| self.facets.all().contains(*slot))
    }

    fn put_in_order(&mut self, slot: u32) {
        let columns = &self.columns;
        let key_of = |slot| columns.key(Sort::Updated, slot);
        self.by_change.insert(key_of(slot), slot, key_of);
    }

    fn take_from_order(&mut self, slot: u32) {
        let columns = &self.columns;
        let key_of = |slot| columns.key(Sort::Updated, slot);
        self.by_change.remove(key_of(slot), key_of);
    }
}
