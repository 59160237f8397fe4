//! Output: in the log to the byte and at once, and of a flood the beginning and the end.

use taskhub::executor::logs::{From, read_page};

use super::*;

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
        let left_out = hub.execution(task).log_bytes_left_out.expect("counted");
        let mark = format!(": {left_out} bytes left out here]\n");
        assert!(left_out > 0 && String::from_utf8_lossy(&log).contains(&mark), "{mark}");
        let whole = hub.run("true");
        assert_eq!(hub.ends(whole).0, Completed);
        assert_eq!(hub.execution(whole).log_bytes_left_out, Some(0));
    });
}
