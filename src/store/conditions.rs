//! The conditions of a query over tasks, as SQL and its values.

use rusqlite::types::Value;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::filter::FacetFilter;
use crate::domain::id::TaskId;
use crate::domain::project::ProjectName;
use crate::domain::task::{PriorityFilter, TaskKey};
use crate::domain::text::NOBODY;

/// The conditions of a WHERE clause, and the values of their `?` marks.
#[derive(Default)]
pub(super) struct Conditions {
    all: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    pub fn of(filter: &FacetFilter) -> Self {
        let mut conditions = Self::default();
        conditions.one_of("project", texts(&filter.projects));
        conditions.only(&filter.allowed);
        conditions.keys(&filter.keys);
        if let Some(ready) = filter.ready {
            // The word for word condition of the indices.
            conditions.add(if ready { "ready = 1" } else { "ready = 0" }, []);
        }
        conditions.one_of("status", texts(&filter.statuses));
        conditions
            .one_of(&format!("coalesce(priority, '{}')", PriorityFilter::None), texts(&filter.priorities));
        conditions.one_of(&format!("coalesce(assignee, '{NOBODY}')"), texts(&filter.assignees));
        let tags = texts(&filter.tags);
        if !tags.is_empty() {
            let marks = marks(&tags);
            conditions.add(&format!("EXISTS (SELECT 1 FROM json_each(tags) WHERE value IN ({marks}))"), tags);
        }
        conditions
    }

    pub fn add(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.all.push(condition.to_owned());
        self.values.extend(values);
    }

    /// The conditions that an index in the order of creation can use.
    pub fn of_walk(project: Option<&ProjectName>, ready: Option<bool>) -> Self {
        let mut conditions = Self::default();
        if let Some(project) = project {
            conditions.add("project = ?", [Value::Text(project.to_string())]);
        }
        if ready == Some(true) {
            // The word for word condition of the indices.
            conditions.add("ready = 1", []);
        }
        conditions
    }

    /// An empty list adds no condition.
    pub fn keys(&mut self, keys: &[TaskKey]) {
        if !keys.is_empty() {
            let pairs = vec!["(?, ?)"; keys.len()].join(", ");
            let values = keys
                .iter()
                .flat_map(|key| [Value::Text(key.project.to_string()), Value::Integer(key.number)]);
            self.add(&format!("(project, number) IN (VALUES {pairs})"), values);
        }
    }

    /// An empty list adds no condition.
    pub fn ids(&mut self, ids: &[TaskId]) {
        self.one_of("id", ids.iter().map(|id| Value::Blob(id.uuid().as_bytes().to_vec())).collect());
    }

    /// An empty list adds no condition.
    fn one_of(&mut self, column: &str, wanted: Vec<Value>) {
        if !wanted.is_empty() {
            let marks = marks(&wanted);
            self.add(&format!("{column} IN ({marks})"), wanted);
        }
    }

    pub fn only(&mut self, allowed: &AllowedProjects) {
        if let Some(names) = allowed.names() {
            let names = texts(names);
            // Also an empty list is a condition: nothing is allowed.
            self.add(&format!("project IN ({})", marks(&names)), names);
        }
    }

    pub fn clause(&self) -> String {
        match self.all.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.expression()),
        }
    }

    /// Whether a row matches, as a value.
    pub fn expression(&self) -> String {
        match self.all.is_empty() {
            true => "1".to_owned(),
            false => self.all.join(" AND "),
        }
    }
}

fn marks(values: &[Value]) -> String {
    vec!["?"; values.len()].join(", ")
}

fn texts<T: ToString>(list: &[T]) -> Vec<Value> {
    list.iter().map(|it| Value::Text(it.to_string())).collect()
}
