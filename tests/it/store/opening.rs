//! Opening: one hub a directory, and nothing that is not its own.

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
