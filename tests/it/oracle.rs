//! The oracle: seeded schedules of everything that may go wrong, and the properties that hold all the same.
//!
//! Writers log what was acknowledged and observers what arrived, while the hub is stopped, crashed and started
//! again under them, its ring wraps and retention takes the log away; observers stall, cut their connections at
//! any byte and come back by header and by query. Writers change tasks one by one and in batches, claim them, ask and answer,
//! and have them start by themselves; meanwhile leases and questions expire, by a clock that goes faster here. Then
//! `verdict.rs` looks at the logs alone, one property at a time: ordered, unique, complete, resumable, agreeing,
//! state = fold, committed, one owner, ready = fold, answered once, started once, whole. Each is a part of the stream's
//! promise, and a violation names it, the observer and the events around.
//!
//! A schedule is drawn from its seed, other ones in every run; a failing seed is printed with the command that
//! runs it alone. What the kernel makes of it differs, so try a seed some times. Ten thousand schedules:
//!
//! ```sh
//! TASKHUB_ORACLE_SCHEDULES=9500 cargo test --test it oracle::in_process -- --nocapture
//! TASKHUB_ORACLE_SCHEDULES=500 cargo test --test it oracle::real_process -- --nocapture
//! ```
//!
//! `restores.rs` has schedules of its own, with simpler clients, of what befalls the files between two lives of the hub:
//! backups that are put back, a lost tail, moved and copied directories. `oracle::restored` runs them.
//!
//! That it bites was tried by breaking the hub: publishing before the commit, acknowledging before it, going on
//! with the ring where the store was due, resuming one too late or too early, filtering by the task after a
//! change alone, a snapshot's cursor one too high or too low; waking nobody after the last blocker, giving the number of
//! a lease again, taking reports under any lease; ending a lease without its event or in another transaction than it,
//! counting no attempts; a second answer, a question that ends without its default, its event or its task's; a batch in two
//! transactions, one that is all or none in part, an operation without its savepoint; a task that does not start when it
//! becomes ready, or when the execution before has ended. Each fails many schedules.

// What a schedule is.
mod random;
mod schedule;
mod words;

// Who takes part.
mod batch;
mod imagination;
mod observer;
mod wish;
mod world;
mod writer;

// What they speak and write down.
mod connection;
mod history;
mod message;
mod moment;
mod way;

// How it is played and judged.
mod campaign;
mod conductor;
mod filter;
mod fold;
mod rest;
mod restores;
mod totals;
mod truth;
mod verdict;

pub use campaign::{any_seed, from_environment};
pub use random::Random;

use campaign::Campaign;
use schedule::Place;

#[tokio::test(flavor = "multi_thread")]
async fn in_process_schedules() {
    let test = "oracle::in_process_schedules";
    Campaign { place: Place::InProcess, schedules: 130, at_once: 4, test }.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_process_schedules() {
    let test = "oracle::real_process_schedules";
    Campaign { place: Place::Binary, schedules: 40, at_once: 6, test }.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_schedules() {
    restores::run(24).await;
}
