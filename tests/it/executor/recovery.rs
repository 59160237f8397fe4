//! Recovery: what the next hub finds running, ended or lost, and that nothing is ever started twice.

use super::*;

#[test]
fn a_hub_that_ends_leaves_executions_running_and_the_next_one_finds_them() {
    for (sessions, crash) in
        [SessionKind::Process, SessionKind::Tmux].into_iter().flat_map(|it| [(it, false), (it, true)])
    {
        let (directory, config) =
            (tempfile::tempdir().expect("a directory"), ExecutorConfig { sessions, ..config() });
        let hub = Hub::with(directory.path(), &config);
        let ending = hub.run("echo $$ >main; sleep 0.5; echo over; exit 5");
        let staying = hub.run("echo $$ >main; sleep 1000");
        let slow = hub.request("echo $$ >main; sleep 1000", r#"{"timeout_seconds":2}"#);
        let pids = [ending, staying, slow].map(|task| hub.note(task, "main"));
        if crash {
            hub.crash()
        } else {
            hub.stop()
        }
        wait_for("a script to end by itself", || (!is_alive(&pids[0])).then_some(()));
        assert!(is_alive(&pids[1]));

        let hub = Hub::with(directory.path(), &config);
        assert_eq!(hub.ends(ending), (Failed, Some(5), "exit code 5".into()));
        assert_eq!(hub.log(ending), b"over\n");
        assert_eq!(hub.ends(slow).0, TimedOut);
        assert_eq!(hub.execution(staying).status, Running);
        hub.stop_task(staying);
        assert_eq!(hub.ends(staying), (Stopped, None, "stopped on request".into()));
        assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
    }
}

#[test]
fn an_execution_whose_shim_was_killed_is_lost_and_its_processes_with_it() {
    for (sessions, restart) in
        [SessionKind::Process, SessionKind::Tmux].into_iter().flat_map(|it| [(it, false), (it, true)])
    {
        let (directory, config) =
            (tempfile::tempdir().expect("a directory"), ExecutorConfig { sessions, ..config() });
        let hub = Hub::with(directory.path(), &config);
        let task = hub.run("echo $PPID >shim; setsid sleep 1000 & echo $! >away; echo $$ >main; wait");
        let [shim, away, main] = ["shim", "away", "main"].map(|name| hub.note(task, name));
        let kill = || std::process::Command::new("kill").args(["-9", &shim]).status().expect("ran");
        let hub = if restart {
            hub.crash();
            assert!(kill().success());
            Hub::with(directory.path(), &config)
        } else {
            assert!(kill().success());
            hub
        };
        let (status, code, reason) = hub.ends(task);
        assert_eq!((status, code), (Lost, None));
        assert!(reason.starts_with("the process that watched over it ended"), "{reason}");
        assert!(!is_alive(&away) && !is_alive(&main));
    }
}

#[test]
fn an_execution_that_was_claimed_and_never_started_is_lost_and_never_started_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { executions_max: Some(1), ..config() });
    let blocker = hub.run("sleep 1000");
    hub.reaches(blocker, Running);
    let task = hub.run("echo ran >>ran");
    let id = hub.execution(task).id;
    hub.runtime.block_on(hub.service.claim_execution(id)).expect("claimed");
    hub.crash();
    let hub = Hub::start(directory.path());
    assert_eq!(hub.ends(task).0, Lost);
    assert!(hub.log(task).is_empty());
    hub.stop_task(blocker);
    assert_eq!(hub.ends(blocker).0, Stopped);
}

/// `shim DIR`, as a hub without a number for its protocol spoke with it: no `terms.json`, and an end without a duration.
const SHIM_OF_BEFORE: &str = r#"#!/bin/sh
cd "$2" || exit 1
exec 9>>lock
flock 9
log=$(sed -n 's/.*"log":"\([^"]*\)".*/\1/p' spec.json)
rm spec.json terms.json
printf %s $$ >pid
(cd work && exec sh ../script 9>&-) >>"$log" 2>&1
code=$?
printf '{"end":"failed","exit_code":%d,"signal":null,"reason":"exit code %d","ended_at_ms":%s000}' \
  $code $code "$(date +%s)" >exit.json.new
mv exit.json.new exit.json
"#;

#[test]
fn a_shim_of_the_version_before_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let shim = directory.path().join("shim");
    fs::write(&shim, SHIM_OF_BEFORE).expect("written");
    fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("executable");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("made");
    let hub = Hub::tuned(&data, &config(), |settings| settings.shim_program = shim.into());
    let task =
        hub.run("echo first; echo $$ >main; while [ ! -e go ]; do sleep 0.05; done; echo last; exit 7");
    hub.note(task, "main");
    hub.crash();
    let hub = Hub::start(&data);
    fs::write(data.join("executions/1/work/go"), "").expect("written");
    assert_eq!(hub.ends(task), (Failed, Some(7), "exit code 7".into()));
    assert_eq!(hub.log(task), b"first\nlast\n");
}
