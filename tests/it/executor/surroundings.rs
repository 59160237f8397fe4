//! What a script finds around it, environment, input, directory, files and limits, and what it cannot reach.

use super::*;

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
