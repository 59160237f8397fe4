//! Holds the plans of queries that many clients send: SQLite must walk along an index, in order, and stop at the limit.

use rusqlite::{Connection, params_from_iter};

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::filter::FacetFilter;
use crate::domain::id::TaskId;
use crate::domain::page::{PageKey, SortOrder, TaskQuery, TaskSort};

use super::leases::{ClaimFilter, most_pressing};
use super::task_list::statements;
use super::tasks::select;
use super::{open, search};

fn plan(conn: &Connection, sql: &str, values: Vec<rusqlite::types::Value>) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it is prepared");
    let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).expect("a plan");
    steps.collect::<Result<Vec<_>, _>>().expect("text").join("\n")
}

fn list(sort: TaskSort, filter: FacetFilter) -> TaskQuery {
    TaskQuery { filter, text: None, sort, order: SortOrder::Ascending, after: None, limit: 100 }
}

#[test]
fn lists_by_project_ready_and_key_walk_along_an_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let (conn, _locks) = open::prepare(directory.path()).expect("a database");
    let project = || vec!["web".parse().expect("a name")];
    let keys = || vec!["web-1".parse().expect("a key"), "api-2".parse().expect("a key")];
    let all = FacetFilter::default;
    let lists = [
        ("tasks_by_creation", FacetFilter { ..all() }),
        ("tasks_by_project", FacetFilter { projects: project().into(), ..all() }),
        ("tasks_ready", FacetFilter { ready: Some(true), ..all() }),
        ("tasks_ready_by_project", FacetFilter { ready: Some(true), projects: project().into(), ..all() }),
    ];
    for (index, filter) in lists {
        let (sql, values) = select(&list(TaskSort::CreatedAt, filter), &AllowedProjects::default());
        let plan = plan(&conn, &sql, values);
        assert!(plan.contains(&format!("INDEX {index}")), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
    let by_key = FacetFilter { keys: keys().into(), ..all() };
    let (sql, values) = select(&list(TaskSort::CreatedAt, by_key), &AllowedProjects::default());
    let found = plan(&conn, &sql, values);
    assert!(found.contains("INDEX tasks_by_key"), "{sql}\n{found}");
}

#[test]
fn long_lists_walk_along_an_index_from_where_they_were() {
    let directory = tempfile::tempdir().expect("a directory");
    let (conn, _locks) = open::prepare(directory.path()).expect("a database");
    search::register(&conn).expect("registered");
    let names = || vec!["web".parse().expect("a name"), "api".parse().expect("a name")];
    let all = FacetFilter::default;
    for &sort in TaskSort::ALL {
        let lists = [
            ("tasks_by_creation", FacetFilter { tags: vec!["x".parse().expect("a tag")].into(), ..all() }),
            ("tasks_by_project", FacetFilter { projects: names().into(), ..all() }),
            ("tasks_ready", FacetFilter { ready: Some(true), ..all() }),
            ("tasks_ready_by_project", FacetFilter { ready: Some(true), projects: names().into(), ..all() }),
        ];
        for (index, filter) in lists {
            let after = PageKey { sort, order: SortOrder::Ascending, key: 7, id: TaskId::generate() };
            let text = Some("x".to_owned());
            let query = TaskQuery { text, after: Some(after), ..list(sort, filter) };
            for (sql, values) in statements(&query, &AllowedProjects::default()) {
                let plan = plan(&conn, &sql, values);
                assert!(plan.split_whitespace().any(|word| word == index), "{sql}\n{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            }
        }
    }
}

#[test]
fn a_claim_takes_the_first_of_an_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let (conn, _locks) = open::prepare(directory.path()).expect("a database");
    let project = Some("web".parse().expect("a name"));
    for (index, filter) in [
        ("tasks_to_claim", ClaimFilter::default()),
        ("tasks_to_claim_by_project", ClaimFilter { project, ..ClaimFilter::default() }),
    ] {
        let (sql, values) = most_pressing(&filter);
        let plan = plan(&conn, &sql, values);
        assert!(plan.contains(&format!("INDEX {index}")), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}
