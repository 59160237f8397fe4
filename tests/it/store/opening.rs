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

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_the_first_schema_goes_on_and_its_old_events_count_for_no_bytes() {
    let directory = directory();
    let first = Running::open(&directory);
    first.announce().await;
    first.close().await;
    // As the first version left it.
    let old = rusqlite::Connection::open(directory.path().join(DATABASE)).expect("it opens");
    old.execute_batch(
        "DELETE FROM refinery_schema_history WHERE version > 1;
         ALTER TABLE events DROP COLUMN bytes_before;
         ALTER TABLE log DROP COLUMN bytes;",
    )
    .expect("undone");
    old.close().expect("closed");

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
