//! Starting: one clear line when it cannot be, an exit code that says so, and nothing touched.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{BINARY, HubProcess};

fn start(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().expect("the binary runs")
}

/// Asserts a failure told in one line, and answers the line.
fn refusal(arguments: &[&str]) -> String {
    let output = start(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(told.trim_end().lines().count(), 1, "{told}");
    assert!(output.stdout.is_empty());
    told
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_and_nothing_is_made() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let told = refusal(&["--listen", &address, "--data-dir", text(&data)]);
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_data_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = HubProcess::start(directory.path(), &[]).await;
    let told = refusal(&["--listen", "127.0.0.1:0", "--data-dir", text(directory.path())]);
    assert!(told.contains("another TaskHub") && told.contains("--data-dir"), "{told}");
    assert_eq!(first.client.get("/ready").await.status, 200);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let below = file.path().join("data");
    let told = refusal(&["--listen", "127.0.0.1:0", "--data-dir", text(&below)]);
    assert!(told.contains("data directory") && told.contains("--data-dir"), "{told}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("taskhub.db");
    std::fs::write(
        &database,
        "this is not a database, and it is longer than a header of SQLite. ".repeat(20),
    )
    .expect("written");
    let before = std::fs::read(&database).expect("read");
    let told = refusal(&["--listen", "127.0.0.1:0", "--data-dir", text(directory.path())]);
    assert!(told.contains("not a TaskHub database"), "{told}");
    assert_eq!(std::fs::read(&database).expect("read"), before);
}

#[test]
fn an_address_that_others_can_reach_is_refused_unless_it_is_asked_for_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = refusal(&["--listen", "0.0.0.0:0", "--data-dir", text(directory.path())]);
    assert!(told.contains("--insecure-no-auth"), "{told}");
}

#[test]
fn sessions_that_cannot_be_had_are_refused_with_advice() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, deep) = (directory.path().join("data"), directory.path().join("x".repeat(90)));
    for (path, data, words) in
        [("/nowhere", &data, "apt-get install tmux"), ("/usr/bin:/bin", &deep, "too long")]
    {
        let arguments = ["--listen", "127.0.0.1:0", "--sessions", "tmux", "--data-dir", text(data)];
        let output =
            Command::new(BINARY).args(arguments).env("PATH", path).output().expect("the binary runs");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && told.trim_end().lines().count() == 1, "{told}");
        assert!(told.contains(words) && told.contains("--sessions process"), "{told}");
    }
}

#[test]
fn the_specification_is_printed_without_a_hub() {
    let output = start(&["openapi"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), taskhub::api::spec::json());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("a/b");
    let hub = HubProcess::start(&data, &[]).await;
    assert_eq!(hub.client.get("/health").await.status, 200);
    let mode = std::fs::metadata(&data).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
