//! Many schedules, some at a time, and what they come to.

use std::ops::Range;
use std::time::Instant;

use tokio::task::JoinSet;

use super::conductor;
use super::schedule::{Place, Schedule};
use super::totals::Totals;
use super::truth::Truth;
use super::verdict::judge;

/// Of each failing schedule this many violations are shown; the first ones tell the most.
const SHOWN_MAX: usize = 5;
/// What many schedules together must have come across, or they have tested less than they say.
const EXERCISED: &[&str] = &[
    "crashes",
    "stops",
    "cuts inside a message",
    "resumes",
    "resumes from the store",
    "resets",
    "refused",
    "unknown",
    "probes",
    "claimed",
    "given back",
    "reported under a lease",
    "refused under a lease",
    "became ready",
    "ended leases",
    "asked",
    "answered",
    "answered too late",
    "batches",
    "batches refused",
    "batches in part",
    "batches unknown",
    "started by themselves",
];
/// The same for schedules in this process, where time can be made to pass.
const EXERCISED_IN_TIME: &[&str] = &["expired leases", "attempts exhausted", "expired questions"];
/// From this many schedules on, that is certain enough.
const MANY: u64 = 40;

#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    pub place: Place,
    /// How many schedules, unless the environment says otherwise.
    pub schedules: u64,
    pub at_once: usize,
    /// The test, so that a failing seed comes with the command that runs it alone.
    pub test: &'static str,
}

impl Campaign {
    /// # Panics
    /// When a schedule fails, after all have been run.
    pub async fn run(self) {
        let alone = from_environment("TASKHUB_ORACLE_SEED");
        let count = from_environment("TASKHUB_ORACLE_SCHEDULES").unwrap_or(self.schedules);
        let first = alone.unwrap_or_else(any_seed);
        let seeds = if alone.is_some() { first..first + 1 } else { first..first + count };
        let (count, started) = (seeds.end - seeds.start, Instant::now());
        let (totals, failed) = self.run_all(seeds).await;
        println!("{:?}, seeds from {first}, in {:.1?}: {totals}", self.place, started.elapsed());
        assert!(failed.is_empty(), "{} of {count} schedules failed: {failed:?}", failed.len());
        let in_time = if self.place == Place::InProcess { EXERCISED_IN_TIME } else { &[] };
        let idle: Vec<_> = EXERCISED.iter().chain(in_time).filter(|name| totals.get(name) == 0).collect();
        assert!(count < MANY || idle.is_empty(), "{count} schedules without any {idle:?}");
    }

    async fn run_all(self, seeds: Range<u64>) -> (Totals, Vec<u64>) {
        let (mut totals, mut failed) = (Totals::default(), Vec::new());
        let mut left = seeds;
        let mut running = JoinSet::new();
        loop {
            while running.len() < self.at_once
                && let Some(seed) = left.next()
            {
                running.spawn(self.run_one(seed));
            }
            let Some(verdict) = running.join_next().await else {
                return (totals, failed);
            };
            let Verdict { seed, totals: of_one, passed } = verdict.expect("a schedule's panic is caught");
            totals.add(&of_one);
            if !passed {
                failed.push(seed);
            }
        }
    }

    async fn run_one(self, seed: u64) -> Verdict {
        let schedule = Schedule::new(seed, self.place);
        // A task of its own, so that a panic is a verdict, too; what it says is on standard error by then.
        let played = tokio::spawn(async move {
            let history = conductor::play(schedule).await;
            let truth = Truth::of(&history);
            let violations = judge(&history, &truth);
            (Totals::of(&history, &truth, &violations), violations)
        });
        let (totals, violations) = match played.await {
            Ok((totals, violations)) if violations.is_empty() => {
                return Verdict { seed, totals, passed: true };
            }
            Ok(judged) => judged,
            Err(_) => (Totals::default(), Vec::new()),
        };
        println!("seed {seed} failed; alone: TASKHUB_ORACLE_SEED={seed} cargo test --test it {}", self.test);
        for violation in violations.iter().take(SHOWN_MAX) {
            println!("  {violation}");
        }
        Verdict { seed, totals, passed: false }
    }
}

/// What became of one schedule.
struct Verdict {
    seed: u64,
    totals: Totals,
    passed: bool,
}

pub fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

/// Others in each run, and short enough to be typed.
pub fn any_seed() -> u64 {
    u64::from(getrandom::u32().expect("randomness"))
}
