//! Stops: heard at any moment, with a grace to tidy up. No process outlives one, or the script's own end.

use super::*;

#[test]
fn nothing_survives_a_stop() {
    in_each_kind_of_session(|_, hub| {
        let script = r#"
        setsid sleep 1000 & echo $! >away
        (setsid sleep 1001 & echo $! >orphan)
        (setsid sh -c 'printf "\377) Z 1 1 (" >/proc/$$/comm; echo $$ >odd; while :; do sleep 1; done' &)
        echo $$ >main; wait
    "#;
        let task = hub.run(script);
        let pids = ["away", "orphan", "odd", "main"].map(|name| hub.note(task, name));
        assert!(pids.iter().all(|pid| is_alive(pid)));
        hub.stop_task(task);
        assert_eq!(hub.ends(task), (Stopped, None, "stopped on request".into()));
        assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
    });
}

#[test]
fn nothing_survives_the_end_of_the_script_either() {
    in_each_kind_of_session(|_, hub| {
        let task = hub.run("setsid sleep 1000 & echo $! >away\nsleep 1001 & echo $! >near");
        assert_eq!(hub.ends(task), (Completed, Some(0), String::new()));
        let pids = ["away", "near"].map(|name| hub.note(task, name));
        assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
    });
}

#[test]
fn who_does_not_hear_term_is_killed_after_the_grace() {
    in_each_kind_of_session(|_, hub| {
        let script = r#"
        export stubborn='trap "" TERM; echo $$ >$name; while :; do sleep 1; done'
        (name=away setsid sh -c "$stubborn" &)
        name=main; eval "$stubborn"
    "#;
        let task = hub.run(script);
        let pids = ["away", "main"].map(|name| hub.note(task, name));
        let asked = Instant::now();
        hub.stop_task(task);
        assert_eq!(hub.ends(task).0, Stopped);
        assert!(asked.elapsed() >= Duration::from_millis(300));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
    });
}

#[test]
fn a_stop_at_any_moment_of_the_start_is_heard() {
    in_each_kind_of_session(|_, hub| {
        for round in 0..40 {
            let task = hub.run("sleep 1000");
            hub.reaches(task, Running);
            thread::sleep(Duration::from_micros(250 * round));
            hub.stop_task(task);
            assert_eq!(hub.ends(task).0, Stopped);
        }
    });
}

#[test]
fn a_script_may_tidy_up_when_it_is_stopped() {
    in_each_kind_of_session(|_, hub| {
        let task = hub.run("trap 'echo bye; exit 3' TERM; echo on; while :; do sleep 0.02; done");
        wait_for("output", || (hub.log(task) == b"on\n").then_some(()));
        hub.stop_task(task);
        assert_eq!(hub.ends(task).0, Stopped);
        assert_eq!(hub.execution(task).exit_code, Some(3));
        assert!(hub.log(task).ends_with(b"bye\n"));
    });
}
