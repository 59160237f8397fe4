//! The contents against a naive model: random changes, and every kind of page.

use std::collections::BTreeMap;

use crate::domain::words::{Search, SearchPart, has_word};

use super::columns::{Sort, Values};
use super::contents::Contents;
use super::facets::{Facets, Filter};
use super::pages::Page;
use super::texts::{Gathered, Text};

const PROJECTS: [&str; 3] = ["web", "api", "a-b"];
const PEOPLE: [&str; 4] = ["none", "ada", "bob", "cy"];
const TAGS: [&str; 4] = ["red", "blue", "big", "old"];
const WORDS: [&str; 8] = ["fix", "fixed", "the", "StoreError", "error", "größe", "web-1", "登录问题"];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    fn facets(&mut self, project: &'static str) -> Facets<'static> {
        let tags = TAGS.into_iter().filter(|_| self.below(3) == 0).collect();
        let status = self.below(4) as u8;
        let ready = status == 0 && self.below(2) == 0;
        Facets {
            project,
            ready,
            status,
            priority: self.below(4) as u8,
            assignee: PEOPLE[self.below(4)],
            tags,
        }
    }

    fn text(&mut self) -> String {
        (0..self.below(4)).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }
}

/// A task as the model keeps it.
struct Kept {
    values: Values,
    facets: Facets<'static>,
    texts: [String; 2],
    comments: String,
}

impl Kept {
    fn key(&self, sort: Sort) -> (i64, u128) {
        let value = match sort {
            Sort::Created => self.values.created,
            Sort::Updated => self.values.updated,
            Sort::Priority => self.facets.priority.into(),
            Sort::Status => self.facets.status.into(),
        };
        (value, self.values.id)
    }

    fn passes(&self, filter: &Filter<'_>, search: Option<&Search>) -> bool {
        let Facets { project, ready, status, priority, assignee, tags } = &self.facets;
        (filter.projects.is_empty() || filter.projects.contains(project))
            && filter.allowed.iter().all(|allowed| allowed.contains(project))
            && filter.ready.is_none_or(|wanted| wanted == *ready)
            && (filter.statuses.is_empty() || filter.statuses.contains(status))
            && (filter.priorities.is_empty() || filter.priorities.contains(priority))
            && (filter.assignees.is_empty() || filter.assignees.contains(assignee))
            && (filter.tags.is_empty() || filter.tags.iter().any(|tag| tags.contains(tag)))
            && search.is_none_or(|search| {
                !search.parts.is_empty() && search.parts.iter().all(|part| self.has(part))
            })
    }

    fn has(&self, part: &SearchPart) -> bool {
        let texts = [&self.texts[0], &self.texts[1], &self.comments];
        let is_key = part.key.as_ref().is_some_and(|(project, digits)| {
            project == self.facets.project && self.values.number.to_string().starts_with(&digits.to_string())
        });
        is_key || part.words.iter().all(|word| texts.iter().any(|text| has_word(text, word)))
    }
}

struct Both {
    contents: Contents,
    model: BTreeMap<u128, Kept>,
    random: Random,
    /// The last number of each project.
    numbers: [i64; 3],
    now: i64,
}

impl Both {
    fn new(seed: u64) -> Self {
        let (contents, model) = (Contents::default(), BTreeMap::new());
        Self { contents, model, random: Random(seed), numbers: [0; 3], now: 0 }
    }

    fn values(&mut self, id: u128, project: usize) -> Values {
        self.numbers[project] += 1;
        Values { id, created: self.now, updated: self.now, number: self.numbers[project] }
    }

    /// As at the start of a hub.
    fn load(&mut self, count: u128) {
        self.load_numbered(count, |number| number);
    }

    fn load_numbered(&mut self, count: u128, number: impl Fn(i64) -> i64) {
        let mut words = Gathered::default();
        for id in 1..=count {
            self.now += self.random.below(2) as i64;
            let project = self.random.below(3);
            let mut values = self.values(id * 100, project);
            values.number = number(values.number);
            values.updated += self.random.below(1_000) as i64;
            let facets = self.random.facets(PROJECTS[project]);
            let texts = [self.random.text(), self.random.text()];
            let text = Text { title: &texts[0], description: &texts[1] };
            self.contents.insert_gathering(values, &facets, text, &mut words);
            self.model.insert(values.id, Kept { values, facets, texts, comments: String::new() });
        }
        self.contents.insert_gathered(words, Gathered::default());
        self.contents.shrink();
    }

    fn create(&mut self, id: u128) {
        let project = self.random.below(3);
        let values = self.values(id, project);
        let facets = self.random.facets(PROJECTS[project]);
        let texts = [self.random.text(), self.random.text()];
        self.contents.insert(values, &facets, Text { title: &texts[0], description: &texts[1] });
        self.model.insert(id, Kept { values, facets, texts, comments: String::new() });
    }

