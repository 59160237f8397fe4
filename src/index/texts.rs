//! Which words the tasks have, in title and description and in their comments.
//!
//! The words of comments are apart. A word that a new description no longer has may still be in a comment, and comments
//! never change.
//!
//! The words of a deleted task stay until the next start. Its slot is in no other set, so nobody finds it.

use std::collections::{BTreeSet, HashMap};

use roaring::RoaringBitmap;

use crate::domain::words::{Search, SearchPart, numbers_that_begin_with, visit_words};

use super::columns::Columns;
use super::names::Names;
use super::pages::partition;
use super::terms::Terms;

#[derive(Debug, Default)]
pub(super) struct Texts {
    tasks: Terms,
    comments: Terms,
}

/// The words of many texts, gathered before they go into the dictionary. That is several times faster than word by word.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    words: HashMap<Box<str>, Vec<u32>>,
}

impl Gathered {
    /// Adds the words of a text. The slots must ascend from call to call.
    pub(super) fn add(&mut self, slot: u32, text: &str) {
        visit_words(text, &mut |word| match self.words.get_mut(word) {
            Some(slots) if slots.last() == Some(&slot) => {}
            Some(slots) => slots.push(slot),
            None => drop(self.words.insert(word.into(), vec![slot])),
        });
    }

    fn sorted(self) -> Vec<(Box<str>, Vec<u32>)> {
        let mut words: Vec<_> = self.words.into_iter().collect();
        words.sort_unstable();
        words
    }
}

/// Title and description of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub title: &'a str,
    pub description: &'a str,
}

impl Text<'_> {
    fn words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for text in [self.title, self.description] {
            visit_words(text, &mut |word| {
                if !words.contains(word) {
                    words.insert(word.to_owned());
                }
            });
        }
        words
    }
}

impl Texts {
    pub(super) fn insert_gathered(&mut self, of_tasks: Gathered, of_comments: Gathered) {
        of_tasks.sorted().iter().for_each(|(word, slots)| self.tasks.insert(word, slots));
        of_comments.sorted().iter().for_each(|(word, slots)| self.comments.insert(word, slots));
    }

    pub(super) fn insert(&mut self, slot: u32, text: Text<'_>) {
        text.words().iter().for_each(|word| self.tasks.insert(word, &[slot]));
    }

    pub(super) fn replace(&mut self, slot: u32, before: Text<'_>, after: Text<'_>) {
        let (before, after) = (before.words(), after.words());
        before.difference(&after).for_each(|word| self.tasks.remove(word, slot));
        after.difference(&before).for_each(|word| self.tasks.insert(word, &[slot]));
    }

    pub(super) fn insert_comment(&mut self, slot: u32, text: &str) {
        visit_words(text, &mut |word| self.comments.insert(word, &[slot]));
    }

    pub(super) fn shrink(&mut self) {
        self.tasks.shrink();
        self.comments.shrink();
    }

    /// The tasks that a search finds, and perhaps some that were deleted.
    pub(super) fn find(&self, search: &Search, projects: &Names, columns: &Columns) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for part in &search.parts {
            let part = self.find_part(part, projects, columns);
            match &mut found {
                Some(found) => *found &= part,
                None => found = Some(part),
            }
        }
        found.unwrap_or_default()
    }

    fn find_part(&self, part: &SearchPart, projects: &Names, columns: &Columns) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for word in &part.words {
            let with = self.tasks.beginning_with(word) | self.comments.beginning_with(word);
            match &mut found {
                Some(found) => *found &= with,
                None => found = Some(with),
            }
        }
        let mut found = found.unwrap_or_default();
        if let Some((project, number)) = &part.key
            && let Some(tasks) = projects.get(project)
        {
            found |= with_numbers(&tasks.as_bitmap(), *number, columns);
        }
        found
    }
}

/// Those of the tasks of one project whose number begins with these digits.
fn with_numbers(tasks: &RoaringBitmap, digits: i64, columns: &Columns) -> RoaringBitmap {
    if !columns.numbers_ascend() {
        let ranges: Vec<_> = numbers_that_begin_with(digits).collect();
        let begins = |number: i64| ranges.iter().any(|(first, last)| (*first..=*last).contains(&number));
        return tasks.iter().filter(|slot| begins(columns.number(*slot))).collect();
    }
    let mut found = RoaringBitmap::new();
    let count = tasks.len() as u32;
    for (first, last) in numbers_that_begin_with(digits) {
        let number = |at: u32| tasks.select(at).map_or(i64::MAX, |slot| columns.number(slot));
        let from = partition(count, |at| number(at) < first);
        let to = partition(count, |at| number(at) <= last);
        let slot = |at: u32| tasks.select(at).unwrap_or(u32::MAX);
        let mut range = RoaringBitmap::new();
        range.insert_range(slot(from)..slot(to));
        found |= tasks & range;
        if to == count {
            break;
        }
    }
    found
}
