//! Executions and idempotency keys.

use super::*;

/// Queues an execution of `task`.
async fn queue(running: &Running, task: TaskId) -> Result<Execution, Failure> {
    let request = json!({ "script_content": "true", "env": { "SECRET": "s" }, "timeout_seconds": 5 });
    let request: ExecutionRequest = from_json(request);
    let work = move |tx: &mut Tx<'_>| {
        let number = tx.next_execution_number()?;
        let execution = Execution::queued(ExecutionId::generate(), number, task, tx.now());
        tx.insert_execution(&execution, &request)?;
        Ok(execution)
    };
    running.write(work).await
}

async fn update(running: &Running, execution: &Execution) {
    let execution = execution.clone();
    running.write(move |tx| Ok(tx.update_execution(&execution)?)).await.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_numbered_once_live_once_a_task_and_forget_their_request() {
    let directory = directory();
    let running = Running::open(&directory);
    let (one, two) = (TaskId::generate(), TaskId::generate());
    let first = queue(&running, one).await.expect("queued");
    let other = queue(&running, two).await.expect("queued");
    let id = first.id;
    assert_eq!(running.read(move |view| view.execution(id)).await, Some(first.clone()));
    assert!(matches!(queue(&running, one).await, Err(Failure::Store(_))), "one is queued");

    let first = first.started(Timestamp::from_ms(9_000_000_000_000)).expect("queued");
    let first = first.stop_requested().expect("running");
    update(&running, &first).await;
    assert!(matches!(queue(&running, one).await, Err(Failure::Store(_))), "one is running");
    assert_eq!(running.read(|view| view.running_executions()).await, std::slice::from_ref(&first));
    assert_eq!(running.read(|view| view.due_executions(beginning(), 9)).await, std::slice::from_ref(&other));
    assert_eq!(running.read(|view| view.pressing_execution_count(beginning())).await, 2);
    let request = running.read(move |view| view.execution_request(id)).await.expect("still known");
    assert_eq!(request.env["SECRET"], "s");

    let outcome = Outcome {
        exit_code: Some(-3),
        reason: Some("a\u{0}\r\n\u{2028}".into()),
        ..Outcome::of(End::Failed)
    };
    let first = first.ended(outcome, Timestamp::from_ms(9_000_000_000_001)).expect("running");
    update(&running, &first).await;
    assert_eq!(running.read(move |view| view.execution_request(id)).await, None);
    assert_eq!(running.read(move |view| view.execution(id)).await, Some(first.clone()));
    running.close().await;

    let running = Running::open(&directory);
    let mut all = vec![other, first];
    while all.len() < 6 {
        let next = queue(&running, one).await.expect("the one before has ended");
        assert!(all.iter().all(|it| it.number < next.number), "{} was used before", next.number);
        let outcome = Outcome::of(End::Lost);
        let next = next.ended(outcome, Timestamp::from_ms(1)).expect("live");
        update(&running, &next).await;
        all.insert(0, next);
    }
    let latest = all[0].clone();
    assert_eq!(running.read(move |view| view.latest_execution(one)).await, Some(latest));
    let pages = |query: ExecutionQuery| {
        let running = &running;
        async move {
            let (mut found, mut query) = (Vec::new(), query);
            loop {
                let asked = query.clone();
                let (page, next) = running.read(move |view| view.executions(&asked)).await;
                found.extend(page);
                query.before = match next {
                    None => return found,
                    next => next,
                };
            }
        }
    };
    let base = ExecutionQuery { limit: 2, ..ExecutionQuery::default() };
    assert_eq!(pages(base.clone()).await, all);
    let of_one = pages(ExecutionQuery { task_id: Some(one), ..base.clone() }).await;
    assert_eq!(of_one.len(), 5);
    let statuses = vec![ExecutionStatus::Queued, ExecutionStatus::Failed];
    let some = pages(ExecutionQuery { statuses, ..base }).await;
    assert_eq!(some.iter().map(|it| it.status.word()).collect::<Vec<_>>(), ["queued", "failed"]);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_is_found_in_pages_by_its_end_and_can_be_removed_but_not_what_lives() {
    let directory = directory();
    let running = Running::open(&directory);
    let live = queue(&running, TaskId::generate()).await.expect("queued");
    let mut expected = Vec::new();
    for end in [7_000_000_000_000, 7_000_000_000_001, 7_000_000_000_001, 7_000_000_000_002] {
        let outcome = Outcome::of(End::Lost);
        let queued = queue(&running, TaskId::generate()).await.expect("queued");
        let ended = queued.ended(outcome, Timestamp::from_ms(end)).expect("live");
        update(&running, &ended).await;
        expected.push((Timestamp::from_ms(end), ended.number));
    }
    let last = expected.pop().expect("four");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = running.read(move |view| view.executions_ended_before(last.0, after, 1)).await;
        let Some(next) = page.last() else { break };
        after = Some(*next);
        found.extend(page);
    }
    assert_eq!(found, expected);
    for number in [live.number, found[1].1] {
        running.write(move |tx| Ok(tx.delete_ended_execution(number)?)).await.expect("written");
    }
    let left = running.read(move |view| view.executions_ended_before(end_of_time(), None, 9)).await;
    assert_eq!(left, [expected[0], expected[2], last]);
    let id = live.id;
    assert!(running.read(move |view| view.execution(id)).await.is_some());
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_by_priority_then_by_age_and_holds_back_what_is_not_due() {
    let directory = directory();
    let running = Running::open(&directory);
    let mut queued = Vec::new();
    for priority in [json!(null), json!("low"), json!("high"), json!("medium"), json!("high")] {
        let task = task(json!({ "title": "t", "priority": priority }), 1);
        running.insert(&task).await;
        queued.push(queue(&running, task.id).await.expect("queued").number);
    }
    let gone = queue(&running, TaskId::generate()).await.expect("queued");
    let failed = gone.ended(Outcome::of(End::Failed), Timestamp::from_ms(1));
    let failed = Execution { attempts_max: 3, ..failed.expect("live") };
    update(&running, &failed).await;
    let later = running
        .write(move |tx| {
            let number = tx.next_execution_number()?;
            let request = from_json(json!({ "retry_delay_seconds": 7 }));
            let id = ExecutionId::generate();
            let next = failed.next_attempt(&request, id, number, Timestamp::from_ms(2));
            tx.insert_execution(&next, &request)?;
            Ok(next)
        })
        .await
        .expect("written");
    let (id, at) = (later.id, later.not_before.expect("a time"));
    assert_eq!(running.read(move |view| view.execution(id)).await, Some(later.clone()));

    let [none, low, high, medium, other] = queued[..] else { panic!("{queued:?}") };
    let head = async |now, limit| {
        let found = running.read(move |view| view.due_executions(now, limit)).await;
        found.into_iter().map(|it| it.number).collect::<Vec<_>>()
    };
    let before = Timestamp::from_ms(at.ms() - 1);
    assert_eq!(head(before, 9).await, [high, other, medium, low, none]);
    assert_eq!(head(before, 2).await, [high, other]);
    assert_eq!(head(at, 9).await.last(), Some(&later.number), "its task is no more");
    for (now, count, next) in [(before, 5, Some(at)), (at, 6, None)] {
        assert_eq!(running.read(move |view| view.pressing_execution_count(now)).await, count);
        let waiting = running.read(move |view| view.waiting_executions(now, 9)).await;
        assert_eq!(waiting.first().and_then(|it| it.not_before), next);
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_known_until_it_is_forgotten_oldest_first() {
    let directory = directory();
    let running = Running::open(&directory);
    let answer = task(json!({ "title": "a\u{0}\u{2028}" }), 5);
    let remember = |key: &'static str| {
        let answer = answer.clone();
        running.write(move |tx| Ok(tx.remember(key, b"\x00\xffprint", &answer)?))
    };
    for key in ["k1", "k2", "k3"] {
        remember(key).await.expect("new");
        tick().await;
    }
    assert!(matches!(remember("k2").await, Err(Failure::Store(_))), "the key is known");
    let known = running.read(|view| view.repetition::<Task>("k2")).await;
    let Some(Repetition { fingerprint, answer: task }) = known else {
        panic!("k2 is not known");
    };
    assert_eq!((fingerprint.as_slice(), task), (&b"\x00\xffprint"[..], Some(answer.clone())));

    for (before, limit, gone, left) in [
        (beginning(), 9, 0, &["k1", "k2", "k3"][..]),
        (end_of_time(), 1, 1, &["k2", "k3"]),
        (end_of_time(), 9, 2, &[]),
    ] {
        let forgotten = running.write(move |tx| Ok(tx.forget(before, limit)?)).await;
        assert_eq!(forgotten.expect("written"), gone);
        for key in ["k1", "k2", "k3"] {
            let known = running.read(move |view| view.repetition::<Task>(key)).await.is_some();
            assert_eq!(known, left.contains(&key), "{key}");
        }
    }
    remember("k1").await.expect("new again");
    running.close().await;
}
