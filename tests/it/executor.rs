//! Executions, run by the real shim: how they end, what is left of them, and what a restarted hub makes of
//! them. The hub here is the store, the service and the executor, without HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use taskhub::config::{ExecutorConfig, SessionKind, StoreConfig};
use taskhub::domain::execution::{Execution, ExecutionRequest, ExecutionStatus};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::TaskDraft;
use taskhub::executor::logs::{From, read_page};
use taskhub::executor::{Executor, ExecutorSettings, Retention};
use taskhub::service::Service;
use taskhub::store::{ExecutionQuery, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod tmux;

use ExecutionStatus::{Completed, Failed, Lost, Queued, Running, Stopped, TimedOut};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    executor: ExecutorConfig,
}

fn arguments() -> Arguments {
    Arguments::parse_from(["taskhub", "--executions-max=8", "--grace-ms=300", "--log-bytes-max=1048576"])
}

fn config() -> ExecutorConfig {
    arguments().executor
}

/// What must hold of plain processes and in tmux alike.
fn in_each_kind_of_session(test: impl Fn(&TempDir, Hub)) {
    for sessions in [SessionKind::Process, SessionKind::Tmux] {
        println!("{sessions:?}");
        let directory = tempfile::tempdir().expect("a directory");
        let hub = Hub::with(directory.path(), &ExecutorConfig { sessions, ..config() });
        test(&directory, hub);
    }
}

/// Waits for something to be seen.
#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    String::from_utf8_lossy(&stat).rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

struct Hub {
    runtime: Runtime,
    service: Service,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    data_dir: PathBuf,
}

impl Hub {
    fn start(data_dir: &Path) -> Self {
        Self::with(data_dir, &config())
    }

    fn with(data_dir: &Path, config: &ExecutorConfig) -> Self {
        Self::tuned(data_dir, config, |_| {})
    }

    fn tuned(data_dir: &Path, config: &ExecutorConfig, tune: impl FnOnce(&mut ExecutorSettings)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let store = arguments().store;
        // A hub that was just cut off may hold its lock for a moment more.
        let opened = wait_for("the store", || Store::open(data_dir, &store).ok());
        opened.writer.start(|_, _| {}).expect("a thread");
        let service = Service::new(opened.store, config);
        let mut settings = ExecutorSettings {
            data_dir: data_dir.to_owned(),
            shim_program: env!("CARGO_BIN_EXE_taskhub").into(),
            hub_url: "http://localhost:8000".into(),
            open_files_max: Some(256),
            retention: Retention { days_max: 30, period_ms: 60_000 },
        };
        tune(&mut settings);
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let context = runtime.enter();
        Executor::start(service.clone(), config, settings, shutdown.clone(), &tracker).expect("started");
        drop(context);
        Self { runtime, service, shutdown, tracker, data_dir: data_dir.to_owned() }
    }

