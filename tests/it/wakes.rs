//! Wake-ups: in random graphs of tasks that wait for others, each task becomes ready exactly once, directly behind the last
//! of its blockers.
//!
//! `graph.rs` draws a graph from a seed, `model.rs` says where in the log each task has to become ready, knowing nothing but
//! the graph and the order in which the log has the tasks done. Two tests bring the log about:
//!
//! - **In this process**: 200 graphs of 1,000 tasks. The use cases and the store work as in the hub, without HTTP. Up to 64
//!   tasks are finished at once, in random order; in every third graph some are finished before they are ready. Three times a
//!   crash is an image of the database that is taken meanwhile, and the work goes on on that image (`oracle/world.rs` says why
//!   this equals kill -9).
//! - **The binary**: twelve graphs of 60 to 250 tasks. 16 workers claim what is ready over HTTP, wait when nothing is, and
//!   report it done; the hub is killed with -9 three times. That a worker waits while there is work for it ends the test, too.
//!
//! A failing seed is printed with the command that runs it alone; what the threads make of it differs, so try a seed some
//! times. Other numbers of graphs:
//!
//! ```sh
//! TASKHUB_WAKES_SEEDS=5000 cargo test --test it wakes::in_process -- --nocapture
//! TASKHUB_WAKES_SEEDS=500 cargo test --test it wakes::binary -- --nocapture
//! ```

mod binary;
mod graph;
mod in_process;
mod model;

use std::time::Instant;

use tokio::task::JoinSet;

use crate::oracle::{any_seed, from_environment};

use model::Counted;

/// Plays many seeds, some at a time.
async fn run<F>(test: &str, seeds: u64, at_once: usize, play: impl Fn(u64) -> F)
where
    F: Future<Output = Counted> + Send + 'static,
{
    let alone = from_environment("TASKHUB_WAKES_SEED");
    let count = from_environment("TASKHUB_WAKES_SEEDS").unwrap_or(seeds);
    let first = alone.unwrap_or_else(any_seed);
    let mut left = if alone.is_some() { first..first + 1 } else { first..first + count };
    let (mut running, mut all, started) = (JoinSet::new(), Counted::default(), Instant::now());
    loop {
        while running.len() < at_once
            && let Some(seed) = left.next()
        {
            let played = tokio::spawn(play(seed));
            running.spawn(async move { (seed, played.await) });
        }
        let Some(played) = running.join_next().await else { break };
        let (seed, counted) = played.expect("a panic is caught");
        all.add(&counted.unwrap_or_else(|_| {
            panic!("seed {seed} failed; alone: TASKHUB_WAKES_SEED={seed} cargo test --test it {test}")
        }));
    }
    println!("seeds from {first}, in {:.1?}: {all:?}", started.elapsed());
    assert!(all.woken > 0 && all.at_once_max > 1, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process_each_task_becomes_ready_once_behind_its_last_blocker() {
    let test = "wakes::in_process_each_task_becomes_ready_once_behind_its_last_blocker";
    run(test, 200, 3, in_process::play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_each_task_becomes_ready_once_and_who_waits_for_it_gets_it() {
    let test = "wakes::binary_each_task_becomes_ready_once_and_who_waits_for_it_gets_it";
    run(test, 12, 2, binary::play).await;
}