    fn change(&mut self) {
        self.now += self.random.below(3) as i64;
        let Some(id) = self.some_id() else {
            return;
        };
        let (contents, random) = (&mut self.contents, &mut self.random);
        let task = self.model.get_mut(&id).expect("it is kept");
        match random.below(10) {
            0 => {
                contents.delete(id, &task.facets);
                self.model.remove(&id);
            }
            1 => {
                let text = random.text();
                contents.comment(id, &text);
                task.comments.push_str(&format!(" {text}"));
            }
            2 | 3 => {
                let texts = [random.text(), random.text()];
                let [before, after] =
                    [&task.texts, &texts].map(|it| Text { title: &it[0], description: &it[1] });
                contents.update_text(id, before, after);
                task.texts = texts;
            }
            _ => {
                let after = random.facets(task.facets.project);
                // Now and then a clock that was set back.
                let at = self.now - if random.below(20) == 0 { 50 } else { 0 };
                contents.update(id, &task.facets, &after, at);
                task.values.updated = task.values.updated.max(at);
                task.facets = after;
            }
        }
    }

    fn some_id(&mut self) -> Option<u128> {
        let last = *self.model.keys().next_back()?;
        let from = self.random.below(last as usize + 1) as u128;
        self.model.range(from..).next().map(|(id, _)| *id)
    }

    fn filter(&mut self) -> Filter<'static> {
        let random = &mut self.random;
        let mut some = |from: &[&'static str]| -> Vec<&'static str> {
            match random.below(3) {
                0 => from.iter().copied().filter(|_| random.below(2) == 0).collect(),
                _ => Vec::new(),
            }
        };
        let (projects, assignees, tags) = (some(&PROJECTS), some(&PEOPLE), some(&TAGS));
        let allowed = some(&PROJECTS);
        let mut ranks = || (0..4).filter(|_| random.below(3) == 0).collect::<Vec<u8>>();
        let (statuses, priorities) = (ranks(), ranks());
        let mut filter = Filter { projects, assignees, tags, statuses, priorities, ..Filter::default() };
        filter.allowed = if random.below(4) == 0 { vec![allowed] } else { Vec::new() };
        filter.ready = [None, None, None, Some(true), Some(false)][random.below(5)];
        // Often hardly any filter, so that many match.
        match random.below(3) {
            0 => filter,
            1 => Filter { statuses: filter.statuses, ..Filter::default() },
            _ => Filter::default(),
        }
    }

    /// Reads some pages of a random list.
    fn compare(&mut self) {
        let filter = self.filter();
        let wanted =
            ["fix", "FIX", "the err", "error", "gross", "web-1", "api-12", "登录", "录", "%", "none such"];
        let search = match self.random.below(3) {
            0 => Some(Search::new(wanted[self.random.below(wanted.len())])),
            _ => None,
        };
        let sort = [Sort::Created, Sort::Updated, Sort::Priority, Sort::Status][self.random.below(4)];
        let descending = self.random.below(2) == 0;
        let limit = 1 + self.random.below(40);
        let found = self.model.values().filter(|task| task.passes(&filter, search.as_ref()));
        let mut expected: Vec<_> = found.map(|task| task.key(sort)).collect();
        expected.sort_unstable();
        if descending {
            expected.reverse();
        }
        let mut after = None;
        for _ in 0..4 {
            let page = Page { sort, descending, after, limit };
            let ids = self.contents.page(&filter, search.as_ref(), page);
            let rest = match after {
                None => &expected[..],
                Some(after) => {
                    let is_seen = |key: &(i64, u128)| if descending { *key >= after } else { *key <= after };
                    &expected[expected.partition_point(is_seen)..]
                }
            };
            let expected: Vec<_> = rest.iter().take(limit).map(|key| key.1).collect();
            assert_eq!(ids, expected, "{page:?} {filter:?} {search:?}");
            // Sometimes from a task that no longer stands there, as when it has changed between two pages.
            after = match (self.random.below(3), rest.get(limit - 1)) {
                (0, _) => Some((
                    self.random.below(4 + self.now as usize) as i64,
                    self.random.below(5_000_000) as u128,
                )),
                (_, Some(last)) => Some(*last),
                _ => return,
            };
        }
    }
}

#[test]
fn pages_are_those_of_the_model_after_any_changes() {
    let mut both = Both::new(1);
    both.load(500);
    for round in 0..1_500 {
        both.change();
        if round % 3 == 0 {
            let id = both.model.keys().next_back().map_or(100, |last| last + 100);
            both.create(id);
        }
        both.compare();
        assert_eq!(both.contents.len(), both.model.len() as u64);
        assert_eq!(both.contents.ordered(), both.model.len(), "what was deleted has left the order");
    }
}

#[test]
fn pages_are_those_of_the_model_when_so_many_match_that_the_order_is_walked() {
    let mut both = Both::new(2);
    both.load(14_000);
    for _ in 0..60 {
        (0..50).for_each(|_| both.change());
        both.compare();
        both.compare();
    }
}

#[test]
fn pages_are_those_of_the_model_when_a_clock_was_set_back() {
    let mut both = Both::new(3);
    // And a table whose numbers were given in another order.
    both.load_numbered(300, |number| 2_000 - number);
    for round in 0..600_u128 {
        both.change();
        if round % 4 == 0 {
            // Between those that are there, and with an older time.
            both.now -= 20;
            both.create(round * 50 + 7);
        }
        both.compare();
    }
}
