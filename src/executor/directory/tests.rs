//! The files of an execution, in a directory of their own.

use std::os::unix::fs::PermissionsExt;

use std::collections::HashSet;

use super::*;
use crate::domain::id::{ExecutionId, TaskId};
use crate::executor::contract::ExitEnd;

fn spec() -> Spec {
    Spec {
        task_id: TaskId::generate(),
        execution_id: ExecutionId::generate(),
        session_name: "taskhub-3".into(),
        hub_url: "http://localhost:1".into(),
        env: [("SECRET".into(), "s3cret".into())].into(),
        cwd: None,
        roots: Vec::new(),
        log: "/nowhere".into(),
        log_bytes_max: 1,
        timeout_seconds: 1,
        grace_ms: 1,
        open_files_max: None,
        memory_bytes_max: None,
        data: None,
    }
}

#[test]
fn a_script_of_another_system_is_made_one_of_this() {
    for (script, expected) in [
        ("#!/bin/sh\r\necho a\r\n", "#!/bin/sh\necho a\n"),
        ("\u{feff}#!/bin/sh\necho a", "#!/bin/sh\necho a"),
        ("echo a\r", "echo a"),
        ("echo a\nprintf 'b\r\n'\n", "echo a\nprintf 'b\r\n'\n"),
    ] {
        assert_eq!(runnable(script), expected, "{script:?}");
    }
}

fn prepared() -> (tempfile::TempDir, Directory) {
    let data = tempfile::tempdir().expect("a directory");
    let directory = Directory::of(data.path(), 3);
    directory.prepare("true", None, &spec()).expect("prepared");
    (data, directory)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn only_its_owner_can_look_into_it() {
    let (_data, directory) = prepared();
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.script()), 0o700);
    assert_eq!(mode(&directory.path().join("spec.json")), 0o600);
}

#[test]
fn a_specification_is_obeyed_once() {
    let (_data, directory) = prepared();
    assert!(directory.is_untouched());
    assert_eq!(directory.take_spec().expect("there").env.len(), 1);
    assert!(directory.take_spec().is_err());
    assert!(!directory.is_untouched());
}

#[test]
fn the_lock_has_one_holder_and_guards_the_directory() {
    let (_data, directory) = prepared();
    let held = directory.lock().expect("opens").expect("free");
    assert!(directory.lock().expect("opens").is_none());
    let refused = directory.prepare("true", None, &spec()).expect_err("in use");
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    drop(held);
    assert!(directory.prepare("true", None, &spec()).is_ok());
}

#[test]
fn a_result_reads_as_it_was_written() {
    let (_data, directory) = prepared();
    assert_eq!(directory.read_exit().expect_err("none yet").kind(), ErrorKind::NotFound);
    let exit = Exit {
        end: ExitEnd::TimedOut,
        exit_code: None,
        signal: Some(9),
        reason: Some("slow".into()),
        ended_at_ms: 5,
        duration_ms: None,
        log_bytes_left_out: None,
    };
    directory.write_exit(&exit).expect("written");
    assert_eq!(directory.read_exit().expect("there"), exit);
}

#[test]
fn cleaning_keeps_results_and_nothing_else() {
    let (_data, directory) = prepared();
    fs::write(directory.work().join("result"), "7").expect("written");
    fs::create_dir_all(directory.path().join("stray/deep")).expect("made");
    directory.clean().expect("cleaned");
    let left: Vec<_> = fs::read_dir(directory.path())
        .expect("there")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(left, [WORK]);
    fs::remove_file(directory.work().join("result")).expect("removed");
    directory.clean().expect("cleaned");
    assert!(!directory.path().exists());
    directory.clean().expect("nothing to do");
}

#[test]
fn nothing_is_cleaned_or_overwritten_behind_a_link() {
    let (data, directory) = prepared();
    let elsewhere = data.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    fs::write(elsewhere.join("dear"), "to me").expect("written");
    let swap = |directory: &Directory| {
        fs::remove_dir_all(directory.path()).expect("removed");
        std::os::unix::fs::symlink(&elsewhere, directory.path()).expect("linked");
    };
    swap(&directory);
    directory.clean().expect("cleaned");
    assert!(!directory.path().exists());
    directory.prepare("true", None, &spec()).expect("prepared");
    swap(&directory);
    directory.prepare("true", None, &spec()).expect("prepared");
    assert!(!directory.path().is_symlink());

    for name in ["stop", "exit.json.new"] {
        std::os::unix::fs::symlink(elsewhere.join("dear"), directory.path().join(name)).expect("linked");
    }
    directory.request_stop().expect("asked");
    let exit = Exit {
        end: ExitEnd::Completed,
        exit_code: Some(0),
        signal: None,
        reason: None,
        ended_at_ms: 5,
        duration_ms: None,
        log_bytes_left_out: None,
    };
    directory.write_exit(&exit).expect("written");
    assert_eq!(fs::read_to_string(elsewhere.join("dear")).expect("there"), "to me");
    for name in ["exit.json", "pid", "shim.err"] {
        let path = directory.path().join(name);
        let _ = fs::remove_file(&path);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("made");
    }
    assert!(directory.read_exit().is_err() && directory.pid().is_none() && directory.errors().is_none());
}

#[test]
fn a_sweep_spares_the_living() {
    let (data, directory) = prepared();
    sweep(data.path(), &HashSet::from([3])).expect("swept");
    assert!(directory.is_untouched());
    let held = directory.lock().expect("opens");
    sweep(data.path(), &HashSet::new()).expect("swept");
    assert!(directory.is_untouched());
    drop(held);
    sweep(data.path(), &HashSet::new()).expect("swept");
    assert!(!directory.path().exists());
}
