//! Scripts that meddle with what the hub and the shim have written, and directories that are copied or moved.

use std::fs;
use std::process::Command;

use super::*;

fn sh(script: &str, arguments: &[&Path]) {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments);
    assert!(command.status().expect("sh runs").success(), "{script}");
}

#[test]
fn a_script_that_removes_everything_around_it_ends_as_it_says() {
    in_each_kind_of_session(|_, hub| {
        for meddling in ["rm ../lock", "rm -rf ../* 2>/dev/null", "rm ../lock; mkfifo ../lock"] {
            let task = hub.run(&format!("{meddling}; sleep 0.7; exit 7"));
            assert_eq!(hub.ends(task), (Failed, Some(7), "exit code 7".into()), "{meddling}");
        }
    });
}

#[test]
fn a_stop_reaches_a_script_that_has_removed_everything_around_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(directory.path());
    let task = hub.run("rm -rf ../lock ../pid; echo $$ >main; sleep 1000");
    let main = hub.note(task, "main");
    hub.stop_task(task);
    assert_eq!(hub.ends(task).0, Stopped);
    assert!(!is_alive(&main));
}

#[test]
fn what_lies_in_the_place_of_later_executions_costs_no_slot() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = ExecutorConfig { executions_max: Some(1), ..config() };
    let hub = Hub::with(directory.path(), &config);
    let script = "cd ../..; mkdir 2 3 999; mkfifo 2/lock 3/lock 999/lock; mkdir 4; mkdir 4/lock; : >5";
    assert_eq!(hub.ends(hub.run(script)).0, Completed);
    for _ in 0..5 {
        assert_eq!(hub.ends(hub.run("true")), (Completed, Some(0), String::new()));
    }
    hub.stop();
    let hub = Hub::with(directory.path(), &config);
    assert_eq!(hub.ends(hub.run("true")).0, Completed);
}

#[test]
fn a_hub_on_a_copy_leaves_the_originals_executions_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let (original, copy) = (place.path().join("a"), place.path().join("b"));
    fs::create_dir(&original).expect("made");
    let hub = Hub::start(&original);
    let task = hub.run("echo $$ >main; while [ ! -e go ]; do sleep 0.05; done; exit 7");
    let main = hub.note(task, "main");
    sh("cp -a \"$1\" \"$2\"", &[&original, &copy]);
    let other = Hub::start(&copy);
    assert_eq!(other.ends(task).0, Lost);
    assert!(is_alive(&main));
    other.stop();
    fs::write(original.join("executions/1/work/go"), "").expect("written");
    assert_eq!(hub.ends(task), (Failed, Some(7), "exit code 7".into()));
}

#[test]
fn a_directory_that_is_moved_takes_its_executions_along() {
    let place = tempfile::tempdir().expect("a directory");
    let (before, after) = (place.path().join("a"), place.path().join("b"));
    fs::create_dir(&before).expect("made");
    let hub = Hub::start(&before);
    let task =
        hub.run("echo first; echo $$ >main; while [ ! -e go ]; do sleep 0.05; done; echo last; exit 7");
    hub.note(task, "main");
    hub.crash();
    fs::rename(&before, &after).expect("moved");
    fs::write(after.join("executions/1/work/go"), "").expect("written");
    let hub = Hub::start(&after);
    assert_eq!(hub.ends(task), (Failed, Some(7), "exit code 7".into()));
    assert_eq!(hub.log(task), b"first\nlast\n");
}

