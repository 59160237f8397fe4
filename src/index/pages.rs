//! Picks a page out of the tasks that match: the next ones after a key, in the order of the list.
//!
//! There are three ways, and each gives the same page:
//! - along the slots, when they are in the order of the list: by creation, and within one priority or status;
//! - along the order of the last change, when so many tasks match that a page is full soon;
//! - a look at every task that matches, keeping the best. It takes about 2 ns a task, and is the way of last resort.

use roaring::RoaringBitmap;

use super::columns::{Columns, Sort};
use super::facets::FacetSets;
use super::order::{Key, Order};

/// When fewer tasks match, all of them are looked at.
const FEW: u64 = 10_000;
/// After so many tasks that do not match, the walk along the order is given up. It bounds what a filter costs whose tasks all
/// stand at the other end.
const STEPS_MAX: usize = 100_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub sort: Sort,
    pub descending: bool,
    /// The last task of the page before.
    pub after: Option<Key>,
    pub limit: usize,
}

/// Where the tasks stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders<'a> {
    pub columns: &'a Columns,
    pub by_change: &'a Order,
    pub facets: &'a FacetSets,
}

impl Orders<'_> {
    /// The slots of the page, in its order.
    pub(super) fn pick(&self, matching: &RoaringBitmap, page: Page) -> Vec<u32> {
        match page.sort {
            Sort::Created if self.columns.creation_ascends() => self.by_creation(matching, page),
            Sort::Priority if self.columns.ids_ascend() => {
                self.by_rank(matching, page, self.facets.priorities())
            }
            Sort::Status if self.columns.ids_ascend() => self.by_rank(matching, page, self.facets.statuses()),
            Sort::Updated if matching.len() > FEW => {
                self.by_change(matching, page).unwrap_or_else(|| self.best(matching, page))
            }
            _ => self.best(matching, page),
        }
    }

    fn by_creation(&self, matching: &RoaringBitmap, page: Page) -> Vec<u32> {
        let is_before = |slot: u32| match (page.after, page.descending) {
            (None, _) => !page.descending,
            (Some(after), false) => self.columns.key(Sort::Created, slot) <= after,
            (Some(after), true) => self.columns.key(Sort::Created, slot) < after,
        };
        // Without a key, everything comes after when ascending, and everything before when descending.
        let bound = match (page.after, page.descending) {
            (None, false) => 0,
            (None, true) => self.columns.len(),
            _ => partition(self.columns.len(), is_before),
        };
        walk(matching, bound, page.descending, page.limit).collect()
    }

    fn by_rank(&self, matching: &RoaringBitmap, page: Page, sets: &[RoaringBitmap; 4]) -> Vec<u32> {
        let mut found = Vec::new();
        for step in 0..sets.len() {
            let rank = if page.descending { sets.len() - 1 - step } else { step };
            let bound = match (page.after, page.descending) {
                (Some((value, id)), _) if value == rank as i64 => match page.descending {
                    false => self.columns.slot_after_id(id),
                    true => self.columns.slot_from_id(id),
                },
                (Some((value, _)), false) if (rank as i64) < value => continue,
                (Some((value, _)), true) if (rank as i64) > value => continue,
                (_, false) => 0,
                (_, true) => self.columns.len(),
            };
            let left = page.limit - found.len();
            let set = matching & &sets[rank];
            found.extend(walk(&set, bound, page.descending, left));
            if found.len() == page.limit {
                break;
            }
        }
        found
    }

    /// Walks along the order of the last change. `None` when too few match on the way.
    fn by_change(&self, matching: &RoaringBitmap, page: Page) -> Option<Vec<u32>> {
        let key_of = |slot| self.columns.key(Sort::Updated, slot);
        match page.descending {
            false => filtered(self.by_change.upwards(page.after, key_of), matching, page.limit),
            true => filtered(self.by_change.downwards(page.after, key_of), matching, page.limit),
        }
    }

    fn best(&self, matching: &RoaringBitmap, page: Page) -> Vec<u32> {
        // Descending means ascending by the opposite.
        let sign = |value: i64| if page.descending { !value } else { value };
        let sign_id = |id: u128| if page.descending { !id } else { id };
        let after = page.after.map(|(value, id)| (sign(value), sign_id(id)));
        let full = page.limit.max(64) * 2;
        let mut found: Vec<(i64, u128, u32)> = Vec::with_capacity(full);
        let mut worst: Option<Key> = None;
        for slot in matching {
            let value = sign(self.columns.value(page.sort, slot));
            // Most are decided here, without their id.
            if worst.is_some_and(|(worst, _)| value > worst) || after.is_some_and(|(after, _)| value < after)
            {
                continue;
            }
            let id = sign_id(self.columns.id(slot));
            if worst.is_some_and(|worst| (value, id) > worst)
                || after.is_some_and(|after| (value, id) <= after)
            {
                continue;
            }
            found.push((value, id, slot));
            if found.len() == full {
                let (_, last, _) = found.select_nth_unstable(page.limit - 1);
                worst = Some((last.0, last.1));
                found.truncate(page.limit);
            }
        }
        found.sort_unstable();
        found.truncate(page.limit);
        found.into_iter().map(|(_, _, slot)| slot).collect()
    }
}

/// The first number below `end` for which `is_before` is false, or `end`.
pub(super) fn partition(end: u32, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low.midpoint(high);
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

/// The slots from `bound` upwards, or those below it downwards.
fn walk(set: &RoaringBitmap, bound: u32, descending: bool, limit: usize) -> impl Iterator<Item = u32> {
    let upwards = (!descending).then(|| set.range(bound..)).into_iter().flatten();
    let downwards = descending.then(|| set.range(..bound).rev()).into_iter().flatten();
    upwards.chain(downwards).take(limit)
}

fn filtered(slots: impl Iterator<Item = u32>, matching: &RoaringBitmap, limit: usize) -> Option<Vec<u32>> {
    let mut found = Vec::with_capacity(limit);
    let mut slots = slots.enumerate();
    while found.len() < limit {
        match slots.next() {
            Some((step, _)) if step == STEPS_MAX => return None,
            Some((_, slot)) if matching.contains(slot) => found.push(slot),
            Some(_) => {}
            None => break,
        }
    }
    Some(found)
}
