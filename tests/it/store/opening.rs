//! Opening: one hub a directory, and nothing that is not its own.

use taskhub::domain::allowed_projects::AllowedProjects;
use taskhub::domain::project::ProjectName;
use taskhub::domain::token::Actor;
use taskhub::store::ExecutionPage;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused_and_free_again_afterwards() {
    let directory = directory();
    let running = Running::open(&directory);
    assert!(matches!(open(directory.path()), Err(OpenError::InUse(_))));
    assert_eq!(running.announce().await, 1, "the first is not disturbed");
    running.close().await;
    let unstarted = open(directory.path()).expect("it is free");
    assert_eq!(unstarted.end.head, 1);
    assert!(matches!(open(directory.path()), Err(OpenError::InUse(_))));
    drop(unstarted);
    Running::open(&directory).close().await;
}

/// A database with a few rows, closed, as bytes.
async fn closed_database(directory: &TempDir) -> Vec<u8> {
    let running = Running::open(directory);
    running.announce().await;
    running.insert(&task(json!({ "title": "t" }), 1)).await;
    running.close().await;
    std::fs::read(directory.path().join(DATABASE)).expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    let directory = directory();
    let path = directory.path().join(DATABASE);
    let mut other = closed_database(&directory).await;
    // Bytes 68 to 71 of SQLite's header name the application.
    other[68..72].copy_from_slice(b"Evil");
    let text = b"Dear diary, nobody will take this for a database.\n".repeat(30);
    for foreign in [other, text] {
        std::fs::write(&path, &foreign).expect("written");
        assert!(matches!(open(directory.path()), Err(OpenError::Foreign(_))));
        assert!(std::fs::read(&path).expect("it is there") == foreign, "the file was changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_refused_and_left_as_it_is() {
    let directory = directory();
    let path = directory.path().join(DATABASE);
    let whole = closed_database(&directory).await;
    // The schema, and every page but that of the schema.
    for range in [100..4096, 4096..whole.len()] {
        let mut damaged = whole.clone();
        damaged[range.clone()].fill(0xa5);
        std::fs::write(&path, &damaged).expect("written");
        let refused = open(directory.path());
        assert!(matches!(refused, Err(OpenError::Damaged(_))), "{range:?}: {refused:?}");
        assert!(std::fs::read(&path).expect("it is there") == damaged, "the file was changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let directory = directory();
    let path = directory.path().join(DATABASE);
    closed_database(&directory).await;
    let forger = rusqlite::Connection::open(&path).expect("it opens");
    forger
        .execute_batch("UPDATE refinery_schema_history SET version = 9999 WHERE version = 1")
        .expect("forged");
    forger.close().expect("closed");
    let before = std::fs::read(&path).expect("it is there");
    let refused = open(directory.path());
    assert!(matches!(refused, Err(OpenError::NewerSchema { found: 9999, known, .. }) if known < 9999));
    assert!(std::fs::read(&path).expect("it is there") == before, "the file was changed");
}

/// A database as the first version made it, with one event in its log.
async fn database_of_the_first_version(directory: &TempDir) {
    closed_database(directory).await;
    let path = directory.path().join(DATABASE);
    let new = rusqlite::Connection::open(&path).expect("it opens");
    let application_id: i32 =
        new.query_row("PRAGMA application_id", (), |row| row.get(0)).expect("it has one");
    let history = "SELECT name, applied_on, checksum FROM refinery_schema_history WHERE version = 1";
    let first: [String; 3] = new
        .query_row(history, (), |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .expect("the first migration was made");
    new.close().expect("closed");
    std::fs::remove_file(&path).expect("removed");
    // The first version made none.
    std::fs::remove_file(directory.path().join("taskhub.mark")).expect("removed");

    let old = rusqlite::Connection::open(&path).expect("it opens");
    old.execute_batch(include_str!("../../../src/store/migrations/V1__tasks_and_log.sql")).expect("made");
    old.execute_batch(
        "CREATE TABLE refinery_schema_history
             (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));
         INSERT INTO events (seq, at, kind, body) VALUES (1, 0, 'announcement', x'7b7d');
         UPDATE log SET head = 1;",
    )
    .expect("filled");
    old.pragma_update(None, "application_id", application_id).expect("marked");
    old.execute("INSERT INTO refinery_schema_history VALUES (1, ?1, ?2, ?3)", first).expect("remembered");
    old.close().expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_the_first_version_goes_on_and_its_old_events_count_for_no_bytes() {
    let directory = directory();
    database_of_the_first_version(&directory).await;
    let second = Running::open(&directory);
    assert_eq!((second.end.head, second.end.bytes), (1, 0));
    second.announce().await;
    let log = second.log().await;
    assert_eq!(log.iter().map(|event| (event.seq, event.bytes_before)).collect::<Vec<_>>(), [(1, 0), (2, 0)]);
    second.close().await;
    let third = Running::open(&directory);
    assert_eq!((third.end.head, third.end.bytes), (2, log[1].body.len() as u64));
    third.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_a_key_is_answered_again_after_an_upgrade() {
    let directory = directory();
    database_of_the_first_version(&directory).await;
    let [kept, removed] = [TaskId::generate(), TaskId::generate()];
    let old = rusqlite::Connection::open(directory.path().join(DATABASE)).expect("it opens");
    old.execute(
        "INSERT INTO tasks VALUES (?1, 't', '', 'todo', 0, NULL, 0, NULL, '[]', '[]', NULL, 1, 0, 0)",
        [kept.uuid()],
    )
    .expect("a task");
    for (key, id) in [("kept", kept), ("removed", removed)] {
        let answer = json!({
            "id": id, "title": "t", "description": "", "status": "todo", "priority": null, "assignee": null,
            "tags": [], "artifacts": [], "script": null, "version": 1, "created_at": "1970-01-01T00:00:00.000Z",
            "updated_at": "1970-01-01T00:00:00.000Z",
        });
        old.execute("INSERT INTO idempotency VALUES (?1, x'00', ?2, 0)", (key, answer.to_string()))
            .expect("an answer");
    }
    old.close().expect("closed");
    let running = Running::open(&directory);
    let earlier = |key: &'static str| running.read(move |view| view.repetition::<Task>(key));
    let answer = earlier("kept").await.and_then(|earlier| earlier.answer).expect("an answer");
    assert_eq!((answer.id, answer.key.to_string().as_str()), (kept, "default-1"));
    assert!(earlier("removed").await.is_none(), "its task is no more");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_of_the_first_version_get_the_project_of_their_task_as_far_as_it_is_known() {
    let directory = directory();
    database_of_the_first_version(&directory).await;
    let [kept, removed] = [TaskId::generate(), TaskId::generate()];
    let old = rusqlite::Connection::open(directory.path().join(DATABASE)).expect("it opens");
    old.execute(
        "INSERT INTO tasks VALUES (?1, 't', '', 'todo', 0, NULL, 0, NULL, '[]', '[]', NULL, 1, 0, 0)",
        [kept.uuid()],
    )
    .expect("a task");
    for (number, task) in [(1, kept), (2, removed)] {
        let values = (ExecutionId::generate().uuid(), number, task.uuid());
        old.execute(
            "INSERT INTO executions VALUES (?1, ?2, ?3, 'completed', 0, NULL, 1, 0, NULL, 0, 0, 0)",
            values,
        )
        .expect("an execution");
    }
    old.close().expect("closed");

    let running = Running::open(&directory);
    let found = |allowed: AllowedProjects| {
        let query = ExecutionQuery { limit: 9, ..ExecutionQuery::default() };
        let store = running.store.acting_as(Actor { projects: allowed, ..Actor::default() });
        async move { store.read(move |view| view.executions(&query)).await }
    };
    let tasks = |(page, _): ExecutionPage| page.iter().map(|it| it.task_id).collect::<Vec<_>>();
    assert_eq!(tasks(found(AllowedProjects::default()).await.expect("a page")), [removed, kept]);
    let bound = AllowedProjects::only(vec![ProjectName::default()]);
    assert_eq!(tasks(found(bound).await.expect("a page")), [kept], "nobody knows the other's project");
    let other = AllowedProjects::only(vec!["other".parse().expect("a name")]);
    assert_eq!(tasks(found(other).await.expect("a page")), []);
    running.close().await;
}