#[test]
fn a_log_that_is_removed_while_it_is_written_is_put_back() {
    in_each_kind_of_session(|directory, hub| {
        for meddling in ["rm ../../../logs/*", "rm -r ../../../logs", "mv ../../../logs moved"] {
            let task = hub.run(&format!("echo first; sleep 0.2; {meddling}; echo last"));
            assert_eq!(hub.ends(task).0, Completed, "{meddling}");
            assert_eq!(hub.log(task), b"first\nlast\n", "{meddling}");
        }
        fs::remove_dir_all(directory.path().join("logs")).expect("there");
        assert_eq!(hub.ends(hub.run("true")).0, Completed);

        // Also long before the end, and again: of a script that says nothing, too.
        let task = hub.run("echo first; echo $$ >main; while [ ! -e go ]; do sleep 0.05; done; echo last");
        hub.note(task, "main");
        let log = directory.path().join("logs/task-5.log");
        for _ in 0..2 {
            fs::remove_file(&log).expect("there");
            wait_for("the log", || (fs::read(&log).ok()? == b"first\n").then_some(()));
        }
        fs::write(directory.path().join("executions/5/work/go"), "").expect("written");
        assert_eq!(hub.ends(task).0, Completed);
        assert_eq!(hub.log(task), b"first\nlast\n");
    });
}

#[test]
fn what_has_lost_every_mark_of_its_execution_does_not_survive_its_shim() {
    in_each_kind_of_session(|_, hub| {
        let script = "echo $PPID >shim; env -i sleep 1000 & echo $! >bare; echo $$ >main; wait";
        let task = hub.run(script);
        let [shim, bare, main] = ["shim", "bare", "main"].map(|name| hub.note(task, name));
        sh(&format!("kill -9 {shim}"), &[]);
        assert_eq!(hub.ends(task).0, Lost);
        assert!(!is_alive(&bare) && !is_alive(&main));
    });
}

/// It is no child of that hub, so what it leaves is not either.
#[test]
fn nor_a_shim_that_a_later_hub_has_found() {
    in_each_kind_of_session(|directory, hub| {
        let script = "echo $PPID >shim; env -i setsid sh -c 'echo $$ >bare; exec sleep 1000' >/dev/null 2>&1 </dev/null &
            echo $$ >main; wait; sleep 1000";
        let task = hub.run(script);
        let [shim, bare, main] = ["shim", "bare", "main"].map(|name| hub.note(task, name));
        hub.stop();
        let hub = Hub::start(directory.path());
        // Time for a look at what there is.
        thread::sleep(Duration::from_secs(3));
        sh(&format!("kill -9 {shim}"), &[]);
        assert_eq!(hub.ends(task).0, Lost);
        assert!(!is_alive(&bare) && !is_alive(&main));
    });
}

#[test]
fn a_shim_that_does_nothing_any_more_is_ended_by_the_hub() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(directory.path());
    let task = hub.request("echo $$ >main; kill -STOP $PPID; sleep 1000", r#"{"timeout_seconds":1}"#);
    let main = hub.note(task, "main");
    let (status, _, reason) = hub.ends(task);
    assert_eq!(
        (status, reason),
        (Lost, "the process that watched over it did not react, and was killed".into())
    );
    assert!(!is_alive(&main));
}

#[test]
fn a_shim_that_does_nothing_any_more_is_ended_by_a_later_hub_too() {
    // Asked for, or the default of the hub that has started it.
    for (request, timeout_seconds) in [(r#"{"timeout_seconds":1}"#, 3600), ("{}", 1)] {
        let directory = tempfile::tempdir().expect("a directory");
        let hub = Hub::with(directory.path(), &ExecutorConfig { timeout_seconds, ..config() });
        let task = hub.request("echo $$ >main; kill -STOP $PPID; sleep 1000", request);
        let main = hub.note(task, "main");
        hub.stop();
        let hub = Hub::start(directory.path());
        assert_eq!(hub.ends(task).0, Lost, "{request}");
        assert!(!is_alive(&main));
    }
}

#[test]
fn a_script_from_an_editor_of_another_system_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(directory.path());
    for script in [
        "#!/bin/sh\r\nif true\r\nthen\r\n  exit 7\r\nfi\r\n",
        "\u{feff}#!/bin/sh\nexit 7\n",
        "\u{feff}exit 7\n",
        "#! /usr/bin/env sh\nexit 7\n",
    ] {
        assert_eq!(hub.ends(hub.run(script)), (Failed, Some(7), "exit code 7".into()), "{script:?}");
    }
}