    /// Ends as asked, and in time.
    fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        let ended = async { tokio::time::timeout(PATIENCE, self.tracker.wait()).await };
        self.runtime.block_on(ended).expect("ended");
    }

    /// Every task is gone at once, wherever it stood.
    fn crash(self) {
        self.runtime.shutdown_background();
    }

    fn run(&self, script: &str) -> TaskId {
        self.request(script, r"{}")
    }

    fn request(&self, script: &str, request: &str) -> TaskId {
        self.execute(serde_json::json!({ "title": "a test", "script": script }), request)
    }

    /// Creates a task and starts it.
    fn execute(&self, new: serde_json::Value, request: &str) -> TaskId {
        let new: TaskDraft = serde_json::from_str(&new.to_string()).expect("a task");
        let request: ExecutionRequest = serde_json::from_str(request).expect("a request");
        self.runtime.block_on(async {
            let task = self.service.create_task(new, None).await.expect("created").task;
            self.service.start_execution(task.id, request).await.expect("queued");
            task.id
        })
    }

    /// Every attempt, the first one first.
    fn attempts(&self, task: TaskId) -> Vec<Execution> {
        let query = ExecutionQuery { task_id: Some(task), limit: 100, ..ExecutionQuery::default() };
        let (mut found, _) = self.runtime.block_on(self.service.executions(query)).expect("read");
        found.reverse();
        found
    }

    fn stop_task(&self, task: TaskId) {
        self.runtime.block_on(self.service.stop_execution(task)).expect("asked to stop");
    }

    fn execution(&self, task: TaskId) -> Execution {
        self.runtime.block_on(self.service.latest_execution(task)).expect("there")
    }

    #[track_caller]
    fn reaches(&self, task: TaskId, status: ExecutionStatus) -> Execution {
        wait_for(&format!("{status}"), || {
            let execution = self.execution(task);
            let is_done = execution.status.is_final() || execution.status == status;
            is_done.then_some(execution)
        })
    }

    #[track_caller]
    fn ends(&self, task: TaskId) -> (ExecutionStatus, Option<i32>, String) {
        let execution =
            wait_for("an end", || Some(self.execution(task)).filter(|execution| execution.status.is_final()));
        (execution.status, execution.exit_code, execution.reason.unwrap_or_default())
    }

    fn directory(&self, task: TaskId) -> PathBuf {
        self.data_dir.join(format!("executions/{}", self.execution(task).number))
    }

    fn log(&self, task: TaskId) -> Vec<u8> {
        fs::read(self.data_dir.join(self.execution(task).log_file)).unwrap_or_default()
    }

    /// What the script wrote to a file of its working directory, once it ends in a line break.
    #[track_caller]
    fn note(&self, task: TaskId, name: &str) -> String {
        let path = self.directory(task).join("work").join(name);
        wait_for(name, || {
            let text = fs::read_to_string(&path).ok()?;
            Some(text.strip_suffix('\n')?.to_owned())
        })
    }
}

fn hub() -> (TempDir, Hub) {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(directory.path());
    (directory, hub)
}

