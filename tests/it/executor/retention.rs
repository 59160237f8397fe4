//! Retention: what an execution leaves when it ends, and what goes later.

use super::*;

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
        settings.retention = Retention { days_max: 0, period_ms: 20, clock: Clock::default() };
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
