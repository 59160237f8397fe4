//! How an execution ends: as its script does, in time or not, and what is said when it could not even start.

use super::*;

#[test]
fn the_way_a_script_ends_is_the_way_its_execution_ends() {
    in_each_kind_of_session(|_, hub| {
        assert_eq!(outcome(&hub, "exit 0"), (Completed, Some(0), String::new()));
        assert_eq!(outcome(&hub, "exit 7"), (Failed, Some(7), "exit code 7".into()));
        assert_eq!(outcome(&hub, "kill -9 $$"), (Failed, None, "killed by signal 9 (KILL)".into()));
        assert_eq!(
            outcome(&hub, "#!/usr/bin/env sh\n[ $# = 0 ] || exit 9"),
            (Completed, Some(0), String::new())
        );
        let (status, code, reason) = outcome(&hub, "#!/nowhere/interpreter\n");
        assert_eq!((status, code), (Failed, None));
        assert!(reason.starts_with("could not start: the interpreter"), "{reason}");
    });
}

#[test]
fn what_takes_too_long_is_timed_out() {
    in_each_kind_of_session(|_, hub| {
        let started = Instant::now();
        let task = hub.request("sleep 1000", r#"{"timeout_seconds":1}"#);
        assert_eq!(hub.ends(task), (TimedOut, None, "did not end within 1 s".into()));
        assert!(started.elapsed() >= Duration::from_secs(1));
    });
}

#[test]
fn a_background_process_that_holds_the_pipe_holds_up_nothing() {
    in_each_kind_of_session(|_, hub| {
        let started = Instant::now();
        assert_eq!(outcome(&hub, "sleep 1000 & echo done").0, Completed);
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn what_cannot_be_started_fails_and_says_why() {
    for (shim_program, expected) in [("/nowhere/taskhub", "No such file"), ("/bin/false", "exit status: 1")] {
        let directory = tempfile::tempdir().expect("a directory");
        let hub = Hub::tuned(directory.path(), &config(), |it| it.shim_program = shim_program.into());
        let (status, code, reason) = outcome(&hub, "true");
        assert_eq!((status, code), (Failed, None));
        assert!(reason.starts_with("could not start: ") && reason.contains(expected), "{reason}");
        wait_for("its directory to go", || (!directory.path().join("executions/1").exists()).then_some(()));
    }
}

#[test]
fn a_shim_that_cannot_even_complain_ends_in_order() {
    // As on a full disk: every write to it fails.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut shim = std::process::Command::new(env!("CARGO_BIN_EXE_taskhub"));
    let status = shim.args(["shim", "/nowhere"]).stderr(full).status().expect("ran");
    assert_eq!(status.code(), Some(1));
}