#[track_caller]
fn outcome(hub: &Hub, script: &str) -> (ExecutionStatus, Option<i32>, String) {
    let task = hub.run(script);
    hub.ends(task)
}

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
fn a_script_gets_its_own_environment_and_none_of_the_hubs_secrets() {
    in_each_kind_of_session(|_, hub| {
        // Cargo sets it for this process: as good as a secret.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let script = "env; tr '\\0' '\\n' </proc/$PPID/environ; cat <&0; pwd; ls -a ..";
        let task = hub.request(script, r#"{"env":{"GREETING":"hé llo"},"cwd":"a/b"}"#);
        assert_eq!(hub.ends(task).0, Completed);
        let execution = hub.execution(task);
        let log = String::from_utf8(hub.log(task)).expect("text");
        for expected in [
            "GREETING=hé llo".to_owned(),
            format!("TASKHUB_TASK_ID={task}"),
            format!("TASKHUB_EXECUTION_ID={}", execution.id),
            "TASKHUB_SESSION=taskhub-1".to_owned(),
            "TASKHUB_URL=http://localhost:8000".to_owned(),
            format!("TASKHUB_ARTIFACTS={}", hub.directory(task).join("artifacts").display()),
        ] {
            assert_eq!(log.lines().filter(|line| **line == expected).count(), 1, "{expected} in {log}");
        }
        assert!(log.contains("PATH="));
        assert!(log.contains("work/a/b\n"));
        assert!(!log.contains("CARGO"), "{log}");
    });
}

#[test]
fn the_operators_command_works_on_tasks_without_a_script_and_reads_the_task() {
    let directory = tempfile::tempdir().expect("a directory");
    let command = Some("echo $0 >&2; cat >task.json; echo >>task.json".to_owned());
    let hub = Hub::with(directory.path(), &ExecutorConfig { exec_default: command, ..config() });
    let task = hub.execute(serde_json::json!({ "title": "a\u{2028}b", "tags": ["x"] }), "{}");
    let read: serde_json::Value = serde_json::from_str(&hub.note(task, "task.json")).expect("JSON");
    assert_eq!((&read["id"], &read["title"]), (&task.to_string().into(), &"a\u{2028}b".into()));
    assert_eq!((&read["status"], &read["version"]), (&"inprogress".into(), &2.into()));
    assert_eq!(hub.ends(task).0, Completed);
    let task = hub.run("cat");
    assert_eq!(
        (hub.ends(task).0, hub.log(task)),
        (Completed, Vec::new()),
        "another script has nothing to read"
    );
}

#[test]
fn a_directory_that_leads_out_of_the_roots_by_now_is_refused_by_the_shim() {
    let (directory, place) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
    let root = place.path().join("root");
    for path in ["root/inner", "outside"] {
        fs::create_dir_all(place.path().join(path)).expect("made");
    }
    let slots = Some(1);
    let limits = ExecutorConfig { exec_root: vec![root.clone()], executions_max: slots, ..config() };
    let hub = Hub::with(directory.path(), &limits);
    let request = serde_json::json!({ "cwd": root.join("inner") }).to_string();
    let task = hub.request("pwd -P", &request);
    assert_eq!(hub.ends(task).0, Completed);
    let real = root.join("inner").canonicalize().expect("there");
    assert_eq!(String::from_utf8_lossy(&hub.log(task)).trim(), real.to_str().expect("UTF-8"));

    let blocker = hub.run("sleep 1000");
    let task = hub.request("echo ran", &request);
    fs::remove_dir(root.join("inner")).expect("removed");
    std::os::unix::fs::symlink(place.path().join("outside"), root.join("inner")).expect("linked");
    hub.stop_task(blocker);
    let (status, _, reason) = hub.ends(task);
    assert!(status == Failed && reason.starts_with("could not start: the working directory"), "{reason}");
    assert!(hub.log(task).is_empty());
}

#[test]
fn a_script_may_open_as_many_files_as_the_hub_was_started_with() {
    taskhub::open_files::raise();
    let (_directory, hub) = hub();
    let task = hub.run("ulimit -Sn > limit");
    assert_eq!(hub.note(task, "limit"), "256");
}

#[test]
fn a_script_is_out_of_reach_of_the_hubs_terminal() {
    let (_directory, hub) = hub();
    let task = hub.run("set -- $(cat /proc/$$/stat); echo $PPID $4 $$ $5 $6");
    assert_eq!(hub.ends(task).0, Completed);
    let log = String::from_utf8(hub.log(task)).expect("text");
    let ids: Vec<_> = log.split_whitespace().collect();
    let [shim, parent, main, group, session] = ids[..] else { panic!("{log}") };
    assert_eq!((parent, group, session), (shim, main, shim));
}

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
fn all_output_is_in_the_log_whatever_it_is() {
    in_each_kind_of_session(|_, hub| {
        let lines = hub.run("i=0; while [ $i -lt 1000 ]; do echo $i; echo $i >&2; i=$((i+1)); done");
        let binary = hub.run("head -c 300000 /dev/zero; printf '\\377\\300\\r\\n'");
        let closing = hub.run("echo first; exec >&- 2>&-; sleep 0.3; exit 4");
        assert_eq!(hub.ends(lines).0, Completed);
        let expected: String = (0..1000).map(|i| format!("{i}\n{i}\n")).collect();
        assert_eq!(hub.log(lines), expected.into_bytes());

        assert_eq!(hub.ends(binary).0, Completed);
        let log = hub.log(binary);
        assert_eq!(log.len(), 300_004);
        assert!(log.ends_with(b"\0\xff\xc0\r\n"));

        assert_eq!(hub.ends(closing), (Failed, Some(4), "exit code 4".into()));
        assert_eq!(hub.log(closing), b"first\n");
    });
}

#[test]
fn a_hundred_megabytes_and_a_million_lines_are_in_the_log_to_the_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { log_bytes_max: 128 << 20, ..config() });
    let lines = hub.run("seq 1000000");
    let bytes = hub.run("yes 'a hundred megabytes of this' | head -c 100000000; printf '\\377 the end'");
    let at_once = hub.run("printf 'and away'");
    assert_eq!([lines, bytes, at_once].map(|task| hub.ends(task).0), [Completed; 3]);
    let expected: String = (1..=1_000_000).map(|line| format!("{line}\n")).collect();
    assert!(hub.log(lines) == expected.as_bytes());
    let mut expected = "a hundred megabytes of this\n".repeat(100_000_000 / 28 + 1).into_bytes();
    expected.truncate(100_000_000);
    expected.extend(b"\xff the end");
    assert!(hub.log(bytes) == expected);
    assert_eq!(hub.log(at_once), b"and away");
}

