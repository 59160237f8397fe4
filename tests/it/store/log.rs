//! The log: its order, its sink, its pages, and what it forgets.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn seq_is_gap_free_from_1_across_batches_and_a_reopen_and_the_epoch_stays() {
    let directory = directory();
    let first = Running::open(&directory);
    assert_eq!(first.end.head, 0);
    let mut seqs = join_all((0..600).map(|_| first.announce())).await;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=600).collect::<Vec<_>>());
    assert_eq!(first.read(|view| view.head()).await.seq, 600);
    let (epoch, store) = (first.epoch, first.store.clone());
    first.close().await;
    let late: Result<(), Failure> = store.write(|_| Ok(())).await;
    assert!(matches!(late, Err(Failure::Store(StoreError::Closed))), "{late:?}");
    drop(store);

    let second = Running::open(&directory);
    assert_eq!((second.epoch, second.end.head), (epoch, 600));
    assert_eq!(second.announce().await, 601);
    assert_eq!(second.sunk_seqs(), [601], "what was handed out before is not handed out again");
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_or_panicking_operation_leaves_its_neighbours_alone_and_takes_no_seq() {
    let directory = directory();
    let running = Running::open(&directory);
    let tasks: Vec<_> = (0..400).map(|n| task(json!({ "title": format!("{n}") }), n)).collect();
    let writes = tasks.iter().cloned().enumerate().map(|(number, task)| {
        running.write(move |tx| {
            tx.insert_task(&task)?;
            let id = tx.append(&NewEvent::task_created(&task))?;
            assert_ne!(number % 199, 7, "the panic that this test is about");
            if number % 3 == 0 { Err(Failure::Refused) } else { Ok(id.seq) }
        })
    });
    let mut seqs = Vec::new();
    for (number, result) in join_all(writes).await.into_iter().enumerate() {
        match result {
            Ok(seq) => seqs.push(seq),
            Err(Failure::Store(StoreError::Aborted)) => assert_eq!(number % 199, 7),
            Err(Failure::Refused) => assert_eq!(number % 3, 0),
            Err(other) => panic!("{other:?}"),
        }
    }
    let good: BTreeSet<_> =
        tasks.iter().enumerate().filter(|(n, _)| n % 199 != 7 && n % 3 != 0).map(|(_, it)| it.id).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=good.len() as u64).collect::<Vec<_>>(), "without a gap");
    assert_eq!(running.sunk_seqs(), seqs, "nothing refused reaches the sink");
    let (kept, _) = running.read(|view| view.tasks(&query())).await;
    assert_eq!(kept.iter().map(|it| it.id).collect::<BTreeSet<_>>(), good);
    let told = running.log().await.into_iter().filter_map(|event| Some(event.meta.task()?.id));
    assert_eq!(told.collect::<BTreeSet<_>>(), good);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_refused_or_panics_leaves_nothing_and_the_log_goes_on() {
    let directory = directory();
    let running = Running::open(&directory);
    let [kept, refused, lost] = [1, 2, 3].map(|n| task(json!({ "title": format!("{n}") }), n));
    let (one, two) = (kept.clone(), refused.clone());
    let outcome = running.write(move |tx| {
        let add = |tx: &mut Tx<'_>, task: &Task| {
            tx.insert_task(task)?;
            Ok::<_, Failure>(tx.append(&NewEvent::task_created(task))?.seq)
        };
        let first = tx.attempt(|tx| add(tx, &one))?;
        let second = tx.attempt(|tx| add(tx, &two).and(Err::<u64, _>(Failure::Refused)));
        assert!(matches!(second, Err(Failure::Refused)));
        Ok(first)
    });
    assert_eq!(outcome.await.expect("written"), 1);
    let three = lost.clone();
    let outcome = running.write(move |tx| {
        tx.insert_task(&three)?;
        tx.append(&NewEvent::task_created(&three))?;
        tx.attempt(|_| -> Result<(), Failure> { panic!("the panic that this test is about") })
    });
    assert!(matches!(outcome.await, Err(Failure::Store(StoreError::Aborted))));
    assert_eq!(running.announce().await, 2, "neither has taken a seq");
    let (found, _) = running.read(|view| view.tasks(&query())).await;
    assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(running.log().await.len(), 2);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_the_sink_in_order_before_their_writer_is_answered() {
    let directory = directory();
    let running = Arc::new(Running::open(&directory));
    let writers = (0..8).map(|_| {
        let running = running.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                let seq = running.announce().await;
                assert!(running.sunk_seqs().contains(&seq), "{seq} is answered but not handed out");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no panic");
    }
    assert_eq!(running.sunk_seqs(), (1..=400).collect::<Vec<_>>());
    let stored = running.log().await;
    let sunk = running.sunk.lock().expect("no panic inside").clone();
    for (stored, sunk) in stored.iter().zip(&sunk) {
        assert_eq!((stored.seq, stored.at, &stored.body), (sunk.seq, sunk.at, &sunk.body));
        assert_eq!(stored.meta, sunk.meta);
    }
    assert_eq!(stored.len(), sunk.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_takes_the_oldest_within_floor_and_limit_and_never_restarts_seq() {
    let directory = directory();
    let running = Running::open(&directory);
    join_all((0..100).map(|_| running.announce())).await;
    let end_of_time = end_of_time();
    let rounds = [
        // keep, before, floor, limit -> oldest afterwards
        (90, beginning(), 1000, 1000, 11),
        (10, beginning(), 1000, 5, 16),
        (10, beginning(), 20, 1000, 20),
        (1000, beginning(), 1000, 1000, 20),
        (1000, end_of_time, 1000, 1, 21),
        (1000, end_of_time, 30, 1000, 30),
        (1000, end_of_time, 1000, 1000, 101),
        (1, end_of_time, 1000, 1000, 101),
    ];
    let mut oldest = 1;
    for (keep, before, floor, limit, expected) in rounds {
        let removed = running.write(move |tx| Ok(tx.expire_events(keep, age(before), floor, limit)?)).await;
        assert_eq!(removed.expect("written"), expected - oldest, "{keep} {floor} {limit}");
        oldest = expected;
        assert_eq!(running.read(|view| view.oldest()).await, oldest);
        let left: Vec<_> = running.log().await.iter().map(|event| event.seq).collect();
        assert_eq!(left, (oldest..=100).collect::<Vec<_>>());
    }
    assert_eq!(running.announce().await, 101);
    running.write(move |tx| Ok(tx.expire_events(1, age(end_of_time), 1000, 9)?)).await.expect("written");
    running.close().await;
    let running = Running::open(&directory);
    assert_eq!(running.end.head, 101);
    assert_eq!(running.read(|view| view.oldest()).await, 102);
    assert_eq!(running.announce().await, 102);
    running.close().await;
}

/// Everything from before is too old.
fn age(before: Timestamp) -> Option<Age> {
    Some(Age { before, now: end_of_time() })
}

/// Looks for the time of each event, and for those beside it.
async fn assert_each_time_is_found(running: &Running) {
    let (log, head) = (running.log().await, running.read(|view| view.head()).await.seq);
    let times = log.iter().flat_map(|event| [-1, 0, 1].map(|by| event.at.ms() + by));
    for ms in times.chain([0, end_of_time().ms()]) {
        let expected = log.iter().find(|event| event.at.ms() >= ms).map_or(head + 1, |event| event.seq);
        let found = running.read(move |view| view.first_seq_at(Timestamp::from_ms(ms))).await;
        assert_eq!(found, expected, "{ms}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_come_back_with_the_clock_and_the_first_event_at_a_time_is_still_found() {
    const DAY_MS: i64 = 86_400_000;
    let directory = directory();
    let config = config(directory.path(), &[]).store;
    let clock = Clock::ahead_by(config.clock_ahead_ms.clone());
    let open = || Running::configured(&directory, &config);
    let mut running = open();
    for ahead_ms in [0, DAY_MS, -DAY_MS, 400 * DAY_MS, 0, 2_000, 0] {
        clock.set_ahead_ms(ahead_ms);
        for _ in 0..3 {
            running.announce().await;
        }
        let (log, now) = (running.log().await, clock.now().ms());
        let last = log.last().expect("an event").at.ms();
        // Two seconds back are waited for, so that times do not jump with every correction.
        assert!((last - now).abs() < 3_000, "{ahead_ms}: {last} {now}");
        running.close().await;
        running = open();
    }
    for removed in [0, 4, 9, 13, 1000] {
        running.write(move |tx| Ok(tx.expire_events(0, None, removed + 1, 1000)?)).await.expect("written");
        assert_each_time_is_found(&running).await;
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_wrong_clock_keeps_no_old_one_and_takes_no_young_one_along() {
    const DAY_MS: i64 = 86_400_000;
    let directory = directory();
    let config = config(directory.path(), &[]).store;
    let clock = Clock::ahead_by(config.clock_ahead_ms.clone());
    let running = Running::configured(&directory, &config);
    // Old, from the future, old, young, old.
    for days in [-9, 400, -9, 0, -9] {
        clock.set_ahead_ms(days * DAY_MS);
        running.announce().await;
    }
    let now = Timestamp::now();
    let age = Age { before: Timestamp::from_ms(now.ms() - DAY_MS), now };
    let removed = running.write(move |tx| Ok(tx.expire_events(1000, Some(age), 1000, 1000)?)).await;
    assert_eq!(removed.expect("written"), 3);
    assert_eq!(running.read(|view| view.oldest()).await, 4);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_in_pages_of_a_count_and_of_bytes() {
    let directory = directory();
    let running = Running::open(&directory);
    join_all((0..50).map(|_| running.announce())).await;
    let size = running.log().await[0].body.len();
    for (limit, bytes_max, expected) in [(7, usize::MAX, 7), (1000, 1, 1), (1000, 3 * size, 3)] {
        let mut seen = Vec::new();
        loop {
            let after = seen.last().copied().unwrap_or(0);
            let page = running.read(move |view| view.events_after(after, limit, bytes_max)).await;
            if page.is_empty() {
                break;
            }
            // Bodies of two-digit seqs are larger, so that fewer of them fill a page of bytes.
            let full = page.len() == expected || (after >= 9 && page.len() + 1 == expected);
            let last = page.last().is_some_and(|event| event.seq == 50);
            assert!(full || last, "{} of {expected} after {after}", page.len());
            seen.extend(page.iter().map(|event| event.seq));
        }
        assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_at_a_time_is_found() {
    let directory = directory();
    let running = Running::open(&directory);
    for round in 0..20 {
        join_all((0..round % 4 + 1).map(|_| running.announce())).await;
        tick().await;
    }
    for removed in [0, 13, 1000] {
        running.write(move |tx| Ok(tx.expire_events(0, None, removed + 1, 1000)?)).await.expect("written");
        assert_each_time_is_found(&running).await;
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_starts_over_although_somebody_always_reads() {
    let directory = directory();
    let running = Arc::new(Running::open(&directory));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (running, stop) = (running.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Long enough that another reader is always in the middle of it.
                    running
                        .read(|view| {
                            let seen = view.events_after(0, 100, usize::MAX)?.len();
                            std::thread::sleep(std::time::Duration::from_millis(2));
                            Ok(seen)
                        })
                        .await;
                }
            })
        })
        .collect();
    // 48 MiB of pages at the least, were they never written over.
    let message = "x".repeat(2000);
    for _ in 0..24 {
        let write = || {
            let data = json!({ "level": "info", "message": message });
            running.write(move |tx| {
                for _ in 0..10 {
                    tx.append(&NewEvent::announcement(from_json(data.clone())))?;
                }
                Ok(())
            })
        };
        for written in join_all((0..100).map(|_| write())).await {
            written.expect("written");
        }
        let size = std::fs::metadata(directory.path().join(format!("{DATABASE}-wal"))).expect("there").len();
        assert!(size < 32 << 20, "the write-ahead log has {size} bytes");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("no panic");
    }
}

#[tokio::test]
async fn the_log_is_read_for_four_at_a_time_who_take_turns() {
    const READS: usize = 60;
    let directory = directory();
    let running = Running::open(&directory);
    let going = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let order = Arc::new(Mutex::new(Vec::new()));
    let read = |number: usize| {
        let (reader, going, order) = (running.store.log_reader().clone(), going.clone(), order.clone());
        tokio::spawn(async move {
            let reading = reader.read(move |_| {
                let at_once = going.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                order.lock().expect("no panic inside").push(number);
                std::thread::sleep(std::time::Duration::from_millis(2));
                going.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                Ok::<_, StoreError>(at_once)
            });
            reading.await.expect("it reads")
        })
    };
    let reads: Vec<_> = (0..READS).map(read).collect();
    let at_once = join_all(reads).await.into_iter().map(|it| it.expect("no panic")).max();
    assert!(at_once <= Some(4), "{at_once:?}");
    // Those who read at once may begin in any order.
    let order = order.lock().expect("no panic inside").clone();
    assert!(order.iter().enumerate().all(|(at, number)| at.abs_diff(*number) < 8), "{order:?}");
    running.close().await;
}
