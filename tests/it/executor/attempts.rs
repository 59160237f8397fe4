//! Attempts: what fails is tried again, in its time and as often as was asked, until somebody stops it.

use super::*;

/// A script that succeeds the `times`-th time it is run.
fn succeeds_at(times: u32, notes: &Path) -> String {
    let notes = notes.display();
    format!(
        "echo $TASKHUB_SESSION >>'{notes}'; echo $(wc -l <'{notes}'); [ $(wc -l <'{notes}') -ge {times} ]"
    )
}

#[test]
fn what_fails_is_tried_again_each_time_with_a_log_of_its_own() {
    let (directory, hub) = hub();
    let script = succeeds_at(3, &directory.path().join("notes"));
    let task = hub.request(&script, r#"{"retries":9,"retry_delay_seconds":0}"#);
    assert_eq!(hub.ends(task), (Completed, Some(0), String::new()));
    let attempts = hub.attempts(task);
    let seen: Vec<_> = attempts.iter().map(|it| (it.attempt, it.status)).collect();
    assert_eq!(seen, [(1, Failed), (2, Failed), (3, Completed)]);
    for attempt in attempts {
        let log = fs::read_to_string(hub.data_dir.join(&attempt.log_file)).expect("a log");
        assert_eq!((log.trim(), attempt.attempts_max), (attempt.attempt.to_string().as_str(), 10));
    }
}

#[test]
fn what_goes_on_failing_is_given_up_and_what_takes_too_long_is_tried_again() {
    let (_directory, hub) = hub();
    let failing = hub.request("exit 3", r#"{"retries":1,"retry_delay_seconds":0}"#);
    let slow = hub.request("sleep 1000", r#"{"retries":1,"retry_delay_seconds":0,"timeout_seconds":1}"#);
    for (task, status) in [(failing, Failed), (slow, TimedOut)] {
        assert_eq!(hub.ends(task).0, status);
        assert_eq!(hub.attempts(task).iter().map(|it| it.status).collect::<Vec<_>>(), [status, status]);
    }
}

#[test]
fn another_attempt_waits_for_its_time_and_survives_a_crash() {
    let (directory, hub) = hub();
    let script = succeeds_at(2, &directory.path().join("notes"));
    let task = hub.request(&script, r#"{"retries":1,"retry_delay_seconds":1}"#);
    wait_for("a second attempt", || (hub.execution(task).attempt == 2).then_some(()));
    hub.crash();
    let hub = Hub::start(directory.path());
    assert_eq!(hub.ends(task), (Completed, Some(0), String::new()));
    let [first, second] = &hub.attempts(task)[..] else { panic!("two") };
    assert!(second.not_before.expect("a time").ms_since(first.ended_at.expect("ended")) >= 1000);
    assert!(second.started_at >= second.not_before);
}

#[test]
fn a_stop_ends_all_attempts() {
    let (_directory, hub) = hub();
    let waiting = hub.request("exit 3", r#"{"retries":9,"retry_delay_seconds":3600}"#);
    wait_for("a second attempt", || (hub.execution(waiting).attempt == 2).then_some(()));
    let running =
        hub.request("trap 'exit 3' TERM; echo on; while :; do sleep 0.02; done", r#"{"retries":9}"#);
    wait_for("output", || (hub.log(running) == b"on\n").then_some(()));
    for (task, attempts) in [(waiting, 2), (running, 1)] {
        hub.stop_task(task);
        assert_eq!(hub.ends(task).0, Stopped);
        assert_eq!(hub.attempts(task).len(), attempts);
    }
}