#[test]
fn a_script_is_handed_its_three_files_and_no_other() {
    in_each_kind_of_session(|_, hub| {
        let task = hub.run("exec ls -l /proc/self/fd");
        assert_eq!(hub.ends(task).0, Completed);
        let log = String::from_utf8(hub.log(task)).expect("text");
        let links: Vec<_> = log.lines().filter_map(|line| line.split_once(" -> ")).map(|it| it.1).collect();
        let [input, output, errors, own] = links[..] else { panic!("{log}") };
        assert_eq!((input, output), ("/dev/null", errors));
        assert!(output.starts_with("pipe:") && own.starts_with("/proc/"), "{log}");
    });
}

#[test]
fn output_is_there_while_the_script_runs() {
    in_each_kind_of_session(|_, hub| {
        let task = hub.run("printf half; sleep 1000");
        wait_for("output", || (hub.log(task) == b"half").then_some(()));
        let path = hub.data_dir.join(hub.execution(task).log_file);
        let page = hub.runtime.block_on(read_page(&path, From::Tail(1), 100, false)).expect("read");
        assert_eq!((page.text.as_str(), page.next_offset), ("half", 4));
        assert_eq!(hub.reaches(task, Running).status, Running);
        hub.stop_task(task);
        assert_eq!(hub.ends(task).0, Stopped);
    });
}

#[test]
fn a_flood_is_bounded_and_its_end_is_kept() {
    in_each_kind_of_session(|_, hub| {
        let task = hub.request("yes & sleep 0.5; kill $!; wait; sleep 0.1; echo the end", "{}");
        assert_eq!(hub.ends(task).0, Completed);
        let log = hub.log(task);
        assert!(log.len() <= 1 << 20, "{}", log.len());
        assert!(log.starts_with(b"y\ny\n"));
        assert!(log.ends_with(b"y\nthe end\n"));
        assert!(String::from_utf8_lossy(&log).contains(" bytes left out here]\n"));
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
fn executions_wait_for_a_slot_in_the_order_they_came() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { executions_max: Some(1), ..config() });
    let tasks = [hub.run("sleep 0.3"), hub.run("true"), hub.run("true")];
    hub.reaches(tasks[0], Running);
    assert_eq!(hub.execution(tasks[2]).status, Queued);
    hub.stop_task(tasks[2]);
    assert_eq!(hub.ends(tasks[1]).0, Completed);
    assert_eq!(hub.ends(tasks[2]), (Stopped, None, "stopped before it started".into()));
    let [first, second, _] = tasks.map(|task| hub.execution(task));
    assert!(second.started_at >= first.ended_at);
}

#[test]
fn what_matters_more_does_not_wait_for_what_came_before_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::with(directory.path(), &ExecutorConfig { executions_max: Some(1), ..config() });
    let blocker = hub.run("sleep 1000");
    hub.reaches(blocker, Running);
    let tasks = ["low", "medium", "high", "high"].map(|priority| {
        hub.execute(serde_json::json!({ "title": "t", "script": "true", "priority": priority }), "{}")
    });
    let none = hub.run("true");
    hub.stop_task(blocker);
    let [low, medium, high, other] = tasks;
    let order = [high, other, medium, low, none].map(|task| {
        assert_eq!(hub.ends(task).0, Completed);
        hub.execution(task)
    });
    assert!(order.windows(2).all(|pair| pair[0].ended_at <= pair[1].started_at), "{order:#?}");
}

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

