//! A page of tasks that may have to be looked for among many rows, in slices, and that is still exact.
//!
//! The list walks along indexes, from row to row, and keeps the ids of the best rows that match. Rows may change between two
//! slices. So each slice also notes which tasks the log names since the slice before, and at the end the list looks at these
//! again. The page is complete when, in one committed state, no walk and no such task is left: it then shows this state,
//! as if one query had read it. Every change of a task's row has an event in the log, which the service guarantees.
//!
//! A page whose rows were changed away while it was looked for is shorter than its limit, and its `next` goes on from the
//! last row that is known.
//!
//! [`TaskList::is_short`] lists need at most a page of rows. One query answers them, in the first slice.

use std::collections::{HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::id::TaskId;
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};
use crate::domain::project::ProjectName;
use crate::domain::task::Task;

use super::StoreError;
use super::conditions::Conditions;
use super::reader::View;
use super::slices::Slice;
use super::tasks::{PAGE_BYTES_MAX, column, conditions};

/// How many rows more than a page the list knows, so that a page seldom is short because rows changed.
const SPARE: usize = 32;
/// How often the list begins again because retention has removed events that it needed. Then it reads in one transaction.
const RESTARTS_MAX: u32 = 2;

/// A page of tasks, and the key of the next page if there is one.
type Page = (Vec<Task>, Option<PageKey>);

/// What a list is sorted by.
type Key = (i64, Uuid);

/// A list that is being looked for.
#[derive(Debug)]
pub struct TaskList {
    query: TaskQuery,
    search: Option<Search>,
    restarts: u32,
}

#[derive(Debug)]
struct Search {
    walks: Vec<Walk>,
    found: Found,
    /// The tasks that the log names since the first slice and that the list has not looked at again.
    changed: HashSet<Uuid>,
    /// The last event that the list has read.
    seen: u64,
}

/// A walk along an index on `(created_at, id)`, with its conditions.
#[derive(Debug)]
struct Walk {
    project: Option<ProjectName>,
    /// The last row that it has looked at.
    position: Option<Key>,
    hits: usize,
    ended: bool,
}

/// The best rows so far.
#[derive(Debug)]
struct Found {
    keys: HashMap<Uuid, i64>,
    order: SortOrder,
    /// The most rows that are worth keeping.
    wanted: usize,
    /// Every matching row up to here is among `keys`. `None`: every matching row is.
    known: Option<Key>,
}

impl TaskList {
    pub fn new(query: TaskQuery) -> Self {
        Self { query, search: None, restarts: 0 }
    }

    /// Goes on until the page is complete or the slice is over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn go_on(&mut self, view: &View<'_>, slice: &Slice<'_>) -> Result<Option<Page>, StoreError> {
        if self.is_short(view.allowed()) {
            return view.tasks(&self.query).map(Some);
        }
        let head = view.head()?.seq;
        if let Some(search) = &self.search
            && view.oldest()? > search.seen + 1
        {
            (self.search, self.restarts) = (None, self.restarts + 1);
        }
        let is_over = || self.restarts < RESTARTS_MAX && slice.is_over();
        let query = &self.query;
        let search = self.search.get_or_insert_with(|| Search::new(query, view.allowed(), head));
        search.note_changes(view, head)?;
        match search.walk(query, view, is_over)? && search.look_again(query, view, is_over)? {
            true => search.page(query, view).map(Some),
            false => Ok(None),
        }
    }

    /// Whether one query answers the list without looking at many rows that do not match.
    fn is_short(&self, allowed: &AllowedProjects) -> bool {
        let TaskQuery { filter, text, sort, .. } = &self.query;
        let walks_along_one_index = *sort == TaskSort::CreatedAt
            && text.is_none()
            && filter.ready != Some(false)
            && filter.statuses.is_empty()
            && filter.priorities.is_empty()
            && filter.assignees.is_empty()
            && filter.tags.is_empty()
            && match (filter.projects.len(), allowed.names()) {
                (0, None) => true,
                (0, Some(names)) => names.len() == 1,
                (count, _) => count == 1,
            };
        !filter.keys.is_empty() || walks_along_one_index
    }
}

impl Search {
    fn new(query: &TaskQuery, allowed: &AllowedProjects, head: u64) -> Self {
        let of = |project| Walk { project, position: None, hits: 0, ended: false };
        let asked = &query.filter.projects;
        let may = |name: &&ProjectName| allowed.allow(name);
        let walks = match (asked.is_empty(), allowed.names()) {
            (true, None) => vec![of(None)],
            (true, Some(names)) => names.iter().cloned().map(Some).map(of).collect(),
            (false, _) => {
                let distinct: HashSet<_> = asked.iter().filter(may).cloned().collect();
                distinct.into_iter().map(Some).map(of).collect()
            }
        };
        let found =
            Found { keys: HashMap::new(), order: query.order, wanted: query.limit + 1 + SPARE, known: None };
        Self { walks, found, changed: HashSet::new(), seen: head }
    }

    fn note_changes(&mut self, view: &View<'_>, head: u64) -> Result<(), StoreError> {
        if self.seen < head {
            self.changed.extend(view.tasks_named_after(self.seen)?);
            self.seen = head;
        }
        Ok(())
    }

