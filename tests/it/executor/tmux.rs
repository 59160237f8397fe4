//! Executions in tmux: what a person who attaches sees and can do, and what becomes of an execution whose session
//! ends before it. Whatever else must hold in tmux, too, is tested with plain processes, beside this file.

use std::process::{Command, Stdio};

use taskhub::data_dir::DataDir;
use taskhub::executor::Sessions;

use super::*;

fn hub() -> (TempDir, Hub) {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { sessions: SessionKind::Tmux, ..config() });
    (directory, hub)
}

/// What tmux says, asked at the socket of an execution.
fn tmux(hub: &Hub, task: TaskId, arguments: &[&str]) -> Option<String> {
    let socket = hub.directory(task).join("tmux");
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().expect("tmux runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a person who attaches would see, and what went before it.
fn screen(hub: &Hub, task: TaskId) -> String {
    let target = format!("={}:", hub.execution(task).session_name);
    tmux(hub, task, &["capture-pane", "-p", "-S", "-", "-t", &target]).unwrap_or_default()
}

#[test]
fn who_attaches_sees_the_output_and_can_answer_and_interrupt() {
    let (_directory, hub) = hub();
    let script = "echo a line; printf 'and more: '; read answer </dev/tty; echo got $answer; \
                  trap 'echo interrupted; exit 9' INT; while :; do sleep 0.02; done";
    let task = hub.run(script);
    wait_for("output", || (screen(&hub, task).contains("a line\nand more:")).then_some(()));
    let pane = format!("={}:", hub.execution(task).session_name);
    // Ctrl-S would hold up the output, and Ctrl-Z the script.
    for keys in ["C-s", "C-z", "an answer", "Enter"] {
        tmux(&hub, task, &["send-keys", "-t", &pane, keys]).expect("typed");
    }
    wait_for("the answer", || screen(&hub, task).contains("\ngot ").then_some(()));
    tmux(&hub, task, &["send-keys", "-t", &pane, "C-c"]).expect("typed");
    assert_eq!(hub.ends(task).1, Some(9));
    let log = String::from_utf8(hub.log(task)).expect("text");
    assert!(
        log.starts_with("a line\nand more: got ") && log.ends_with("an answer\ninterrupted\n"),
        "{log:?}"
    );
}

#[test]
fn the_command_to_attach_is_known_while_it_runs() {
    let (directory, hub) = hub();
    let sessions = Sessions::new(DataDir::open(directory.path()).expect("it is there"), SessionKind::Tmux);
    let asked = |task| hub.runtime.block_on(sessions.attach_command(&hub.execution(task)));
    let task = hub.run("echo on; sleep 1000");
    wait_for("output", || (hub.log(task) == b"on\n").then_some(()));
    let command = asked(task).expect("a session");
    // A terminal for it, from tmux itself: whoever is attached is listed.
    let outer = directory.path().join("outer");
    let attach = |arguments: &[&str]| {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(&outer).args(["-f", "/dev/null"]).args(arguments).env_remove("TMUX");
        assert!(tmux.status().expect("tmux runs").success());
    };
    attach(&["new-session", "-d", &format!("unset TMUX; {command}")]);
    wait_for("a client", || tmux(&hub, task, &["list-clients"]).filter(|it| !it.is_empty()));
    // It leaves, and nothing has happened.
    tmux(&hub, task, &["detach-client", "-s", "=taskhub-1"]).expect("detached");
    wait_for("no client", || tmux(&hub, task, &["list-clients"]).filter(String::is_empty));
    assert_eq!(hub.execution(task).status, Running);
    hub.stop_task(task);
    assert_eq!(hub.ends(task), (Stopped, None, "stopped on request".into()));
    assert!(asked(task).is_err());
}

#[test]
fn an_execution_whose_session_is_closed_ends_and_says_so() {
    let (_directory, hub) = hub();
    let close: [&[&str]; 4] =
        [&["kill-session", "-t", "=taskhub-1"], &["kill-server"], &["kill-pane", "-t", "=taskhub-3:"], &[]];
    for arguments in close {
        let script =
            "trap '' HUP TERM; setsid sleep 1000 & echo $! >away; echo on; while :; do sleep 0.02; done";
        let task = hub.run(script);
        let away = hub.note(task, "away");
        wait_for("output", || (hub.log(task) == b"on\n").then_some(()));
        if arguments.is_empty() {
            let server = tmux(&hub, task, &["display-message", "-p", "#{pid}"]).expect("a server");
            assert!(Command::new("kill").args(["-9", server.trim()]).status().expect("ran").success());
        } else {
            tmux(&hub, task, arguments).expect("closed");
        }
        assert_eq!(hub.ends(task), (Stopped, None, "its session was ended by signal 1 (HUP)".into()));
        assert_eq!(hub.log(task), b"on\n");
        assert!(!is_alive(&away));
    }
}

#[test]
fn what_waits_for_an_answer_waits_however_early_it_asks() {
    let (_directory, hub) = hub();
    for _ in 0..10 {
        let task = hub.run("read answer </dev/tty; echo $?; echo \"got $answer\"");
        wait_for("a start", || hub.directory(task).join("pid").exists().then_some(()));
        wait_for("a session", || {
            let pane = format!("={}:", hub.execution(task).session_name);
            tmux(&hub, task, &["send-keys", "-t", &pane, "yes", "Enter"])
        });
        assert_eq!(hub.ends(task).0, Completed);
        assert_eq!(String::from_utf8_lossy(&hub.log(task)), "0\ngot yes\n");
    }
}

#[test]
fn no_secret_of_the_hub_is_in_the_environment_of_tmux() {
    let (_directory, hub) = hub();
    let script = "set -- $(cat /proc/$PPID/stat); for it in $PPID $4; do tr '\\0' '\\n' </proc/$it/cmdline; tr '\\0' '\\n' \
                  </proc/$it/environ; done";
    let task = hub.request(script, r#"{"env":{"GREETING":"hello"}}"#);
    assert_eq!(hub.ends(task).0, Completed);
    let log = String::from_utf8(hub.log(task)).expect("text");
    assert!(log.contains("tmux") && log.contains("PATH="), "{log}");
    // Cargo's is as good as a secret of the hub, and the request's is nobody else's business either.
    assert!(!log.contains("CARGO") && !log.contains("GREETING"), "{log}");
}

#[test]
fn a_flood_on_the_terminal_holds_up_nothing_and_its_end_is_seen() {
    let (_directory, hub) = hub();
    let task = hub.run("yes 'a line of a flood' | head -c 50000000; echo the end; sleep 1000");
    wait_for("the end", || screen(&hub, task).contains("the end").then_some(()));
    hub.stop_task(task);
    assert_eq!(hub.ends(task).0, Stopped);
    assert!(String::from_utf8_lossy(&hub.log(task)).ends_with("the end\n"));
}

#[test]
fn a_session_ends_with_its_execution_whatever_somebody_has_opened_in_it() {
    let (directory, hub) = hub();
    let task = hub.run("echo on; while [ ! -e go ]; do sleep 0.02; done");
    wait_for("output", || (hub.log(task) == b"on\n").then_some(()));
    tmux(&hub, task, &["new-window", "-t", "=taskhub-1:", "sleep 1000"]).expect("opened");
    let server = tmux(&hub, task, &["display-message", "-p", "#{pid}"]).expect("a server");
    fs::write(hub.directory(task).join("work/go"), "").expect("written");
    assert_eq!(hub.ends(task).0, Completed);
    wait_for("its server to go", || (!is_alive(server.trim())).then_some(()));
    wait_for("its socket to go", || (!directory.path().join("executions/1/tmux").exists()).then_some(()));
}

#[test]
fn what_tmux_cannot_start_fails_and_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = ExecutorConfig { sessions: SessionKind::Tmux, ..config() };
    for program in ["/nowhere/taskhub", "/bin/false", "/nowhere/#(touch pwned);"] {
        let hub = Hub::tuned(directory.path(), &config, |it| it.shim_program = program.into());
        let started = Instant::now();
        let (status, code, reason) = outcome(&hub, "true");
        assert_eq!((status, code), (Failed, None), "{reason}");
        assert!(reason.starts_with("could not start: its shim ended before"), "{reason}");
        assert!(started.elapsed() < Duration::from_secs(10), "it is noticed at once");
        hub.stop();
    }
}