#[test]
fn a_limit_on_memory_is_one_on_every_process_of_the_script() {
    let directory = tempfile::tempdir().expect("a directory");
    let limits =
        ExecutorConfig { memory_bytes: Some(128 << 20), memory_bytes_max: Some(256 << 20), ..config() };
    let hub = Hub::with(directory.path(), &limits);
    // The hard limit, from the first moment on and of the watching process, too: nobody has a higher one to give.
    let script = "(ulimit -Hv) & wait; ulimit -Sv; sed -n 's/^Max address space *\\([0-9]*\\) *\\([0-9]*\\) .*/\\1 \\2/p' /proc/$PPID/limits";
    for (request, kib) in [("{}", 131_072), (r#"{"memory_bytes_max":67108864}"#, 65_536)] {
        let task = hub.request(script, request);
        assert_eq!(hub.ends(task), (Completed, Some(0), String::new()));
        let bytes = kib * 1024;
        assert_eq!(String::from_utf8_lossy(&hub.log(task)), format!("{kib}\n{kib}\n{bytes} {bytes}\n"));
    }
    let greedy = r#"head -c 200000000 /dev/zero | { x=$(tr '\0' x); echo ${#x}; }"#;
    let task = hub.request(greedy, "{}");
    assert_eq!(hub.ends(task).0, Failed);
}

#[test]
fn an_ended_execution_leaves_its_log_and_its_results_and_nothing_else() {
    in_each_kind_of_session(|_, hub| {
        let with = hub.request("echo 7 >result; echo x >../stray", r#"{"env":{"SECRET":"s3cret"}}"#);
        let without = hub.run("true");
        assert_eq!((hub.ends(with).0, hub.ends(without).0), (Completed, Completed));
        let all = hub.data_dir.join("executions");
        let names = |path: &Path| -> Vec<_> {
            let entries = fs::read_dir(path).into_iter().flatten();
            entries.map(|entry| entry.expect("an entry").file_name()).collect()
        };
        wait_for("the directories to be cleaned", || {
            (names(&all) == ["1"] && names(&all.join("1")) == ["work"]).then_some(())
        });
        assert_eq!(names(&all.join("1/work")), ["result"]);
    });
}

#[test]
fn what_ended_long_ago_is_removed_and_what_lives_is_not() {
    let (directory, hub) = hub();
    let ended = hub.run("echo 7 >result; mkdir sub; echo over");
    let waiting = hub.request("exit 3", r#"{"retries":1,"retry_delay_seconds":3600}"#);
    let running = hub.run("echo $$ >main; sleep 1000");
    assert_eq!(hub.ends(ended).0, Completed);
    hub.note(running, "main");
    wait_for("a second attempt", || (hub.execution(waiting).attempt == 2).then_some(()));
    let old = [hub.execution(ended), hub.attempts(waiting)[0].clone()];
    hub.stop();

    let hub = Hub::tuned(directory.path(), &config(), |settings| {
        settings.retention = Retention { days_max: 0, period_ms: 20 };
    });
    let answer = |task| hub.runtime.block_on(hub.service.latest_execution(task));
    wait_for("the rows to go", || (answer(ended).is_err() && hub.attempts(waiting).len() == 1).then_some(()));
    for execution in old {
        assert!(!hub.data_dir.join(&execution.log_file).exists());
        assert!(!hub.data_dir.join(format!("executions/{}", execution.number)).exists());
    }
    assert_eq!((hub.execution(waiting).status, hub.execution(running).status), (Queued, Running));
    assert!(hub.data_dir.join(hub.execution(running).log_file).exists());
    hub.note(running, "main");
    hub.stop_task(running);
    wait_for("the last one to go", || (answer(running).is_err() && !is_left(&hub, "3")).then_some(()));
}

fn is_left(hub: &Hub, number: &str) -> bool {
    hub.data_dir.join("executions").join(number).exists()
}

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

#[test]
fn a_shim_that_cannot_even_complain_ends_in_order() {
    // As on a full disk: every write to it fails.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut shim = std::process::Command::new(env!("CARGO_BIN_EXE_taskhub"));
    let status = shim.args(["shim", "/nowhere"]).stderr(full).status().expect("ran");
    assert_eq!(status.code(), Some(1));
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