    /// Answers whether all walks are at their ends.
    fn walk(
        &mut self,
        query: &TaskQuery,
        view: &View<'_>,
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let ordered = query.sort == TaskSort::CreatedAt;
        for walk in self.walks.iter_mut().filter(|walk| !walk.ended) {
            let (sql, values) = walk.select(query, &view.allowed);
            let mut statement = view.conn.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                let id: Uuid = row.get(1)?;
                walk.position = Some((row.get(0)?, id));
                if row.get(3)? {
                    self.found.add((row.get(2)?, id));
                    walk.hits += 1;
                }
                if ordered && walk.hits > query.limit {
                    // What follows is behind the page.
                    self.found.know_up_to((row.get(0)?, id));
                    walk.ended = true;
                    break;
                }
                if is_over() {
                    return Ok(false);
                }
            }
            walk.ended = true;
        }
        Ok(true)
    }

    /// Looks again at the tasks that have changed. Answers whether it has looked at all of them.
    fn look_again(
        &mut self,
        query: &TaskQuery,
        view: &View<'_>,
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StoreError> {
        if self.changed.is_empty() {
            return Ok(true);
        }
        let all = conditions(query, &view.allowed);
        let sql = format!("SELECT {}, ({}) FROM tasks WHERE id = ?", column(query.sort), all.expression());
        let mut statement = view.conn.prepare_cached(&sql)?;
        while let Some(id) = self.changed.iter().next().copied() {
            let values = all.values.iter().cloned().chain([Value::Blob(id.as_bytes().to_vec())]);
            let row = statement.query_row(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)));
            self.found.keys.remove(&id);
            if let Some((key, true)) = row.optional()? {
                self.found.add((key, id));
            }
            self.changed.remove(&id);
            if is_over() {
                return Ok(self.changed.is_empty());
            }
        }
        Ok(true)
    }

    /// The rows of the page, which the search has found in the state of `view`.
    fn page(&mut self, query: &TaskQuery, view: &View<'_>) -> Result<Page, StoreError> {
        self.found.forget_unknown();
        let sorted = self.found.sorted();
        let (mut tasks, mut bytes, mut last) = (Vec::new(), 0, None);
        for &(key, id) in sorted.iter().take(query.limit) {
            if bytes >= PAGE_BYTES_MAX {
                break;
            }
            let id = TaskId::from_uuid(id);
            let gone = || StoreError::Corrupt(format!("no task {id}, which a list has just found"));
            let task = view.task(id)?.ok_or_else(gone)?;
            bytes += task.weight();
            tasks.push(task);
            last = Some((key, id));
        }
        let key = |(key, id)| PageKey { sort: query.sort, order: query.order, key, id };
        let next = if tasks.len() < sorted.len() {
            last.map(key)
        } else {
            // All that is known is on the page.
            self.found.known.map(|(known, id)| key((known, TaskId::from_uuid(id))))
        };
        Ok((tasks, next))
    }
}

impl Walk {
    /// The rows of the walk from where it is: the key of the walk, the key of the list, and whether the row matches.
    fn select(&self, query: &TaskQuery, allowed: &AllowedProjects) -> (String, Vec<Value>) {
        let all = conditions(query, allowed);
        let mut walk = Conditions::of_walk(self.project.as_ref(), query.filter.ready);
        let ordered = query.sort == TaskSort::CreatedAt;
        let order = if ordered { query.order } else { SortOrder::Ascending };
        let first = query.after.as_ref().filter(|_| ordered).map(|after| (after.key, after.id.uuid()));
        let (after, direction) = match order {
            SortOrder::Ascending => (">", "ASC"),
            SortOrder::Descending => ("<", "DESC"),
        };
        if let Some((key, id)) = self.position.or(first) {
            let id = Value::Blob(id.as_bytes().to_vec());
            walk.add(&format!("(created_at, id) {after} (?, ?)"), [Value::Integer(key), id]);
        }
        let sql = format!(
            "SELECT created_at, id, {}, ({}) FROM tasks {} ORDER BY created_at {direction}, id {direction}",
            column(query.sort),
            all.expression(),
            walk.clause(),
        );
        (sql, all.values.into_iter().chain(walk.values).collect())
    }
}

impl Found {
    fn add(&mut self, (key, id): Key) {
        if self.known.is_some_and(|known| self.is_before(known, (key, id))) {
            return;
        }
        self.keys.insert(id, key);
        if self.keys.len() >= 2 * self.wanted {
            let last = self.sorted()[self.wanted - 1];
            self.know_up_to(last);
            self.forget_unknown();
        }
    }

    fn know_up_to(&mut self, key: Key) {
        self.known = Some(match self.known {
            Some(known) if self.is_before(known, key) => known,
            _ => key,
        });
    }

    fn forget_unknown(&mut self) {
        if let Some(known) = self.known {
            let order = self.order;
            self.keys.retain(|&id, &mut key| !before(order, known, (key, id)));
        }
    }

    fn is_before(&self, one: Key, other: Key) -> bool {
        before(self.order, one, other)
    }

    /// In the order of the list.
    fn sorted(&self) -> Vec<Key> {
        let mut sorted: Vec<_> = self.keys.iter().map(|(&id, &key)| (key, id)).collect();
        sorted.sort_unstable();
        if self.order == SortOrder::Descending {
            sorted.reverse();
        }
        sorted
    }
}

fn before(order: SortOrder, one: Key, other: Key) -> bool {
    match order {
        SortOrder::Ascending => one < other,
        SortOrder::Descending => one > other,
    }
}

/// The statements by which a list that is not short begins.
#[cfg(test)]
pub(super) fn statements(query: &TaskQuery, allowed: &AllowedProjects) -> Vec<(String, Vec<Value>)> {
    let search = Search::new(query, allowed, 0);
    search.walks.iter().map(|walk| walk.select(query, allowed)).collect()
}
